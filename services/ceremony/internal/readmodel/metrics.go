package readmodel

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a file is made anew.
const (
	reasonMissing  = "missing"  // there is none, or of another version, or one whose load did not finish
	reasonStream   = "stream"   // a stream is not the one that the rows came from
	reasonDamaged  = "damaged"  // SQLite says that the file is not what was written
	reasonDiverged = "diverged" // there are more or fewer rows than entries
)

// metrics counts what the read model does. Names are part of its interface; no label holds an ID.
type metrics struct {
	rows      *prometheus.GaugeVec
	lag       *prometheus.GaugeVec
	rebuilds  *prometheus.CounterVec
	unread    prometheus.Counter
	restarts  prometheus.Counter
	timeouts  prometheus.Counter
	diverging prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		rows: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "keyward_readmodel_rows", Help: "Rows of the read model by list: users, identifiers, socials, sessions, tokens.",
		}, []string{"list"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "keyward_readmodel_lag",
			Help: "How many sequences of a bucket's stream the read model is behind, as far as it knows. Healthy: near 0.",
		}, []string{"bucket"}),
		rebuilds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_readmodel_rebuilds_total",
			Help: "Times that the read model was made anew from the buckets, by reason: missing, stream, damaged, diverged.",
		}, []string{"reason"}),
		unread: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_readmodel_unreadable_entries_total", Help: "Bucket entries that could not be read and are in no list. Healthy: 0.",
		}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_readmodel_restarts_total", Help: "Times that following the buckets failed and began again. Healthy: 0 while NATS is up.",
		}),
		timeouts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_readmodel_unavailable_total", Help: "Lists that were answered 503 because their rows did not come in time. Healthy: 0.",
		}),
		diverging: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_readmodel_divergences_total", Help: "Times that rows and entries were counted and did not agree. Healthy: 0.",
		}),
	}
	for _, c := range []prometheus.Collector{m.rows, m.lag, m.rebuilds, m.unread, m.restarts, m.timeouts, m.diverging} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register read model metrics: %w", err)
		}
	}
	return m, nil
}

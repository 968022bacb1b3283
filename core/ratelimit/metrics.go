package ratelimit

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts refusals, and what makes limits less exact; the latter are zero while all is well.
type metrics struct {
	refused   [kinds]prometheus.Counter
	forgotten prometheus.Counter
	failures  prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer, keys func() int) (*metrics, error) {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyward_rate_limit_refused_total",
		Help: "Calls refused because of too many before them: of a project, from an address, or of failed logins from an address.",
	}, []string{"kind"})
	m := &metrics{
		forgotten: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_rate_limit_forgotten_total",
			Help: "Keys that this process stopped counting before their time because there were too many.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_rate_limit_exchange_failures_total",
			Help: "Exchanges with Redis that failed. Each instance keeps the limits by itself meanwhile.",
		}),
	}
	for kind := range kinds {
		m.refused[kind] = refused.WithLabelValues(kind.String())
	}
	held := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "keyward_rate_limit_keys",
		Help: "Keys that this process counts calls of.",
	}, func() float64 { return float64(keys()) })
	for _, collector := range []prometheus.Collector{refused, m.forgotten, m.failures, held} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics of rate limits: %w", err)
		}
	}
	return m, nil
}

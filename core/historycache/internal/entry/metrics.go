package entry

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what the cache does. Failures and bumps are zero while all is well.
type Metrics struct {
	Hits          prometheus.Counter
	Misses        prometheus.Counter
	Untrusted     prometheus.Counter
	Large         prometheus.Counter
	Near          prometheus.Counter
	Failed        prometheus.Counter
	NoEpoch       prometheus.Counter
	Stale         prometheus.Counter
	Bumps         prometheus.Counter
	WriteFailures prometheus.Counter
	FillFailures  prometheus.Counter
	LostSightings prometheus.Counter
}

// NewMetrics registers the counters.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	reads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyward_events_cache_reads_total",
		Help: "Reads of a user's events by what the cache answered: near if Redis confirmed what the process had decoded before, " +
			"hit, miss, untrusted, error, no-epoch if its trust could not be judged, or large if the history takes more than a user's share.",
	}, []string{"result"})
	m := &Metrics{
		Hits:      reads.WithLabelValues(string(Trusted)),
		Misses:    reads.WithLabelValues(string(Absent)),
		Untrusted: reads.WithLabelValues(string(Untrusted)),
		Large:     reads.WithLabelValues(string(Large)),
		Near:      reads.WithLabelValues("near"),
		Failed:    reads.WithLabelValues("error"),
		NoEpoch:   reads.WithLabelValues("no-epoch"),
		Stale: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_events_stale_accounts_total",
			Help: "Reads that came with an account which may have changed since; it was read again then.",
		}),
		Bumps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_events_cache_epoch_bumps_total",
			Help: "Times that cache entries were withdrawn through the epochs: " +
				"at the start of an events service and after writes that could not reach Redis.",
		}),
		WriteFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_events_cache_write_failures_total",
			Help: "Events that are in the log and could not be put into Redis.",
		}),
		FillFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_events_cache_fill_failures_total",
			Help: "Cache entries that could not be filled after a read of the log.",
		}),
		LostSightings: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_sightings_lost_total",
			Help: "Logins asked for with names that are no user's and that were not counted: too many waited, or Redis did not take them.",
		}),
	}
	for _, collector := range []prometheus.Collector{reads, m.Stale, m.Bumps, m.WriteFailures, m.FillFailures, m.LostSightings} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics of the event log: %w", err)
		}
	}
	return m, nil
}

// Read counts what the cache answered. A failure is the caller's to count.
func (m *Metrics) Read(result Trust, err error) {
	switch {
	case err != nil:
	case result == Trusted:
		m.Hits.Inc()
	case result == Absent:
		m.Misses.Inc()
	case result == Large:
		m.Large.Inc()
	default:
		m.Untrusted.Inc()
	}
}

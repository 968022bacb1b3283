package historycache

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the cache does. Failures and bumps are zero while all is well.
type metrics struct {
	hits          prometheus.Counter
	misses        prometheus.Counter
	untrusted     prometheus.Counter
	near          prometheus.Counter
	failed        prometheus.Counter
	noEpoch       prometheus.Counter
	stale         prometheus.Counter
	bumps         prometheus.Counter
	writeFailures prometheus.Counter
	fillFailures  prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	reads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyward_events_cache_reads_total",
		Help: "Reads of a user's events by what the cache answered: near if it confirmed what the process had decoded before, " +
			"hit, miss, untrusted, error, or no-epoch if its trust could not be judged.",
	}, []string{"result"})
	m := &metrics{
		hits:      reads.WithLabelValues(string(trusted)),
		misses:    reads.WithLabelValues(string(absent)),
		untrusted: reads.WithLabelValues(string(untrusted)),
		near:      reads.WithLabelValues("near"),
		failed:    reads.WithLabelValues("error"),
		noEpoch:   reads.WithLabelValues("no-epoch"),
		stale: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_events_stale_accounts_total",
			Help: "Reads that came with an account which may have changed since; it was read again then.",
		}),
		bumps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_events_cache_epoch_bumps_total",
			Help: "Times that cache entries were withdrawn through the epochs: " +
				"at the start of an events service and after writes that could not reach Redis.",
		}),
		writeFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_events_cache_write_failures_total",
			Help: "Events that are in the log and could not be put into Redis.",
		}),
		fillFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_events_cache_fill_failures_total",
			Help: "Cache entries that could not be filled after a read of the log.",
		}),
	}
	for _, collector := range []prometheus.Collector{reads, m.stale, m.bumps, m.writeFailures, m.fillFailures} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics of the event log: %w", err)
		}
	}
	return m, nil
}

// read counts what the cache answered. A failure is the caller's to count.
func (m *metrics) read(result trust, err error) {
	switch {
	case err != nil:
	case result == trusted:
		m.hits.Inc()
	case result == absent:
		m.misses.Inc()
	default:
		m.untrusted.Inc()
	}
}

package feed

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	reads    prometheus.Counter
	failures prometheus.Counter
	restarts prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer, subscribers func() float64) (*metrics, error) {
	m := &metrics{
		reads: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_feed_stream_reads_total",
			Help: "Batches that subscribers read from the stream because they were behind what is in memory.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_feed_stream_read_failures_total", Help: "Such reads that failed and were tried again; healthy is 0.",
		}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_feed_restarts_total", Help: "Times that following the stream of events began anew; healthy is 0.",
		}),
	}
	if registerer == nil {
		return m, nil
	}
	count := prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "keyward_feed_subscribers", Help: "Subscribers of the stream of events in this process."}, subscribers,
	)
	var errs []error
	for _, c := range []prometheus.Collector{m.reads, m.failures, m.restarts, count} {
		errs = append(errs, registerer.Register(c))
	}
	return m, errors.Join(errs...)
}

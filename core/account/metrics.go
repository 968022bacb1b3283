package account

import "github.com/prometheus/client_golang/prometheus"

// metrics counts where accounts for decisions came from.
type metrics struct {
	near, bucket, stale prometheus.Counter
}

// newMetrics returns the counters and what is to be registered of them.
func newMetrics() (*metrics, prometheus.Collector) {
	views := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyward_account_views_total",
		Help: "Accounts for decisions by where they came from: near for this process's memory, bucket for the key-value store; stale counts " +
			"those from memory that turned out to be out of date and were read again.",
	}, []string{"source"})
	return &metrics{near: views.WithLabelValues("near"), bucket: views.WithLabelValues("bucket"), stale: views.WithLabelValues("stale")}, views
}

package dispatch

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/services/events/internal/webhook/queue"
)

// metrics has no label that names a project, an endpoint or a user.
type metrics struct {
	attempts  *prometheus.CounterVec
	duration  prometheus.Histogram
	events    *prometheus.GaugeVec
	parked    prometheus.Gauge
	oldest    prometheus.Gauge
	endpoints *prometheus.GaugeVec
	lost      prometheus.Counter
	erased    prometheus.Counter
	malformed prometheus.Counter
	restarts  prometheus.Counter
	lapses    prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_webhook_attempts_total",
			Help: "Attempts to deliver an event, by outcome: delivered, retry, or dead for the last attempt of an event that was given up.",
		}, []string{"outcome"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "keyward_webhook_attempt_duration_seconds", Help: "Time from dialling to the end of the answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}),
		events: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "keyward_webhook_events",
			Help: "Events that the endpoints of this instance have still to get: waiting in the log, or underway. Parked ones are not counted.",
		}, []string{"state"}),
		parked: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "keyward_webhook_parked_users",
			Help: "Users of whom an endpoint of this instance did not take an event, which is parked for another attempt with all that follow it.",
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "keyward_webhook_oldest_seconds", Help: "Age of the oldest event that an endpoint of this instance has still to get.",
		}),
		endpoints: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "keyward_webhook_endpoints", Help: "Endpoints that this instance delivers to, by whether they are taken for up or down.",
		}, []string{"state"}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_webhook_records_lost_total", Help: "Attempts that are missing in the delivery log; healthy is 0.",
		}),
		erased: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_webhook_erased_total", Help: "Events that were erased from the log before they could be delivered.",
		}),
		malformed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_webhook_malformed_total", Help: "Messages in the log that are no events and were passed over; healthy is 0.",
		}),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_webhook_restarts_total", Help: "Times that the work for an endpoint began anew after a failure; healthy is 0.",
		}),
		lapses: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_webhook_lapses_total",
			Help: "Times that this instance gave up all endpoints because it could not reach the bus; healthy is 0.",
		}),
	}
	for _, outcome := range []queue.Outcome{queue.Delivered, queue.Retry, queue.Dead} {
		m.attempts.WithLabelValues(string(outcome))
	}
	for _, c := range []prometheus.Collector{
		m.attempts, m.duration, m.events, m.parked, m.oldest, m.endpoints, m.lost, m.erased, m.malformed, m.restarts, m.lapses,
	} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of webhooks: %w", err)
		}
	}
	return m, nil
}

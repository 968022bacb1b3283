package decision

import (
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/flow"
	"github.com/keyward/keyward/services/decision/internal/metrics"
)

// recorder sends decisions in the background. What it cannot take or deliver is lost and counted: an answer never waits for its record.
type recorder struct {
	*flow.Flow[*Record]
	metrics *metrics.Metrics
}

func newRecorder(cfg Config, js jetstream.JetStream, m *metrics.Metrics) *recorder {
	return &recorder{metrics: m, Flow: flow.New(flow.Config[*Record]{
		JS: js, Stream: bus.DecisionsStream, Most: cfg.RecordQueue, Drain: cfg.DrainTimeout,
		Render: func(r *Record, into *nats.Msg) { r.render(into) },
		Lost:   func(n int) { m.Lost.Add(float64(n)) },
	}).Accept()}
}

// add takes a record without waiting.
func (r *recorder) add(record *Record) {
	if !r.Add(record) {
		r.metrics.Lost.Inc()
	}
}

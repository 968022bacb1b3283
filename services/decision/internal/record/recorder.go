package record

import (
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/flow"
	"github.com/keyward/keyward/services/decision/internal/metrics"
)

// Recorder sends decisions in the background. What it cannot take or deliver is lost and counted: an answer never waits for its record.
type Recorder struct {
	*flow.Flow[*Record]
	metrics *metrics.Metrics
}

// NewRecorder returns one that holds so many records, and goes on sending for so long once it is to end.
func NewRecorder(most int, drain time.Duration, js jetstream.JetStream, m *metrics.Metrics) *Recorder {
	return &Recorder{metrics: m, Flow: flow.New(flow.Config[*Record]{
		JS: js, Stream: bus.DecisionsStream, Most: most, Drain: drain,
		Render: func(r *Record, into *nats.Msg) { r.render(into) },
		Lost:   func(n int) { m.Lost.Add(float64(n)) },
	}).Accept()}
}

// Add takes a record without waiting.
func (r *Recorder) Add(record *Record) {
	if !r.Flow.Add(record) {
		r.metrics.Lost.Inc()
	}
}

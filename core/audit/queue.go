package audit

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/project"
)

// queueLength bounds what may wait to be recorded: what is done to an installation is rare, and a minute without a store is bridged.
const queueLength = 256

// attemptLimit is how long one message may wait for its acknowledgement; attempts is how many times it is sent before it is dropped.
const (
	attemptLimit = 5 * time.Second
	attempts     = 3
)

// Queue records events in the background, for services: nobody waits for it. Make it with NewQueue, and call Run.
type Queue struct {
	recorder *Recorder
	waiting  chan *nats.Msg
	tally    *tally
	lost     prometheus.Counter
	log      *slog.Logger
}

// NewQueue returns the queue of a process. What is told before Run is recorded by it.
func NewQueue(recorder *Recorder, registry prometheus.Registerer, log *slog.Logger) *Queue {
	q := &Queue{
		recorder: recorder, log: log, waiting: make(chan *nats.Msg, queueLength), tally: &tally{},
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_audit_lost_total", Help: "Security events that were not recorded; healthy is 0.",
		}),
	}
	registry.MustRegister(q.lost)
	return q
}

// By returns what tells the same queue of what another actor does.
func (q *Queue) By(actor Actor) *Queue {
	other := *q
	other.recorder = q.recorder.By(actor)
	return &other
}

// Add has events recorded. If too many wait, they are dropped, logged and counted.
func (q *Queue) Add(ctx context.Context, events ...Event) {
	for _, e := range events {
		msg := q.recorder.message(ctx, e)
		select {
		case q.waiting <- msg:
		default:
			q.drop(ctx, msg, nil)
		}
	}
}

// Changed has recorded what one version of a project differs from another in.
func (q *Queue) Changed(ctx context.Context, before, after *project.Project) {
	q.Add(ctx, Changes(before, after)...)
}

// OperatorChanged has recorded that an operator was made, or revoked.
func (q *Queue) OperatorChanged(ctx context.Context, before, after *operator.Operator) {
	q.Add(ctx, OperatorChanges(before, after)...)
}

func (q *Queue) drop(ctx context.Context, msg *nats.Msg, err error) {
	q.lost.Inc()
	q.log.ErrorContext(ctx, "a security event is lost", "subject", msg.Subject, "event", string(msg.Data), "error", err)
}

// Run records until ctx ends, and then what waits still and what was counted, each in one attempt.
func (q *Queue) Run(ctx context.Context) error {
	tick := time.NewTicker(tallyPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			q.tell(context.WithoutCancel(ctx))
			q.drain(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
			q.tell(ctx)
		case msg := <-q.waiting:
			q.record(ctx, msg)
		}
	}
}

func (q *Queue) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	for {
		select {
		case msg := <-q.waiting:
			if err := q.recorder.publish(ctx, msg); err != nil {
				q.drop(ctx, msg, err)
			}
		default:
			return
		}
	}
}

// record sends a message until it is acknowledged. It carries its ID, so that one that had arrived is not there twice.
func (q *Queue) record(ctx context.Context, msg *nats.Msg) {
	kept := context.WithoutCancel(ctx)
	var err error
	for range attempts {
		limited, cancel := context.WithTimeout(kept, attemptLimit)
		err = q.recorder.publish(limited, msg)
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			break
		}
	}
	q.drop(kept, msg, err)
}

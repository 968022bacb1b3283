package decision

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ackWait is how long a publication may stay unacknowledged before it counts as lost.
const ackWait = 5 * time.Second

// inFlight is how many publications may await their acknowledgement.
const inFlight = 1024

// recorder publishes decisions in the background. What it cannot take or deliver is lost and counted: an answer never waits for its record.
type recorder struct {
	js      jetstream.JetStream
	metrics *metrics
	drain   time.Duration
	queue   chan *Record

	mu     sync.RWMutex
	closed bool // nothing reads the queue any more
}

func newRecorder(cfg Config, js jetstream.JetStream, m *metrics) *recorder {
	return &recorder{js: js, metrics: m, drain: cfg.DrainTimeout, queue: make(chan *Record, cfg.RecordQueue)}
}

// add takes a record without waiting.
func (r *recorder) add(record *Record) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.closed {
		select {
		case r.queue <- record:
			return
		default:
		}
	}
	r.metrics.lost.Inc()
}

// sent is a publication on its way.
type sent struct {
	future jetstream.PubAckFuture
	until  time.Time // then it counts as lost
}

// run publishes until ctx ends, and then what is still queued until the drain timeout.
func (r *recorder) run(ctx context.Context) {
	publications := make(chan sent, inFlight)
	var owned sync.WaitGroup
	owned.Go(func() { r.settle(publications) })
	defer owned.Wait()
	defer close(publications)
	for {
		select {
		case record := <-r.queue:
			r.publish(record, time.Now().Add(ackWait), publications)
		case <-ctx.Done():
			r.finish(publications)
			return
		}
	}
}

func (r *recorder) finish(publications chan<- sent) {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	until := time.Now().Add(r.drain)
	for {
		select {
		case record := <-r.queue:
			if time.Now().After(until) {
				r.metrics.lost.Inc()
				continue
			}
			r.publish(record, until, publications)
		default:
			return
		}
	}
}

func (r *recorder) publish(record *Record, until time.Time, publications chan<- sent) {
	future, err := r.js.PublishMsgAsync(record.message())
	if err != nil {
		r.metrics.lost.Inc()
		return
	}
	publications <- sent{future: future, until: until}
}

// settle waits for acknowledgements in order. One that comes late makes those behind it wait no longer than their own time.
func (r *recorder) settle(publications <-chan sent) {
	for p := range publications {
		if !acknowledged(p) {
			r.metrics.lost.Inc()
		}
	}
}

func acknowledged(p sent) bool {
	// An answer that has come counts, however late it is looked at.
	select {
	case <-p.future.Ok():
		return true
	default:
	}
	timer := time.NewTimer(time.Until(p.until))
	defer timer.Stop()
	select {
	case <-p.future.Ok():
		return true
	case err := <-p.future.Err():
		return err == nil
	case <-timer.C:
		return false
	}
}

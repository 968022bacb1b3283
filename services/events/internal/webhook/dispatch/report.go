package dispatch

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/direct"
)

const reportPeriod = 15 * time.Second

// standing is how far the delivery to one endpoint, or to several, is behind.
type standing struct {
	waiting, underway, parked uint64
	oldest                    time.Duration
	down                      int
}

// report sets the gauges to what holds for the endpoints of this instance. It asks the bus in a goroutine of its own, so that leases are
// not late.
func (m *management) report(ctx context.Context) {
	sessions := make([]*session, 0, len(m.running))
	for _, e := range m.running {
		sessions = append(sessions, e.session)
	}
	m.sessions.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, reportPeriod/2)
		defer cancel()
		var all standing
		for _, s := range sessions {
			one, err := s.standing(ctx)
			if err != nil {
				return // what was said before stands
			}
			all.waiting += one.waiting
			all.underway += one.underway
			all.parked += one.parked
			all.down += one.down
			all.oldest = max(all.oldest, one.oldest)
		}
		m.metrics.events.WithLabelValues("waiting").Set(float64(all.waiting))
		m.metrics.events.WithLabelValues("underway").Set(float64(all.underway))
		m.metrics.parked.Set(float64(all.parked))
		m.metrics.endpoints.WithLabelValues("down").Set(float64(all.down))
		m.metrics.endpoints.WithLabelValues("up").Set(float64(len(sessions) - all.down))
		m.metrics.oldest.Set(all.oldest.Seconds())
	})
}

func (s *session) standing(ctx context.Context) (standing, error) {
	e := s.endpoint.Load()
	floor, read, inHand := s.progress.floor()
	now := standing{underway: uint64(inHand)}
	err := s.source.Each(ctx, e.LogSubject(), direct.After(read), func(m direct.Message) (bool, error) {
		now.waiting = m.Pending + 1
		return false, nil
	})
	if err != nil {
		return standing{}, err
	}
	if now.waiting+now.underway > 0 {
		now.oldest = s.age(ctx, floor+1, e.LogSubject())
	}
	s.mu.Lock()
	now.parked = uint64(s.parked)
	s.mu.Unlock()
	if now.parked > 0 {
		if since, found := s.queue.Oldest(ctx, e); found {
			now.oldest = max(now.oldest, s.now().Sub(since))
		}
	}
	if _, down := s.state(); down {
		now.down = 1
	}
	return now, nil
}

// age returns how long ago the first event of the log from a sequence on was stored, or 0 if there is none.
func (s *session) age(ctx context.Context, from uint64, subject string) time.Duration {
	msg, err := s.events.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subject))
	if err != nil {
		return 0
	}
	return max(s.now().Sub(msg.Time), 0)
}

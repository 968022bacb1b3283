package eventlog_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// patientWithRedis waits for Redis for longer than anybody waits for an answer.
func patientWithRedis(o *redis.Options) {
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = 2*time.Minute, 2*time.Minute, 2*time.Minute, 2*time.Minute
}

// TestWhateverWaitsForAHangingRedisIsAnsweredInTime lets each step wait that a call takes on Redis, with a circuit that never opens.
func TestWhateverWaitsForAHangingRedisIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	const user = ident.UserID("usr-1")
	before := failure(user)
	for name, step := range map[string]func(context.Context, *instance) error{
		"an event is appended": func(ctx context.Context, n *instance) error {
			_, err := n.Append(ctx, failure(user))
			return err
		},
		"an event is appended again": func(ctx context.Context, n *instance) error {
			_, err := n.Append(ctx, before)
			return err
		},
		"a change of an account is announced": func(ctx context.Context, n *instance) error {
			_, err := n.AccountChanged(ctx, project, user)
			return err
		},
		"the removal of an account is announced": func(ctx context.Context, n *instance) error {
			return n.AccountGone(ctx, project, user)
		},
		"a change that may not be stored is announced": func(ctx context.Context, n *instance) error {
			n.AccountUncertain(ctx, project, user)
			return nil
		},
		"a history is read": func(ctx context.Context, n *instance) error {
			_, err := n.Read(ctx, project, user, "")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := install(t)
			config := quick()
			config.BreakerFailures = 1_000_000
			n := i.start(config, patientWithRedis)
			mustAppend(t, n, before)
			expect(t, n, user, before)
			n.hang()
			const callers, limit = 20, time.Minute
			var calling sync.WaitGroup
			for range callers {
				calling.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), limit)
					defer cancel()
					if err := step(ctx, n); err != nil || ctx.Err() != nil {
						t.Errorf("%v, %v", err, ctx.Err())
					}
				})
			}
			calling.Wait()
		})
	}
}

func TestReadYourWritesWhileRedisHangsForOneInstanceAlone(t *testing.T) {
	t.Parallel()
	i := install(t)
	writer, reader := i.start(quick(), patientWithRedis), i.start(quick())
	all := []event.Event{failure("usr-1")}
	mustAppend(t, writer, all[0])
	expect(t, reader, "usr-1", all...)
	writer.hang()
	for range 4 {
		e := failure("usr-1")
		mustAppend(t, writer, e)
		all = append(all, e)
		expect(t, reader, "usr-1", all...)
		expect(t, reader, "usr-1", all...)
	}
}

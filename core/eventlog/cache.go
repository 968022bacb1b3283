package eventlog

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Fields of an entry that are no events; event IDs begin with another letter.
const (
	fieldPrefix = ":"
	fieldFill   = ":fill"  // token of the fill that wrote the entry
	fieldReady  = ":ready" // token of the fill that found it whole
	fieldEpoch  = ":epoch" // epoch of the shard when it was filled
	fieldRun    = ":run"   // run of the server in which it was filled
)

// trust says what a reader made of an entry.
type trust string

const (
	trusted   trust = "hit"
	absent    trust = "miss"
	untrusted trust = "untrusted"
)

// entries are the users' histories in Redis.
type entries struct {
	client  *redis.Client
	breaker *gobreaker.CircuitBreaker[any]
	config  Config

	dialled  atomic.Uint64 // connections made
	lastSeen atomic.Pointer[run]
}

// run is one life of the Redis server's process.
type run struct {
	id      string
	dialled uint64 // how many connections had been made when it was asked for
}

func newCache(client *redis.Client, config Config, changed func(from, to gobreaker.State)) *entries {
	c := &entries{client: client, config: config}
	client.AddHook(dialCounter{&c.dialled})
	c.breaker = gobreaker.NewCircuitBreaker[any](gobreaker.Settings{
		Name:          "redis",
		Timeout:       config.BreakerPause,
		ReadyToTrip:   func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= config.BreakerFailures },
		OnStateChange: func(_ string, from, to gobreaker.State) { changed(from, to) },
		// That a caller went away says nothing of Redis.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
	})
	return c
}

func key(project ident.ProjectID, user ident.UserID) string {
	return "{" + string(project) + "/" + string(user) + "}:events"
}

// do runs f unless Redis has failed too often just now.
func (c *entries) do(f func() error) error {
	_, err := c.breaker.Execute(func() (any, error) { return nil, f() })
	return err
}

// read returns the events of an entry if it can be trusted under the epoch.
func (c *entries) read(ctx context.Context, key string, epoch uint64) ([]event.Event, trust, error) {
	var fields map[string]string
	var current string
	err := c.do(func() (err error) {
		if fields, err = c.client.HGetAll(ctx, key).Result(); err != nil {
			return fmt.Errorf("read cache entry: %w", err)
		}
		// After the read: the answer may have come over a new connection.
		current, err = c.run(ctx)
		return err
	})
	if err != nil {
		return nil, untrusted, err
	}
	if len(fields) == 0 {
		return nil, absent, nil
	}
	whole := fields[fieldFill] != "" && fields[fieldFill] == fields[fieldReady]
	if !whole || fields[fieldEpoch] != strconv.FormatUint(epoch, 10) || fields[fieldRun] != current {
		return nil, untrusted, nil
	}
	events, err := decode(fields)
	if err != nil {
		return nil, untrusted, nil //nolint:nilerr // what cannot be read is read from the log
	}
	return events, trusted, nil
}

// decode reads the events of an entry: tens of them at every decision, hence the decoder, which takes a third of the time of encoding/json's.
func decode(fields map[string]string) ([]event.Event, error) {
	events := make([]event.Event, 0, len(fields))
	var raw []byte
	for name, value := range fields {
		if strings.HasPrefix(name, fieldPrefix) {
			continue
		}
		raw = append(raw[:0], value...)
		events = append(events, event.Event{})
		if err := jsonv2.Unmarshal(raw, &events[len(events)-1]); err != nil {
			return nil, fmt.Errorf("decode cached event %s: %w", name, err)
		}
	}
	return events, nil
}

// add puts an event that the log holds into the entry, whether or not there is one.
func (c *entries) add(ctx context.Context, key string, e event.Event) error {
	fields, err := encode([]event.Event{e})
	if err != nil {
		return err
	}
	return c.do(func() error {
		_, err := c.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.HSet(ctx, key, fields...)
			// An entry that this write has made expires too.
			p.ExpireNX(ctx, key, c.config.TTL)
			return nil
		})
		if err != nil {
			return fmt.Errorf("add to cache entry: %w", err)
		}
		return nil
	})
}

// fill makes the entry whole: events is what the log holds, more reads what it got since.
func (c *entries) fill(ctx context.Context, key string, epoch uint64, events []event.Event, more func() ([]event.Event, error)) error {
	fields, err := encode(events)
	if err != nil {
		return err
	}
	current, err := c.run(ctx)
	if err != nil {
		return err
	}
	token := rand.Text()
	fields = append(fields, fieldFill, token, fieldEpoch, strconv.FormatUint(epoch, 10), fieldRun, current)
	err = c.do(func() error {
		_, err := c.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.HSet(ctx, key, fields...)
			p.Expire(ctx, key, c.config.TTL)
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("fill cache entry: %w", err)
	}
	late, err := more()
	if err != nil {
		return err
	}
	if fields, err = encode(late); err != nil {
		return err
	}
	return c.finish(ctx, key, token, fields)
}

// finish adds what came while the entry was filled and, in a command after that, says that it is whole.
func (c *entries) finish(ctx context.Context, key, token string, late []any) error {
	return c.do(func() error {
		_, err := c.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			if len(late) > 0 {
				p.HSet(ctx, key, late...)
			}
			p.HSet(ctx, key, fieldReady, token)
			p.ExpireNX(ctx, key, c.config.TTL)
			return nil
		})
		if err != nil {
			return fmt.Errorf("finish cache entry: %w", err)
		}
		return nil
	})
}

// remove deletes the entry.
func (c *entries) remove(ctx context.Context, key string) error {
	return c.do(func() error {
		if err := c.client.Unlink(ctx, key).Err(); err != nil {
			return fmt.Errorf("remove cache entry: %w", err)
		}
		return nil
	})
}

func encode(events []event.Event) ([]any, error) {
	fields := make([]any, 0, 2*len(events)+6)
	for _, e := range events {
		raw, err := json.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("encode event: %w", err)
		}
		fields = append(fields, string(e.ID), raw)
	}
	return fields, nil
}

// run returns the run ID of the server that answers, asking for it if a connection has been made since it last was: a server that is another one, or
// that lives again, is reached over new connections only. A server that tells none, such as the embedded one, keeps nothing over a restart.
func (c *entries) run(ctx context.Context) (string, error) {
	dialled := c.dialled.Load()
	if seen := c.lastSeen.Load(); seen != nil && seen.dialled == dialled {
		return seen.id, nil
	}
	info, err := c.client.Info(ctx).Result()
	if err != nil {
		return "", fmt.Errorf("ask redis for its run ID: %w", err)
	}
	id := ""
	for line := range strings.Lines(info) {
		if value, found := strings.CutPrefix(line, "run_id:"); found {
			id = strings.TrimSpace(value)
		}
	}
	c.lastSeen.Store(&run{id: id, dialled: dialled})
	return id, nil
}

// dialCounter counts connections once they stand.
type dialCounter struct{ count *atomic.Uint64 }

func (d dialCounter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err == nil {
			d.count.Add(1)
		}
		return conn, err
	}
}

func (d dialCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (d dialCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// detached returns a context for what must be done although the caller may have gone.
func detached(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

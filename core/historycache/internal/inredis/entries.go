package inredis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/historycache/internal/totals"
	"github.com/keyward/keyward/core/historycache/internal/whole"
	"github.com/keyward/keyward/core/sighting"
)

// Fields of an entry that are no events; event IDs begin with another letter.
const (
	fieldPrefix  = ":"
	fieldFill    = ":fill"    // mark of the fill that wrote the entry
	fieldReady   = ":ready"   // mark of the fill that found it whole
	fieldVersion = ":version" // raised with every event that a writer adds
	fieldAccount = ":account" // raised after every change of the user's account
)

// control is what an entry says of itself. Empty strings stand for fields that are not there.
type control struct {
	fill, ready, version, account string
}

// controlFields are those of control, in its order.
var controlFields = [...]string{fieldFill, fieldReady, fieldVersion, fieldAccount}

// judge says whether the entry is whole, and was filled under the epoch and in the run.
func (c control) judge(epoch uint64, run string) entry.Trust {
	if c == (control{}) {
		return entry.Absent
	}
	_, rest, _ := strings.Cut(c.fill, " ")
	filledUnder, filledIn, marked := strings.Cut(rest, " ")
	if !marked || c.fill != c.ready || filledIn != run {
		return entry.Untrusted
	}
	if under, err := strconv.ParseUint(filledUnder, 10, 64); err != nil || under != epoch {
		return entry.Untrusted
	}
	return entry.Trusted
}

// stamp names the state of the user's account that a trusted entry vouches for.
func (c control) stamp() string {
	token, _, _ := strings.Cut(c.fill, " ")
	return token + "." + c.account
}

// vouched returns the stamp of an account that a whole entry vouches for, or "". Whether its epoch and its run are current shows when the
// stamp is used.
func (c control) vouched() string {
	if c.fill == "" || c.fill != c.ready {
		return ""
	}
	return c.stamp()
}

// mark returns what a fill leaves in an entry: a token of its own, the epoch and the run it was filled in.
func mark(epoch uint64, run string) string {
	return rand.Text() + " " + strconv.FormatUint(epoch, 10) + " " + run
}

// entries are the users' histories in Redis.
type entries struct {
	client  redis.UniversalClient
	nodes   sync.Map // *node by *redis.Client; a Redis that is no Cluster is one
	breaker *gobreaker.CircuitBreaker[any]
	config  Config
	failure atomic.Pointer[error] // the last one
	clock   func() time.Time
	totals  *totals.Shared
	written func() sighting.Kinds // sets that a writer must not leave out
}

// node is a server that has some of the entries.
type node struct {
	client   *redis.Client
	reads    *cache.Batch
	writes   *cache.Batch
	dialled  atomic.Uint64 // connections made
	lastSeen atomic.Pointer[run]
	server   atomic.Pointer[server]
	marked   atomic.Pointer[string]     // see mark
	whole    atomic.Pointer[whole.Mark] // as it was read last
}

// run is one life of the Redis server's process.
type run struct {
	id      string
	dialled uint64 // how many connections had been made when it was asked for
}

func newEntries(
	client redis.UniversalClient, config Config, clock func() time.Time, written func() sighting.Kinds,
	changed func(from, to gobreaker.State, cause error),
) *entries {
	c := &entries{client: client, config: config, clock: clock, totals: totals.New(), written: written}
	c.breaker = gobreaker.NewCircuitBreaker[any](gobreaker.Settings{
		Name:          "redis",
		Timeout:       config.BreakerPause,
		ReadyToTrip:   func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= config.BreakerFailures },
		OnStateChange: func(_ string, from, to gobreaker.State) { changed(from, to, c.cause()) },
		// That a caller went away says nothing of Redis.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
	})
	return c
}

// do runs f on the server that has the key, unless Redis has failed too often just now. A server that no longer has the key says so: that
// is a failure, after which it is found out who has.
func (c *entries) do(ctx context.Context, key string, f func(*node) error) error {
	_, err := c.breaker.Execute(func() (any, error) {
		n, err := c.node(ctx, key)
		if err == nil {
			err = f(n)
		}
		if err != nil {
			c.failure.Store(&err)
			cache.Relearn(ctx, c.client)
		}
		return nil, err
	})
	return err
}

// node returns the server that has the key.
func (c *entries) node(ctx context.Context, key string) (*node, error) {
	client, err := cache.Node(ctx, c.client, key)
	if err != nil {
		return nil, err
	}
	return c.nodeOf(client), nil
}

func (c *entries) nodeOf(client *redis.Client) *node {
	if known, is := c.nodes.Load(client); is {
		return known.(*node) //nolint:forcetypeassert // nothing else is stored
	}
	n := &node{client: client, reads: cache.NewBatch(client), writes: cache.NewBatch(client)}
	known, is := c.nodes.LoadOrStore(client, n)
	if !is {
		client.AddHook(dialCounter{&n.dialled})
	}
	return known.(*node) //nolint:forcetypeassert // nothing else is stored
}

// cause returns why Redis was not reached last, nil if it always was.
func (c *entries) cause() error {
	if failure := c.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

// look returns what the entry says of itself, and whether it can be trusted under the epoch.
func (c *entries) look(ctx context.Context, key string, epoch uint64, along *entry.Looked) (control, entry.Trust, error) {
	cmd := redis.NewSliceCmd(ctx, "hmget", key, fieldFill, fieldReady, fieldVersion, fieldAccount)
	current, err := c.ask(ctx, key, cmd, along)
	if err != nil {
		return control{}, entry.Untrusted, err
	}
	said, err := controlOf(cmd.Val())
	if err != nil {
		return control{}, entry.Untrusted, err
	}
	return said, said.judge(epoch, current), nil
}

// fields returns all that an entry holds, and whether it can be trusted under the epoch.
func (c *entries) fields(
	ctx context.Context, key string, epoch uint64, along *entry.Looked,
) (map[string]string, control, entry.Trust, error) {
	cmd := redis.NewMapStringStringCmd(ctx, "hgetall", key)
	current, err := c.ask(ctx, key, cmd, along)
	if err != nil {
		return nil, control{}, entry.Untrusted, err
	}
	fields := cmd.Val()
	said := control{fill: fields[fieldFill], ready: fields[fieldReady], version: fields[fieldVersion], account: fields[fieldAccount]}
	return fields, said, said.judge(epoch, current), nil
}

// read returns an entry with its events if it can be trusted under the epoch.
func (c *entries) read(ctx context.Context, key string, epoch uint64, along *entry.Looked) (*known, entry.Trust, error) {
	fields, said, result, err := c.fields(ctx, key, epoch, along)
	if err != nil || result != entry.Trusted {
		return nil, result, err
	}
	events, err := decode(fields)
	if err != nil {
		return nil, entry.Untrusted, nil //nolint:nilerr // what cannot be read is read from the log
	}
	return newKnown(said, events), entry.Trusted, nil
}

// controlOf reads the reply to a command that asked for controlFields.
func controlOf(reply []any) (control, error) {
	var texts [len(controlFields)]string
	if len(reply) != len(texts) {
		return control{}, fmt.Errorf("read cache entry: %d fields instead of %d", len(reply), len(texts))
	}
	for i, field := range reply {
		texts[i], _ = field.(string) // nil if it is not there
	}
	return control{fill: texts[0], ready: texts[1], version: texts[2], account: texts[3]}, nil
}

// decode reads the events of an entry: tens of them at every decision, hence the decoder, which takes a third of the time of
// encoding/json's.
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

// add puts an event that the log holds, in JSON, into a field of the entry, whether or not there is one, and returns what the entry then
// says of itself. What goes along goes to each server at the same time.
func (c *entries) add(ctx context.Context, key, field string, raw []byte, along map[*node][]redis.Cmder) (control, error) {
	return c.writeWith(ctx, "add to cache entry", key, along,
		redis.NewCmd(ctx, "hset", key, field, raw),
		redis.NewCmd(ctx, "hincrby", key, fieldVersion, 1))
}

// noteAccount says in the entry, whether or not there is one, that the account has changed.
func (c *entries) noteAccount(ctx context.Context, key string) (control, error) {
	return c.write(ctx, "note a changed account in the cache entry", key, redis.NewCmd(ctx, "hincrby", key, fieldAccount, 1))
}

// write changes an entry in one step and returns what it says of itself after that. The transaction is spelled out because the client's
// own cannot be sent together with others.
func (c *entries) write(ctx context.Context, what, key string, changes ...redis.Cmder) (said control, err error) {
	return c.writeWith(ctx, what, key, nil, changes...)
}

func (c *entries) writeWith(
	ctx context.Context, what, key string, along map[*node][]redis.Cmder, changes ...redis.Cmder,
) (said control, err error) {
	const around = 4
	cmds := make([]redis.Cmder, 0, len(changes)+around)
	cmds = append(cmds, redis.NewCmd(ctx, "multi"))
	cmds = append(cmds, changes...)
	exec := redis.NewSliceCmd(ctx, "exec")
	cmds = append(cmds,
		// An entry that this write has made expires too.
		redis.NewCmd(ctx, "expire", key, int64(c.config.TTL/time.Second), "nx"),
		redis.NewCmd(ctx, "hmget", key, fieldFill, fieldReady, fieldVersion, fieldAccount),
		exec)
	err = c.do(ctx, key, func(n *node) error {
		if err := n.spread(ctx, cmds, along); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		said, err = afterWrite(exec.Val())
		return err
	})
	return said, err
}

// afterWrite reads the reply to a transaction whose last command asked for controlFields.
func afterWrite(replies []any) (control, error) {
	for _, reply := range replies {
		if err, failed := reply.(error); failed {
			return control{}, fmt.Errorf("write cache entry: %w", err)
		}
	}
	if len(replies) == 0 {
		return control{}, errors.New("write cache entry: the transaction was not answered")
	}
	last, _ := replies[len(replies)-1].([]any)
	return controlOf(last)
}

// fill makes the entry whole: events is what the log holds, more reads what it got since, and field names where an event goes. It returns
// what the entry said of itself at last; it is not whole if something came in between.
func (c *entries) fill(
	ctx context.Context, key string, epoch uint64, field func(*event.Event) string, events []event.Event, more func() ([]event.Event, error),
) (control, error) {
	fields := encode(events, field)
	var filled string
	err := c.do(ctx, key, func(n *node) error {
		current, err := n.run(ctx)
		if err != nil {
			return err
		}
		filled = mark(epoch, current)
		fields = append(fields, fieldFill, filled)
		_, err = n.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.HSet(ctx, key, fields...)
			p.Expire(ctx, key, c.config.TTL)
			return nil
		})
		return err
	})
	if err != nil {
		return control{}, fmt.Errorf("fill cache entry: %w", err)
	}
	late, err := more()
	if err != nil {
		return control{}, err
	}
	fields = encode(late, field)
	// In this order: what came meanwhile, then that the entry is whole.
	fields = append(fields, fieldReady, filled)
	return c.write(ctx, "finish cache entry", key, redis.NewCmd(ctx, append([]any{"hset", key}, fields...)...))
}

// trim removes all events of an entry but the n whose names are the last. What stays although it should go is only more than need be.
func (c *entries) trim(ctx context.Context, key string, n int) error {
	return c.do(ctx, key, func(at *node) error {
		names := redis.NewStringSliceCmd(ctx, "hkeys", key)
		if err := at.reads.Do(ctx, names); err != nil {
			return fmt.Errorf("list cache entry: %w", err)
		}
		named := inOrder(names.Val())
		over := named[:max(0, len(named)-n)]
		if len(over) == 0 {
			return nil
		}
		remove := []any{"hdel", key}
		for _, name := range over {
			remove = append(remove, name)
		}
		return at.writes.Do(ctx, redis.NewIntCmd(ctx, remove...))
	})
}

// remove deletes a user's entries, which one server has.
func (c *entries) remove(ctx context.Context, keys ...string) error {
	return c.do(ctx, keys[0], func(n *node) error {
		if err := n.client.Unlink(ctx, keys...).Err(); err != nil {
			return fmt.Errorf("remove cache entry: %w", err)
		}
		return nil
	})
}

func encode(events []event.Event, field func(*event.Event) string) []any {
	fields := make([]any, 0, 2*len(events)+2)
	for i := range events {
		fields = append(fields, field(&events[i]), events[i].AppendJSON(nil))
	}
	return fields
}

// run returns the run ID of the server that answers, asking for it if a connection has been made since it last was: a server that is
// another one, or that lives again, is reached over new connections only. A server that tells none keeps nothing over a restart.
func (n *node) run(ctx context.Context) (string, error) {
	dialled := n.dialled.Load()
	if seen := n.lastSeen.Load(); seen != nil && seen.dialled == dialled {
		return seen.id, nil
	}
	info, err := n.client.Info(ctx).Result()
	if err != nil {
		return "", fmt.Errorf("ask redis for its run ID: %w", err)
	}
	id := ""
	for line := range strings.Lines(info) {
		if value, found := strings.CutPrefix(line, "run_id:"); found {
			id = strings.TrimSpace(value)
		}
	}
	n.lastSeen.Store(&run{id: id, dialled: dialled})
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

package inredis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/historycache/internal/whole"
	"github.com/keyward/keyward/core/sighting"
)

// Of each server, whether nothing is missing from the sets that it has: a hash that a rebuild opens with a token, and ends with the same.
const (
	fieldOpened  = "opened"
	fieldWhole   = "whole"   // see whole.Mark
	fieldUnknown = "unknown" // until when names of nobody may be missing that a writer has lost, in Unix ms
)

// maxStale is how old what is known of a server may be.
const maxStale = 5 * time.Second

// server is what is asked of one once a second.
type server struct {
	evicted uint64
	asked   time.Time
}

// sought are the commands of a read that go to one server.
type sought struct {
	before, after *redis.SliceCmd
	sets          []*redis.StringSliceCmd
	at            []int // of each set, its place among the keys
	run           string
	err           error
}

func (s *sought) commands() []redis.Cmder {
	if s == nil {
		return nil
	}
	all := []redis.Cmder{s.before}
	for _, set := range s.sets {
		all = append(all, set)
	}
	return append(all, s.after)
}

// seek returns the commands of a read by server. Without sets there are none.
func (c *entries) seek(ctx context.Context, l *entry.Looked) (map[*node]*sought, error) {
	if l == nil {
		return nil, nil
	}
	found := map[*node]*sought{}
	for i, key := range l.Keys {
		if key == (sighting.Key{}) {
			continue
		}
		text := key.String()
		n, err := c.node(ctx, text)
		if err != nil {
			return nil, err
		}
		s := found[n]
		if s == nil {
			key, err := n.markKey(ctx, c.client)
			if err != nil {
				return nil, err
			}
			s = &sought{before: lookAtMark(ctx, key), after: lookAtMark(ctx, key)}
			found[n] = s
		}
		s.sets = append(s.sets, redis.NewStringSliceCmd(ctx, "zrevrange", text, 0, sighting.Cap-1))
		s.at = append(s.at, i)
	}
	return found, nil
}

func lookAtMark(ctx context.Context, mark string) *redis.SliceCmd {
	return redis.NewSliceCmd(ctx, "hmget", mark, fieldOpened, fieldWhole, fieldUnknown)
}

// markKey is the key of the hash on the server: of a Cluster one that lies there. Versions that knew no kinds have another.
func (n *node) markKey(ctx context.Context, client redis.UniversalClient) (string, error) {
	const name = "keyward:sightings:kinds"
	if _, clustered := client.(*redis.ClusterClient); !clustered {
		return name, nil
	}
	if known := n.marked.Load(); known != nil {
		return *known, nil
	}
	const most = 1 << 14 // slots of a Cluster
	for i := range most {
		key := name + ":{" + strconv.Itoa(i) + "}"
		on, err := cache.Node(ctx, client, key)
		if err != nil {
			return "", err
		}
		if on == n.client {
			n.marked.Store(&key)
			return key, nil
		}
	}
	return "", errors.New("a server of the cluster has no slots")
}

// ask sends a command that reads, with those of a read of sets, and returns the run of the server that answered. What goes to other servers
// goes there at the same time, and what of it is not answered is missing.
func (c *entries) ask(ctx context.Context, key string, cmd redis.Cmder, along *entry.Looked) (current string, err error) {
	parts, err := c.seek(ctx, along)
	if err != nil {
		parts = nil // nothing is found then
	}
	var others sync.WaitGroup
	err = c.do(ctx, key, func(n *node) (err error) {
		for other, part := range parts {
			if other != n {
				others.Go(func() { part.run, part.err = other.read(ctx, part.commands()) })
			}
		}
		current, err = n.read(ctx, append([]redis.Cmder{cmd}, parts[n].commands()...))
		if own := parts[n]; own != nil {
			own.run, own.err = current, err
		}
		return err
	})
	others.Wait()
	if err == nil && len(parts) > 0 {
		c.take(along, parts)
	}
	return current, err
}

// read sends commands and returns the run of the server that answered.
func (n *node) read(ctx context.Context, cmds []redis.Cmder) (run string, err error) {
	if err := n.reads.Do(ctx, cmds...); err != nil {
		return "", fmt.Errorf("read cache entry: %w", err)
	}
	// After the read: the answer may have come over a new connection.
	return n.run(ctx)
}

// take reads what servers answered.
func (c *entries) take(l *entry.Looked, parts map[*node]*sought) {
	since := sighting.Since{}
	for n, part := range parts {
		if part.err != nil {
			since = sighting.NeverSince()
			continue
		}
		said := n.said(part, l.Epoch, c.clock())
		for i, cmd := range part.sets {
			set, whole := parsed(cmd.Val())
			l.Seen.Sets[part.at[i]] = set
			if !whole || said == nil {
				since = sighting.NeverSince()
				continue
			}
			since = entry.Later(since, said.Kinds.Of(l.Keys[part.at[i]].Kind(), &l.Wanted))
		}
		if said != nil {
			since.Unknown = max(since.Unknown, said.Lost)
		}
	}
	l.Seen.Since = since
	l.Seen.Totals = c.totals.Of(l.Project)
}

// parsed reads the members of a set. One of a later version is left out, and missing then.
func parsed(members []string) (sighting.Set, bool) {
	all, whole := make([]sighting.Sighting, 0, len(members)), true
	for _, member := range members {
		one, err := sighting.Parse(member)
		if err != nil {
			whole = false
			continue
		}
		all = append(all, one)
	}
	return sighting.NewSet(all), whole
}

// said judges the mark of a server, as it was before sets were read and after: had they been lost in between, it would be another. Nil =
// anything may be missing.
func (n *node) said(part *sought, epoch uint64, now time.Time) *whole.Mark {
	before, after := part.before.Val(), part.after.Val()
	state := n.server.Load()
	same := len(before) == 3 && len(after) == 3 && before[0] == after[0] && before[1] == after[1]
	if !same || state == nil || now.Sub(state.asked) > maxStale {
		return nil
	}
	opened, _ := after[0].(string)
	whole, _ := after[1].(string)
	lost, _ := after[2].(string)
	m := n.markIn(whole)
	if m == nil || opened == "" || m.Token != opened || m.Epoch != epoch || m.Run != part.run || m.Evicted != state.evicted {
		return nil
	}
	until, err := strconv.ParseInt(lost, 10, 64)
	if err != nil || until == m.Lost {
		return m
	}
	told := *m
	told.Lost = until
	return &told
}

// markIn reads what fieldWhole says; nil if it is none. It stays the same for long.
func (n *node) markIn(text string) *whole.Mark {
	if known := n.whole.Load(); known != nil && known.Text == text {
		return known
	}
	m := whole.Parse(text)
	if m != nil {
		n.whole.Store(m)
	}
	return m
}

// adding returns the commands that add what was seen to the sets of one server; one in so many trims its sets, so that they stay small.
func adding(ctx context.Context, horizon time.Duration, key sighting.Key, one sighting.Sighting) []redis.Cmder {
	const trims = 8
	text, member := key.String(), one.Member()
	cmds := []redis.Cmder{
		redis.NewIntCmd(ctx, "zadd", text, one.Ms, member[:]),
		redis.NewBoolCmd(ctx, "expire", text, int64(horizon/time.Second)),
	}
	if one.Event%trims == 0 {
		cmds = append(cmds, redis.NewIntCmd(ctx, "zremrangebyrank", text, 0, -sighting.Cap-1))
	}
	return cmds
}

// byNode returns commands for sets by the server that has them.
func (c *entries) byNode(
	ctx context.Context, all []entry.Sighted, commands func(sighting.Key, sighting.Sighting) []redis.Cmder,
) (map[*node][]redis.Cmder, error) {
	found := map[*node][]redis.Cmder{}
	for _, one := range all {
		for _, key := range one.Keys {
			n, err := c.node(ctx, key.String())
			if err != nil {
				return nil, err
			}
			found[n] = append(found[n], commands(key, one.Sighting)...)
		}
	}
	return found, nil
}

// send sends commands to several servers at once. The first error is returned.
func (c *entries) send(ctx context.Context, what string, by map[*node][]redis.Cmder) error {
	_, err := c.breaker.Execute(func() (any, error) {
		var sending sync.WaitGroup
		errs := make([]error, 0, len(by))
		var mu sync.Mutex
		for n, cmds := range by {
			sending.Go(func() {
				if err := n.writes.Do(ctx, cmds...); err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, fmt.Errorf("%s: %w", what, err))
				}
			})
		}
		sending.Wait()
		err := errors.Join(errs...)
		if err != nil {
			c.failure.Store(&err)
			cache.Relearn(ctx, c.client)
		}
		return nil, err
	})
	return err
}

// opened begins to make the sets of a server whole.
func (n *node) opened(ctx context.Context, client redis.UniversalClient) (token string, err error) {
	key, err := n.markKey(ctx, client)
	if err != nil {
		return "", err
	}
	token = rand.Text()
	if err := n.writes.Do(ctx, redis.NewIntCmd(ctx, "hset", key, fieldOpened, token)); err != nil {
		return "", fmt.Errorf("open the sets of sightings: %w", err)
	}
	return token, nil
}

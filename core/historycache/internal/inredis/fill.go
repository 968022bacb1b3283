package inredis

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/historycache/internal/whole"
	"github.com/keyward/keyward/core/sighting"
)

// Sets are the sets in Redis.
type Sets struct{ *entries }

// Look reads sets by themselves, in one round trip. What a server does not answer is missing.
func (s *Sets) Look(ctx context.Context, l *entry.Looked) error {
	ctx, cancel := entry.Asked(ctx)
	defer cancel()
	parts, err := s.seek(ctx, l)
	if err != nil {
		return err
	}
	_, err = s.breaker.Execute(func() (any, error) {
		var reading sync.WaitGroup
		for n, part := range parts {
			reading.Go(func() { part.run, part.err = n.read(ctx, part.commands()) })
		}
		reading.Wait()
		for _, part := range parts {
			if part.err != nil {
				s.failure.Store(&part.err)
				return nil, part.err
			}
		}
		return nil, nil
	})
	if err == nil && len(parts) > 0 {
		s.take(l, parts)
	}
	return err
}

// seeing returns what adds an event to the sets that it is counted in, by server.
func (c *entries) seeing(ctx context.Context, e *event.Event) (map[*node][]redis.Cmder, error) {
	one, counts := entry.SightedIn(e)
	if !counts {
		return nil, nil
	}
	c.totals.Count(&one)
	one.Keys = c.written().Of(one.Keys)
	return c.byNode(ctx, []entry.Sighted{one}, func(key sighting.Key, one sighting.Sighting) []redis.Cmder {
		return adding(ctx, entry.Horizon, key, one)
	})
}

// spread sends commands to the server, and those that go along to each, at the same time.
func (n *node) spread(ctx context.Context, cmds []redis.Cmder, along map[*node][]redis.Cmder) error {
	var others sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for other, more := range along {
		if other != n {
			others.Go(func() {
				if err := other.writes.Do(ctx, more...); err != nil {
					mu.Lock()
					defer mu.Unlock()
					failed = err
				}
			})
		}
	}
	err := n.writes.Do(ctx, append(cmds, along[n]...)...)
	others.Wait()
	if err == nil {
		err = failed
	}
	return err
}

// See adds what was seen.
func (s *Sets) See(ctx context.Context, horizon time.Duration, isNew bool, all ...entry.Sighted) error {
	kinds, some := s.written(), make([]entry.Sighted, len(all))
	for i, one := range all {
		if isNew {
			s.totals.Count(&one)
		}
		one.Keys = kinds.Of(one.Keys)
		some[i] = one
	}
	by, err := s.byNode(ctx, some, func(key sighting.Key, one sighting.Sighting) []redis.Cmder { return adding(ctx, horizon, key, one) })
	if err != nil {
		return err
	}
	return s.send(ctx, "add to sets of sightings", by)
}

// Forget removes what was seen of somebody, and whole sets. It reports whether they may be made whole at the moment, which may bring some
// of it back.
func (s *Sets) Forget(ctx context.Context, gone []entry.Sighted, sets ...sighting.Key) (again bool, err error) {
	again = s.beingMadeWhole(ctx) // before: who ends meanwhile may have added since
	by, err := s.byNode(ctx, gone, func(key sighting.Key, one sighting.Sighting) []redis.Cmder {
		member := one.Member()
		return []redis.Cmder{redis.NewIntCmd(ctx, "zrem", key.String(), member[:])}
	})
	if err != nil {
		return again, err
	}
	for _, key := range sets {
		n, err := s.node(ctx, key.String())
		if err != nil {
			return again, err
		}
		by[n] = append(by[n], redis.NewIntCmd(ctx, "unlink", key.String()))
	}
	return again, s.send(ctx, "remove from sets of sightings", by)
}

// beingMadeWhole reports whether somebody has the lease for a rebuild, or may have lost it with all that a server had.
func (s *Sets) beingMadeWhole(ctx context.Context) bool {
	if n, err := s.client.Exists(ctx, leaseKey).Result(); err != nil || n > 0 {
		return true
	}
	nodes, err := s.servers(ctx)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(nodes, func(n *node) bool {
		key, err := n.markKey(ctx, s.client)
		if err != nil {
			return true
		}
		opened := redis.NewBoolCmd(ctx, "hexists", key, fieldOpened)
		return n.reads.Do(ctx, opened) != nil || !opened.Val()
	})
}

// servers returns all that have sets.
func (c *entries) servers(ctx context.Context) ([]*node, error) {
	all, is := c.client.(*redis.ClusterClient)
	if !is {
		n, err := c.node(ctx, "")
		return []*node{n}, err
	}
	var mu sync.Mutex
	var found []*node
	err := all.ForEachMaster(ctx, func(_ context.Context, client *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		found = append(found, c.nodeOf(client))
		return nil
	})
	return found, err
}

// The lease of who makes sets whole is for sparing work, and says to who forgets somebody that what was read of them may yet be added: who
// finds it lost adds no more.
const (
	leaseKey   = "keyward:sightings:rebuild"
	leaseLimit = entry.RebuildLimit + 30*time.Second
)

// perAdd is how many sightings a rebuild writes at once.
const perAdd = 250

// Rebuild makes the sets of all servers whole, of the kinds that are wanted, unless they are. Each server is opened with a token before
// anything is read, and is whole only if it has that token still at the end: then nothing of it was lost meanwhile. One that lacks kinds
// alone keeps its token, and what is whole stays so.
func (s *Sets) Rebuild(ctx context.Context, epoch uint64, wanted *entry.Settled, find entry.Finder) error {
	lacking, err := s.lacking(ctx, epoch, &wanted.Generations)
	if err != nil || len(lacking) == 0 {
		return err
	}
	mine, err := s.lease(ctx)
	if err != nil || mine == "" {
		return err
	}
	defer s.release(ctx, mine)
	if lacking, err = s.lacking(ctx, epoch, &wanted.Generations); err != nil { // who had the lease may have done it
		return err
	}
	if err := s.fill(ctx, lacking, epoch, wanted, mine, find); !errors.Is(err, errLeaseLost) {
		return err
	}
	return nil // it is looked again soon whether they are whole
}

// lease takes the lease, and returns whose it is then; empty if another one has it.
func (s *Sets) lease(ctx context.Context) (mine string, err error) {
	ctx, cancel := soon(ctx)
	defer cancel()
	mine = rand.Text()
	if taken, err := s.client.SetNX(ctx, leaseKey, mine, leaseLimit).Result(); err != nil || !taken {
		return "", err
	}
	return mine, nil
}

func (s *Sets) release(ctx context.Context, mine string) {
	ctx, cancel := soon(context.WithoutCancel(ctx))
	defer cancel()
	if s.held(ctx, mine) == nil {
		s.client.Del(ctx, leaseKey)
	}
}

// errLeaseLost says that who makes sets whole has lost the lease: so has Redis all that it had.
var errLeaseLost = errors.New("the lease of a rebuild of sets of sightings is lost")

// held returns errLeaseLost if the lease is not mine any more.
func (s *Sets) held(ctx context.Context, mine string) error {
	holder, err := s.client.Get(ctx, leaseKey).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("look after the lease of a rebuild: %w", err)
	}
	if holder != mine {
		return errLeaseLost
	}
	return nil
}

// lacking returns the servers whose sets are to be made whole, each with its mark, nil if that says nothing.
func (s *Sets) lacking(ctx context.Context, epoch uint64, wanted *entry.Generations) (map[*node]*whole.Mark, error) {
	ctx, cancel := soon(ctx)
	defer cancel()
	nodes, err := s.servers(ctx)
	if err != nil {
		return nil, err
	}
	lacking := map[*node]*whole.Mark{}
	for _, n := range nodes {
		m, answers := s.wholeOf(ctx, n, epoch)
		if known := cmp.Or(m, &whole.Mark{}); answers && known.Kinds.Lacks(wanted) != 0 {
			lacking[n] = m
		}
	}
	return lacking, nil
}

// soon limits what nobody's call does: it would wait for a Redis that hangs for as long as the client does, and others for it.
func soon(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, entry.MostPatience)
}

// open begins to make servers' sets whole, and returns what is to be said of them in the end.
func (s *Sets) open(ctx context.Context, lacking map[*node]*whole.Mark, epoch uint64) (map[*node]*whole.Mark, error) {
	ctx, cancel := soon(ctx)
	defer cancel()
	marks := make(map[*node]*whole.Mark, len(lacking))
	for n, known := range lacking {
		if known != nil {
			added := *known
			marks[n] = &added
			continue
		}
		token, err := n.opened(ctx, s.client)
		if err != nil {
			return nil, err
		}
		run, err := n.run(ctx)
		if err != nil {
			return nil, err
		}
		state, err := n.look(ctx, s.clock())
		if err != nil {
			return nil, err
		}
		marks[n] = &whole.Mark{Token: token, Epoch: epoch, Run: run, Evicted: state.evicted}
	}
	return marks, nil
}

// close says of servers that nothing is missing from their sets of the kinds since a time.
func (s *Sets) close(
	ctx context.Context, marks map[*node]*whole.Mark, kinds sighting.Kinds, wanted *entry.Settled, since sighting.Since,
) error {
	ctx, cancel := soon(ctx)
	defer cancel()
	for n, m := range marks {
		key, err := n.markKey(ctx, s.client)
		if err != nil {
			return err
		}
		m.Kinds.Found(kinds&m.Kinds.Lacks(&wanted.Generations), wanted, since)
		if err := n.writes.Do(ctx, redis.NewIntCmd(ctx, "hset", key, fieldWhole, m.String())); err != nil {
			return fmt.Errorf("close the sets of sightings: %w", err)
		}
	}
	return nil
}

func (s *Sets) fill(
	ctx context.Context, lacking map[*node]*whole.Mark, epoch uint64, wanted *entry.Settled, mine string, find entry.Finder,
) error {
	marks, err := s.open(ctx, lacking, epoch)
	if err != nil {
		return err
	}
	var kinds sighting.Kinds
	for _, m := range marks {
		kinds |= m.Kinds.Lacks(&wanted.Generations)
	}
	if kinds == 0 {
		return nil
	}
	var waiting []entry.Sighted
	write := func(ctx context.Context) error {
		if len(waiting) == 0 {
			return nil
		}
		ctx, cancel := soon(ctx)
		defer cancel()
		if err := s.held(ctx, mine); err != nil {
			return err
		}
		err := s.See(ctx, entry.Horizon, false, waiting...)
		waiting = waiting[:0]
		return err
	}
	since, err := find(ctx, kinds, func(ctx context.Context, all ...entry.Sighted) error {
		if waiting = append(waiting, all...); len(waiting) < perAdd {
			return nil
		}
		return write(ctx)
	})
	if err == nil {
		err = write(ctx)
	}
	if err != nil {
		return err
	}
	return s.close(ctx, marks, kinds, wanted, since)
}

// wholeOf returns what a server's mark says; nil if it says nothing. One that does not answer cannot be helped.
func (s *Sets) wholeOf(ctx context.Context, n *node, epoch uint64) (m *whole.Mark, answers bool) {
	key, err := n.markKey(ctx, s.client)
	if err != nil {
		return nil, false
	}
	told := lookAtMark(ctx, key)
	run, err := n.read(ctx, []redis.Cmder{told})
	if err != nil {
		return nil, false
	}
	return n.said(&sought{before: told, after: told, run: run}, epoch, s.clock()), true
}

// look asks a server how many keys it has evicted.
func (n *node) look(ctx context.Context, now time.Time) (*server, error) {
	cmd := redis.NewStringCmd(ctx, "info", "stats")
	if err := n.reads.Do(ctx, cmd); err != nil {
		return nil, fmt.Errorf("ask redis what it has evicted: %w", err)
	}
	state := &server{asked: now}
	for line := range strings.Lines(cmd.Val()) {
		if value, found := strings.CutPrefix(line, "evicted_keys:"); found {
			state.evicted, _ = strconv.ParseUint(strings.TrimSpace(value), 10, 64) // one that counts none has evicted none
		}
	}
	n.server.Store(state)
	return state, nil
}

// Refresh is for once a second: it asks all servers what they have evicted, tells them until when names of nobody have been lost, in Unix
// ms, and takes and brings the totals of projects. An error says that some of those are lost.
func (s *Sets) Refresh(ctx context.Context, lostMs int64) error {
	ctx, cancel := soon(ctx)
	defer cancel()
	nodes, err := s.servers(ctx)
	if err != nil {
		return nil // what is known of them grows old
	}
	for _, n := range nodes {
		if _, err := n.look(ctx, s.clock()); err != nil {
			continue
		}
		if lostMs != 0 {
			if key, err := n.markKey(ctx, s.client); err == nil {
				_ = n.writes.Do(ctx, redis.NewIntCmd(ctx, "hset", key, fieldUnknown, lostMs)) // it is told again
			}
		}
	}
	return s.totals.Exchange(ctx, s.client, s.clock())
}

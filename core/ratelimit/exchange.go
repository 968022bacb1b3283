package ratelimit

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// perPipeline bounds how much one round trip carries, and so how long the answer takes.
	perPipeline = 500
	// pause is how long Redis is left alone after it did not answer.
	pause = time.Second
	// settling is for how long after the turn of windows other instances may still report calls of the one before.
	settling = 2 * time.Second
	// outliving is how long a count is kept in Redis beyond its use, for clocks that differ.
	outliving = time.Minute
)

// Run exchanges counts with Redis until ctx ends, and once more then, and forgets idle keys. It is to be run once.
func (l *Limiter) Run(ctx context.Context) {
	ticker := time.NewTicker(l.cfg.Interval)
	defer ticker.Stop()
	var resume time.Time
	for turn := 0; ; turn++ {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.cfg.Interval)
			defer cancel()
			_ = l.Exchange(last)
			return
		case now := <-ticker.C:
			if now.After(resume) && l.Exchange(ctx) != nil {
				resume = now.Add(pause)
			}
			l.sweep(turn % shards)
		}
	}
}

// share is what one entry has to tell and to ask in an exchange.
type share struct {
	entry *entry
	shard *shard
	name
	per   int64   // ns
	parts [2]part // of the current window, and of the one before
}

// part is one count of a share.
type part struct {
	index  int64 // of the window
	add    int64 // what this instance counted
	wanted bool
	dated  bool // has an expiry already
	answer *redis.IntCmd
	read   *redis.StringCmd
}

// Exchange tells Redis what was counted since the last exchange and learns what all instances counted. Run calls it; an error means that
// Redis did not answer. What could not be told counts for this instance alone: telling it again might count it twice.
func (l *Limiter) Exchange(ctx context.Context) error {
	shares := l.gather()
	if l.redis == nil {
		return nil
	}
	var failed error
	for len(shares) > 0 {
		some := shares[:min(len(shares), perPipeline)]
		shares = shares[len(some):]
		if failed == nil {
			failed = l.tell(ctx, some)
		}
		l.learn(some)
	}
	if failed != nil {
		l.metrics.failures.Inc()
	}
	return failed
}

// gather takes the lists of active entries.
func (l *Limiter) gather() []share {
	now := l.clock().UnixNano()
	var shares []share
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for _, e := range s.active {
			e.listed = false
			if !e.past(now) {
				shares = append(shares, e.share(s, now))
			}
		}
		clear(s.active)
		s.active = s.active[:0]
		s.mu.Unlock()
	}
	return shares
}

func (e *entry) share(s *shard, now int64) share {
	e.turn(now, e.per)
	sh := share{entry: e, shard: s, name: e.name, per: e.per}
	sh.parts[0] = part{index: e.index, add: e.cur.pending, wanted: true, dated: e.dated == e.index}
	// The count of the window before is final soon after its end.
	if e.settled != e.index || e.prev.pending > 0 {
		sh.parts[1] = part{index: e.index - 1, add: e.prev.pending, wanted: true, dated: true}
	}
	return sh
}

// tell sends the shares in one round trip.
func (l *Limiter) tell(ctx context.Context, shares []share) error {
	pipe := l.redis.Pipeline()
	for i := range shares {
		sh := &shares[i]
		for j := range sh.parts {
			p := &sh.parts[j]
			if !p.wanted {
				continue
			}
			key := sh.redisKey(p.index)
			if p.add == 0 {
				p.read = pipe.Get(ctx, key)
				continue
			}
			p.answer = pipe.IncrBy(ctx, key, p.add)
			if !p.dated {
				pipe.PExpire(ctx, key, 2*time.Duration(sh.per)+outliving)
			}
		}
	}
	_, err := pipe.Exec(ctx)
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	return nil
}

// redisKey names the count of a window.
func (sh *share) redisKey(index int64) string {
	b := make([]byte, 0, 96)
	b = append(b, "{rate/"...)
	b = append(b, sh.kind.String()...)
	b = append(b, '/')
	b = append(b, sh.key...)
	b = append(b, "}:"...)
	b = strconv.AppendInt(b, sh.per/int64(time.Millisecond), 10)
	b = append(b, ':')
	b = strconv.AppendInt(b, index, 10)
	return string(b)
}

// learn takes over the answers.
func (l *Limiter) learn(shares []share) {
	now := l.clock().UnixNano()
	for i := range shares {
		sh := &shares[i]
		sh.shard.mu.Lock()
		if sh.entry.per == sh.per {
			sh.entry.learn(sh.parts, now)
		}
		sh.shard.mu.Unlock()
	}
}

func (e *entry) learn(parts [2]part, now int64) {
	for i, p := range parts {
		t := e.tally(p.index)
		if !p.wanted || t == nil || t.pending < p.add {
			continue
		}
		t.pending -= p.add
		t.known += p.add
		said, ok := p.said()
		if !ok {
			continue
		}
		// A Redis that was emptied knows less than this instance.
		t.known = max(t.known, said)
		switch {
		case i == 0 && p.add > 0:
			e.dated = p.index
		case i == 1 && now-(p.index+1)*e.per > int64(min(settling, time.Duration(e.per)/2)):
			e.settled = p.index + 1
		}
	}
}

// said returns the count that Redis answered.
func (p part) said() (int64, bool) {
	switch {
	case p.answer != nil && p.answer.Err() == nil:
		return p.answer.Val(), true
	case p.read != nil && errors.Is(p.read.Err(), redis.Nil):
		return 0, true
	case p.read != nil && p.read.Err() == nil:
		n, err := p.read.Int64()
		return n, err == nil
	}
	return 0, false
}

// sweep forgets what is past in one shard.
func (l *Limiter) sweep(i int) {
	now := l.clock().UnixNano()
	s := &l.shards[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, e := range s.entries {
		if e.past(now) {
			delete(s.entries, n)
		}
	}
}

// Package ratelimit says whether a call may go on, by how many were made with the same key lately: of a project, from an address, or with
// wrong credentials. The answer comes from memory, so a call waits for no server; Run tells Redis what this instance let through and learns
// what others did, about ten times a second. Without Redis each instance keeps the limit by itself.
//
// How exact it is. A key has a count for the current window, of the limit's length and aligned to the clock, and one for the window before,
// which weighs as much as a sliding window would still cover of it. One instance lets through at most the limit at once and per aligned
// window, and less than twice the limit in any span of that length. An instance does not know of calls that others let through since the
// last exchange: with n instances these can be n-1 times what one lets through in an exchange interval, and never more than n-1 times the
// limit. Clocks that differ by d count up to d's worth of calls in the wrong window. Refused calls are not counted, so a caller that asks
// too often is served at the limit's rate.
//
// It touches Redis keys that begin with {rate/ and nothing else.
package ratelimit

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// Kind is what a key names. The same key of two kinds is counted apart.
type Kind uint8

// The kinds.
const (
	Project Kind = iota // calls of a project
	Address             // calls from a remote address
	Login               // failed authentications from a remote address
	Process             // processes that visitors of a project begin from a remote address
	SignUp              // users that visitors of a project make from a remote address
	Lookup              // identifiers that visitors of a project look up from a remote address
	kinds
)

// String returns the kind as metrics and keys have it.
func (k Kind) String() string {
	return [...]string{"project", "address", "login", "process", "sign-up", "lookup"}[k]
}

// Config holds what may be tuned.
type Config struct {
	Interval time.Duration // between exchanges with Redis
	MaxKeys  int           // kept in memory; about 250 bytes each
}

// DefaultConfig returns the figures for production.
func DefaultConfig() Config { return Config{Interval: 100 * time.Millisecond, MaxKeys: 100_000} }

// Validate reports every figure that cannot work.
func (c Config) Validate() error {
	var errs []error
	if c.Interval < time.Millisecond || c.Interval > minPer {
		errs = append(errs, fmt.Errorf("rate_limit_interval: must be 1ms to %s", minPer))
	}
	if c.MaxKeys < shards {
		errs = append(errs, fmt.Errorf("rate_limit_keys: must be at least %d", shards))
	}
	return errors.Join(errs...)
}

// Deps is what a Limiter works on.
type Deps struct {
	Redis   redis.UniversalClient // nil = every instance by itself
	Clock   func() time.Time      // required
	Metrics prometheus.Registerer // required
}

// Limiter answers for all keys. It is safe for concurrent use. Run must run for instances to know of one another, and for idle keys to be
// forgotten.
type Limiter struct {
	cfg     Config
	redis   redis.UniversalClient
	clock   func() time.Time
	metrics *metrics
	seed    maphash.Seed
	shards  [shards]shard
}

// shards is how many parts the keys are split into, each with a lock of its own.
const shards = 64

type shard struct {
	mu      sync.Mutex
	entries map[name]*entry
	active  []*entry // asked about since the last exchange
}

type name struct {
	kind Kind
	key  string
}

// entry is what is known of a key. The lock of its shard guards it, also when it has left the map.
type entry struct {
	name
	per int64 // ns
	window
	listed  bool  // in active
	dated   int64 // the window whose Redis key was given an expiry by this instance
	settled int64 // the window whose previous count is final and known
}

// New returns a limiter.
func New(cfg Config, deps Deps) (*Limiter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := &Limiter{cfg: cfg, redis: deps.Redis, clock: deps.Clock, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].entries = map[name]*entry{}
	}
	var err error
	if l.metrics, err = newMetrics(deps.Metrics, l.keys); err != nil {
		return nil, err
	}
	return l, nil
}

// Take asks whether a call may go on and, if so, counts it. The key is copied if it is kept, so it may point into a buffer that is used
// again.
func (l *Limiter) Take(kind Kind, key string, limit Limit) Verdict {
	return l.ask(name{kind, key}, limit, true)
}

// Peek is Take that counts nothing: for calls of which only some count, such as those that turn out to have failed, and are counted with
// Take then.
func (l *Limiter) Peek(kind Kind, key string, limit Limit) Verdict {
	return l.ask(name{kind, key}, limit, false)
}

func (l *Limiter) ask(n name, limit Limit, count bool) Verdict {
	if !limit.On() {
		return Verdict{Allowed: true}
	}
	v := l.judge(n, limit, count)
	if !v.Allowed {
		l.metrics.refused[n.kind].Inc()
	}
	return v
}

func (l *Limiter) judge(n name, limit Limit, count bool) Verdict {
	now, per := l.clock().UnixNano(), int64(limit.Per)
	s := &l.shards[maphash.String(l.seed, n.key)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[n]
	if e == nil {
		if !count {
			return judge(limit, 0, 0, now%per)
		}
		e = l.admit(s, n, now)
	}
	if e.per != per {
		// The limit's length was changed: what was counted cannot be divided anew.
		e.per, e.window, e.dated, e.settled = per, window{index: now / per}, 0, 0
	}
	elapsed := e.turn(now, per)
	l.list(s, e)
	v := judge(limit, e.cur.sum(), e.prev.sum(), elapsed)
	if v.Allowed && count {
		e.cur.pending++
		v.Remaining--
	}
	return v
}

// list notes that the entry is to take part in the next exchange. The list is as bounded as the entries are: entries that were dropped from
// memory while they are on it could otherwise make it grow.
func (l *Limiter) list(s *shard, e *entry) {
	if e.listed || len(s.active) >= l.perShard() {
		return
	}
	e.listed = true
	s.active = append(s.active, e)
}

func (l *Limiter) perShard() int { return (l.cfg.MaxKeys + shards - 1) / shards }

// admit adds an entry. If there are too many, it makes room for it.
func (l *Limiter) admit(s *shard, n name, now int64) *entry {
	if len(s.entries) >= l.perShard() {
		l.forget(s, now)
	}
	n.key = strings.Clone(n.key)
	e := &entry{name: n}
	s.entries[n] = e
	return e
}

// forget drops, of a few entries that the map's random order shows, the one that has used least: that of a key which was asked about once,
// and not that of one which is near its limit. An attack with many addresses so pushes out its own.
func (l *Limiter) forget(s *shard, now int64) {
	const looked = 8
	var least *entry
	var seen int
	for _, e := range s.entries {
		if least == nil || e.used(now) < least.used(now) {
			least = e
		}
		if seen++; seen == looked {
			break
		}
	}
	delete(s.entries, least.name)
	l.metrics.forgotten.Inc()
}

// used returns how many calls of the entry may still matter.
func (e *entry) used(now int64) int64 {
	if e.past(now) {
		return -1
	}
	return e.cur.sum() + e.prev.sum()
}

// past reports whether nothing that was counted matters any more.
func (e *entry) past(now int64) bool { return e.per == 0 || now/e.per > e.index+1 }

func (l *Limiter) keys() int {
	var total int
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		total += len(s.entries)
		s.mu.Unlock()
	}
	return total
}

// AddressKey returns the key of a remote address: an IPv4 address itself, and of an IPv6 address its network of 64 bits, which is what one
// customer is given.
func AddressKey(address netip.Addr) string {
	address = address.Unmap().WithZone("")
	if address.Is4() {
		var room [len("255.255.255.255")]byte
		return string(address.AppendTo(room[:0]))
	}
	network, err := address.Prefix(64)
	if err != nil {
		return address.String()
	}
	return network.String()
}

// Package claim says which of several instances works for which webhook endpoint. It writes the keys below "instance." and "owner." of a
// bucket and reads no other.
//
// An instance renews its entry; who has not, for a lease, by the clock of whoever looks, is dead, and its endpoints may be taken. Each
// Take is a write on the revision that was seen, so of several one succeeds. An instance that could not renew its entry for most of a
// lease gives up everything first, and goes on under another name. So two never work for one endpoint, as long as their clocks run at
// about the same rate; what time they show does not matter.
package claim

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/kv"
)

// Keys of the bucket.
const (
	instancePrefix = "instance." // renewed by the instance as long as it works
	ownerPrefix    = "owner."    // + project + endpoint: the name of the instance that works for it
)

// Claims is what one instance knows of who works for which endpoint. One goroutine uses it, beside the one that keeps the lease.
type Claims struct {
	kv        jetstream.KeyValue
	name      string
	exclusive bool // no other process has endpoints that an instance with our prefix had
	prefix    string
	lease     time.Duration
	now       func() time.Time

	instances map[string]sighting
	owners    map[string]owner // by endpoint key
}

// ErrLapsed says that the instance may be taken for dead by others.
var ErrLapsed = errors.New("the lease could not be renewed in time")

// New makes a name for an instance. Names of one process have its prefix, if it has one; then whatever an earlier one of them had is free.
func New(kv jetstream.KeyValue, process string, lease time.Duration, now func() time.Time) *Claims {
	c := &Claims{
		kv: kv, name: rand.Text(), exclusive: process != "", prefix: process + ".", lease: lease, now: now,
		instances: make(map[string]sighting), owners: make(map[string]owner),
	}
	if c.exclusive {
		c.name = c.prefix + c.name
	}
	return c
}

// Renew says that this instance is alive.
func (c *Claims) Renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.lease/4)
	defer cancel()
	if _, err := c.kv.Put(ctx, instancePrefix+c.name, []byte(c.now().UTC().Format(time.RFC3339))); err != nil {
		return fmt.Errorf("renew the lease of webhooks: %w", err)
	}
	return nil
}

// Keep renews the lease until ctx ends. It returns ErrLapsed early enough for everything to end before others may think that the lease is
// over.
func (c *Claims) Keep(ctx context.Context) error {
	good := c.now()
	ticker := time.NewTicker(c.lease / 8)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		began := c.now()
		if err := c.Renew(ctx); err == nil {
			good = began
		}
		// A renewal takes a quarter of the lease at most, so the next look may come that late.
		if c.now().Sub(good) > c.lease/2 {
			return ErrLapsed
		}
	}
}

// Leave gives the lease back: whoever is alive may go on at once.
func (c *Claims) Leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.lease/4)
	defer cancel()
	return c.kv.Purge(ctx, instancePrefix+c.name)
}

type sighting struct {
	revision uint64
	since    time.Time // when it was seen first with this revision
	first    time.Time // when the instance was seen first
}

type owner struct {
	name     string
	revision uint64
}

// See takes up what was written to the bucket.
func (c *Claims) See(entry jetstream.KeyValueEntry) {
	gone := entry.Operation() != jetstream.KeyValuePut
	if name, ok := strings.CutPrefix(entry.Key(), instancePrefix); ok {
		c.seeInstance(name, entry.Revision(), gone)
		return
	}
	key, ok := strings.CutPrefix(entry.Key(), ownerPrefix)
	switch {
	case ok && gone:
		delete(c.owners, key)
	case ok:
		c.owners[key] = owner{name: string(entry.Value()), revision: entry.Revision()}
	}
}

func (c *Claims) seeInstance(name string, revision uint64, gone bool) {
	if gone {
		delete(c.instances, name)
		return
	}
	seen := sighting{revision: revision, since: c.now(), first: c.now()}
	if before, known := c.instances[name]; known {
		seen.first = before.first
	}
	c.instances[name] = seen
}

// Owned are the keys of the endpoints that somebody has or had.
func (c *Claims) Owned() iter.Seq[string] { return maps.Keys(c.owners) }

// Settled reports whether an instance has been there for long enough, a lease, to be given something.
func (c *Claims) Settled(name string) bool {
	seen, known := c.instances[name]
	return known && c.now().Sub(seen.first) > c.lease
}

// Mine reports whether this instance has the endpoint.
func (c *Claims) Mine(key string) bool { return c.owners[key].name == c.name }

// Free reports whether nobody alive has the endpoint.
func (c *Claims) Free(ctx context.Context, key string) bool {
	o, known := c.owners[key]
	if !known || o.name == "" {
		return true
	}
	if c.exclusive && strings.HasPrefix(o.name, c.prefix) && o.name != c.name {
		return true
	}
	seen, known := c.instances[o.name]
	if !known {
		return o.name != c.name
	}
	if o.name == c.name || c.now().Sub(seen.since) < c.lease {
		return false
	}
	// What a slow watch has not brought yet would make somebody alive look dead.
	entry, err := c.kv.Get(ctx, instancePrefix+o.name)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return true
	}
	return err == nil && entry.Revision() == seen.revision
}

// alive returns the names of the instances that renewed their entries lately, this one included.
func (c *Claims) alive() []string {
	names := []string{c.name}
	for name, seen := range c.instances {
		stale := c.now().Sub(seen.since) >= c.lease || c.exclusive && strings.HasPrefix(name, c.prefix)
		if name != c.name && !stale {
			names = append(names, name)
		}
	}
	return names
}

// Preference says which of the instances that are alive now should have an endpoint.
func (c *Claims) Preference() func(key string) (name string, me bool) {
	names := c.alive()
	return func(key string) (string, bool) {
		best := preferred(key, names)
		return best, best == c.name
	}
}

// preferred returns which of the instances should have the endpoint: for each another one, and the same in everybody's eyes (rendezvous
// hashing).
func preferred(key string, names []string) string {
	best, highest := "", uint64(0)
	for _, name := range names {
		hash := fnv.New64a()
		_, _ = hash.Write([]byte(name + " " + key))
		if sum := mix(hash.Sum64()); best == "" || sum > highest || sum == highest && name < best {
			best, highest = name, sum
		}
	}
	return best
}

// mix spreads a hash whose last input bytes moved only its lower bits.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return x
}

// Take takes a free endpoint; false if somebody else was faster.
func (c *Claims) Take(ctx context.Context, key string) (bool, error) {
	o, known := c.owners[key]
	var revision uint64
	var err error
	if known {
		revision, err = c.kv.Update(ctx, ownerPrefix+key, []byte(c.name), o.revision)
	} else {
		revision, err = c.kv.Create(ctx, ownerPrefix+key, []byte(c.name)) // also where one was before it was deleted
	}
	if err != nil {
		if kv.Outrun(err) {
			return false, nil
		}
		return false, fmt.Errorf("claim a webhook endpoint: %w", err)
	}
	c.owners[key] = owner{name: c.name, revision: revision}
	return true, nil
}

// Release gives up an endpoint for which this instance does nothing any more.
func (c *Claims) Release(ctx context.Context, key string) error {
	if _, err := c.kv.Update(ctx, ownerPrefix+key, nil, c.owners[key].revision); err != nil && !kv.Outrun(err) {
		return fmt.Errorf("release a webhook endpoint: %w", err)
	}
	delete(c.owners, key)
	return nil
}

// Forget removes what is known of a deleted endpoint.
func (c *Claims) Forget(ctx context.Context, key string) error {
	if err := c.kv.Purge(ctx, ownerPrefix+key); err != nil {
		return fmt.Errorf("forget a webhook endpoint: %w", err)
	}
	delete(c.owners, key)
	return nil
}

// Bury removes the entries of instances that have been dead for long.
func (c *Claims) Bury(ctx context.Context) {
	const long = 20
	for name, seen := range c.instances {
		if name != c.name && c.now().Sub(seen.since) > long*c.lease {
			_ = c.kv.Purge(ctx, instancePrefix+name, jetstream.LastRevision(seen.revision))
		}
	}
}

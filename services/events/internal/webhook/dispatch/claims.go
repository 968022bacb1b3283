package dispatch

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/services/events/internal/webhook/queue"
)

// Keys of the bucket "webhook-work".
const (
	instancePrefix = "instance." // renewed by the instance as long as it works
	ownerPrefix    = "owner."    // + project + endpoint: the name of the instance that works for it
)

// claims is what one instance knows of who works for which endpoint. It is used by one goroutine.
//
// An instance renews its entry; who has not, for a lease, by the clock of whoever looks, is dead, and its endpoints may be taken. Each
// claim is a write on the revision that was seen, so of several one succeeds. An instance that could not renew its entry for most of a
// lease gives up everything first, and goes on under another name. So two never work for one endpoint, as long as their clocks run at
// about the same rate; what time they show does not matter.
type claims struct {
	kv        jetstream.KeyValue
	name      string
	exclusive bool // no other process has endpoints that an instance with our prefix had
	prefix    string
	lease     time.Duration
	now       func() time.Time

	instances map[string]sighting
	owners    map[string]owner // by endpoint key
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

func (c *claims) see(entry jetstream.KeyValueEntry) (wake string) {
	gone := entry.Operation() != jetstream.KeyValuePut
	if name, ok := strings.CutPrefix(entry.Key(), instancePrefix); ok {
		if gone {
			delete(c.instances, name)
			return ""
		}
		seen := sighting{revision: entry.Revision(), since: c.now(), first: c.now()}
		if before, known := c.instances[name]; known {
			seen.first = before.first
		}
		c.instances[name] = seen
		return ""
	}
	if key, ok := strings.CutPrefix(entry.Key(), ownerPrefix); ok {
		if gone {
			delete(c.owners, key)
			return ""
		}
		c.owners[key] = owner{name: string(entry.Value()), revision: entry.Revision()}
		return ""
	}
	if key, ok := strings.CutPrefix(entry.Key(), queue.WakePrefix); ok && !gone {
		return key
	}
	return ""
}

// mine reports whether this instance has the endpoint.
func (c *claims) mine(key string) bool { return c.owners[key].name == c.name }

// free reports whether nobody alive has the endpoint.
func (c *claims) free(ctx context.Context, key string) bool {
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
func (c *claims) alive() []string {
	names := []string{c.name}
	for name, seen := range c.instances {
		stale := c.now().Sub(seen.since) >= c.lease || c.exclusive && strings.HasPrefix(name, c.prefix)
		if name != c.name && !stale {
			names = append(names, name)
		}
	}
	return names
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

// claim takes a free endpoint; false if somebody else was faster.
func (c *claims) claim(ctx context.Context, key string) (bool, error) {
	o, known := c.owners[key]
	var revision uint64
	var err error
	if known {
		revision, err = c.kv.Update(ctx, ownerPrefix+key, []byte(c.name), o.revision)
	} else {
		revision, err = c.kv.Create(ctx, ownerPrefix+key, []byte(c.name)) // also where one was before it was deleted
	}
	if err != nil {
		if outrun(err) {
			return false, nil
		}
		return false, fmt.Errorf("claim a webhook endpoint: %w", err)
	}
	c.owners[key] = owner{name: c.name, revision: revision}
	return true, nil
}

// outrun reports whether a write failed because somebody else's came first.
func outrun(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}

// release gives up an endpoint for which this instance does nothing any more.
func (c *claims) release(ctx context.Context, key string) error {
	if _, err := c.kv.Update(ctx, ownerPrefix+key, nil, c.owners[key].revision); err != nil && !outrun(err) {
		return fmt.Errorf("release a webhook endpoint: %w", err)
	}
	delete(c.owners, key)
	return nil
}

// forget removes what is known of a deleted endpoint.
func (c *claims) forget(ctx context.Context, key string) error {
	for _, prefix := range []string{ownerPrefix, queue.WakePrefix} {
		if err := c.kv.Purge(ctx, prefix+key); err != nil {
			return fmt.Errorf("forget a webhook endpoint: %w", err)
		}
	}
	delete(c.owners, key)
	return nil
}

// Bury removes the entries of instances that have been dead for long.
func (c *claims) bury(ctx context.Context) {
	const long = 20
	for name, seen := range c.instances {
		if name != c.name && c.now().Sub(seen.since) > long*c.lease {
			_ = c.kv.Purge(ctx, instancePrefix+name, jetstream.LastRevision(seen.revision))
		}
	}
}

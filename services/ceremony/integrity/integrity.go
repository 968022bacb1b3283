// Package integrity finds out whether a store lacks what it had: a disk that lost writes, a file that was cut, a backup older than what
// came after it. None of that stops a server, and all of it makes answers wrong.
//
// It looks at two things. Marks say how far each stream had come; a stream never goes back behind one. And what is kept twice must agree:
// accounts, the indexes of their names and passkeys, and the log that tells of users. What it finds stands until an operator acknowledges
// it, also over restarts. It reads the streams and buckets, writes the bucket "store-integrity" and changes nothing else.
package integrity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/kv"
)

// Kind of a finding.
type Kind string

// What can be wrong.
const (
	EndLost        Kind = "the end is missing"                  // a stream ends before a mark
	MessagesLost   Kind = "messages are missing"                // a stream holds fewer than at a mark, and never loses any
	Gap            Kind = "messages in the middle are missing"  // of the log, where nobody was erased
	NoAccount      Kind = "users have no account"               // the log or an index tells of them
	NoIndex        Kind = "accounts are in no index"            // what names them leads nowhere
	DeletedAccount Kind = "accounts of deleted users are there" // the log says that they were deleted
	Unreadable     Kind = "accounts cannot be read"             // their bytes are no account
)

// Finding is something wrong in one place.
type Finding struct {
	Kind    Kind   `json:"kind"`
	Where   string `json:"where"` // a stream
	Count   uint64 `json:"count"`
	Example string `json:"example,omitempty"` // of a user: project and ID
}

// String says it in one line.
func (f Finding) String() string {
	text := fmt.Sprintf("%s: %s: %d", f.Where, f.Kind, f.Count)
	if f.Example != "" {
		text += ", " + f.Example + " for one"
	}
	return text
}

// Mend says what helps against it.
func (f Finding) Mend() string {
	switch f.Kind {
	case EndLost, MessagesLost, Gap, NoAccount:
		return "restore a backup of a time before: keyward restore"
	case NoIndex:
		return "restore a backup, or take off what the user has and add it again: keyward user export shows it"
	case DeletedAccount:
		return "delete the user again"
	case Unreadable:
		return "restore a backup, or run the version of Keyward that wrote it"
	default:
		return "restore a backup: keyward restore"
	}
}

func (f Finding) id() string { return f.Where + "/" + string(f.Kind) }

// record is what is kept, in one entry.
type record struct {
	Marks        map[string]mark   `json:"marks"` // by stream
	Found        []Finding         `json:"found,omitempty"`
	Acknowledged map[string]uint64 `json:"acknowledged,omitempty"` // how many of a finding an operator knows of
}

const recordKey = "record"

// Deps are what a checker needs.
type Deps struct {
	JetStream jetstream.JetStream
	Now       func() time.Time
	Log       *slog.Logger
}

// Checker checks one store. Make it with Open. It is safe for concurrent use.
type Checker struct {
	deps    Deps
	records kv.Bucket[record]
	buckets map[string]jetstream.KeyValue
	opened  mark // how far the log was, by the record that Open found
	found   atomic.Pointer[[]Finding]
	failed  atomic.Pointer[error] // why the store could not be compared the last time
}

// Open returns a checker of the store behind a connection, after it has compared the store with its marks. Open it before anything is
// written: what is written fills the place of what is missing. If it cannot be compared, as with a full disk, Err says so.
func Open(ctx context.Context, deps Deps) (*Checker, error) {
	c := &Checker{deps: deps, buckets: make(map[string]jetstream.KeyValue)}
	for _, name := range []string{bus.IntegrityBucket, bus.AccountsBucket, bus.CredentialsBucket, bus.IdentifiersBucket} {
		bucket, err := kv.Open(ctx, deps.JetStream, name)
		if err != nil {
			return nil, err
		}
		c.buckets[name] = bucket
	}
	c.records = kv.Bucket[record]{KV: c.buckets[bus.IntegrityBucket], Name: "record of the store's integrity"}
	kept, err := c.kept(ctx)
	if err != nil {
		return nil, err
	}
	c.opened = kept.Marks[bus.EventsStream]
	c.compare(ctx)
	return c, nil
}

// Found returns what was found and nobody has acknowledged, as Run or Check saw it last.
func (c *Checker) Found() []Finding {
	if found := c.found.Load(); found != nil {
		return *found
	}
	return nil
}

// Run checks everything once, and then compares with the marks and moves them every so often and when ctx ends.
func (c *Checker) Run(ctx context.Context, every time.Duration) {
	if _, err := c.Check(ctx); err != nil && ctx.Err() == nil {
		c.deps.Log.WarnContext(ctx, "the store could not be checked", "error", err)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			c.compare(context.WithoutCancel(ctx))
			return
		case <-tick.C:
			c.compare(ctx)
		}
	}
}

// markLimit is how long marking may take: the start and the end wait for it.
const markLimit = 2 * time.Second

func (c *Checker) compare(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, markLimit)
	defer cancel()
	err := c.mark(limited, nil)
	if ctx.Err() != nil {
		return
	}
	if err != nil && c.Err() == nil {
		c.deps.Log.WarnContext(ctx, "the store could not be compared with its marks", "error", err)
	}
	c.failed.Store(&err)
}

// Err returns why the store could not be compared with its marks the last time, nil if it was.
func (c *Checker) Err() error {
	if err := c.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Check looks at everything and returns what is wrong that nobody has acknowledged.
func (c *Checker) Check(ctx context.Context) ([]Finding, error) {
	found, err := c.cross(ctx, c.opened)
	if err != nil {
		return nil, err
	}
	if err := c.mark(ctx, found); err != nil {
		return nil, err
	}
	return c.Found(), nil
}

// Acknowledge says that an operator knows of all that was found: from now on only more than that is told.
func (c *Checker) Acknowledge(ctx context.Context) error {
	now, err := c.measure(ctx)
	if err != nil {
		return err
	}
	_, err = c.records.Upsert(ctx, recordKey, func(r *record) error {
		if r.Acknowledged == nil {
			r.Acknowledged = make(map[string]uint64)
		}
		for _, f := range r.Found {
			r.Acknowledged[f.id()] = f.Count
		}
		r.Marks, r.Found = now, nil
		return nil
	})
	if err != nil {
		return err
	}
	c.found.Store(nil)
	return nil
}

func (c *Checker) kept(ctx context.Context) (record, error) {
	e, err := c.records.Get(ctx, recordKey)
	if errors.Is(err, kv.ErrNotFound) {
		return record{}, nil
	}
	return e.Value, err
}

// errSound says that there is nothing to store.
var errSound = errors.New("nothing has changed")

// mark adds what is missing behind the marks to what was found, and stores it; while nothing is wrong the marks move on.
func (c *Checker) mark(ctx context.Context, found []Finding) error {
	kept, err := c.kept(ctx)
	if err != nil {
		return err
	}
	now, err := c.measure(ctx)
	if err != nil {
		return err
	}
	found = append(found, missing(kept.Marks, now)...)
	var stands []Finding
	_, err = c.records.Upsert(ctx, recordKey, func(r *record) error {
		before := len(r.Found)
		r.add(found)
		stands = r.Found
		if len(stands) > 0 && len(stands) == before || len(stands) == 0 && maps.EqualFunc(r.Marks, now, mark.same) {
			return errSound
		}
		if len(stands) == 0 {
			r.Marks = now
		}
		return nil
	})
	if err != nil && !errors.Is(err, errSound) {
		return err
	}
	c.tell(ctx, stands)
	return nil
}

// add takes over what is found and not acknowledged.
func (r *record) add(found []Finding) {
	for _, f := range found {
		known := slices.ContainsFunc(r.Found, func(other Finding) bool { return other.id() == f.id() })
		if !known && f.Count > r.Acknowledged[f.id()] {
			r.Found = append(r.Found, f)
		}
	}
}

// tell logs what was not known before.
func (c *Checker) tell(ctx context.Context, found []Finding) {
	known := c.Found()
	for _, f := range found {
		if !slices.Contains(known, f) {
			c.deps.Log.ErrorContext(ctx, "the store is damaged", "where", f.Where, "what", string(f.Kind), "count", f.Count, "example", f.Example)
		}
	}
	c.found.Store(&found)
}

// Summary says in one line what was found.
func Summary(found []Finding) string {
	lines := make([]string, len(found))
	for i, f := range found {
		lines[i] = f.String()
	}
	return strings.Join(lines, "; ")
}

// Package control keeps what operators set without a release: entries of lists beside those of the bundle, and switches that stop offers.
//
// Each list and each switch is one value with its history, changed by who has seen it as it is. A Board holds all of them in memory, kept
// true by following the bucket policy-releases, so that a decision waits for nothing; while the store is away what was last known counts.
// Times of expiry are of the clock that is passed in. What cannot be read is left out and logged. The package touches its bucket.
package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/services/decision/internal/lists"
	"github.com/keyward/keyward/services/decision/internal/release"
)

// What is wrong with a change. Every other error is that the store cannot be reached.
var (
	ErrUnknown = errors.New("there is none of that name")
	ErrKind    = errors.New("the list is of another kind")
	ErrFull    = fmt.Errorf("a list has at most %d entries here; longer ones are for files", maxEntries)
)

// schema is the version of what is stored.
const schema = 1

// A value of a bucket is at most 1 MiB.
const (
	maxEntries = 2_000
	maxHistory = 500 // older acts are in the security events
)

// Entry is what an operator has added to a list.
type Entry struct {
	Entry   string        `json:"entry"`
	UntilMs int64         `json:"untilMs,omitempty"` // 0 = for ever
	By      release.Actor `json:"by"`
	AtMs    int64         `json:"atMs"`
	Reason  string        `json:"reason,omitempty"`
}

// Act is what was done to a list or a switch.
type Act struct {
	What    string        `json:"what"`            // added, removed, on or off
	Entry   string        `json:"entry,omitempty"` // of a list
	UntilMs int64         `json:"untilMs,omitempty"`
	By      release.Actor `json:"by"`
	AtMs    int64         `json:"atMs"`
	Reason  string        `json:"reason,omitempty"`
}

// What was done.
const (
	Added    = "added"
	Removed  = "removed"
	TurnedOn = "on"
	TurnOff  = "off"
)

// List is what operators have added to a list.
type List struct {
	Schema  int        `json:"schema"`
	Name    string     `json:"name"`
	Kind    lists.Kind `json:"kind"`
	Entries []Entry    `json:"entries"` // by what they are
	History []Act      `json:"history"` // the oldest first
}

// Switch stops what it is about from being offered while it is on. Empty members are about all.
type Switch struct {
	Schema  int           `json:"schema"`
	Name    string        `json:"name"`
	On      bool          `json:"on"`
	About   About         `json:"about"`
	UntilMs int64         `json:"untilMs,omitempty"` // 0 = until it is turned off
	By      release.Actor `json:"by"`
	AtMs    int64         `json:"atMs"`
	Reason  string        `json:"reason,omitempty"`
	History []Act         `json:"history"`
}

// About says which questions a switch is about.
type About struct {
	Project string `json:"project,omitempty"`
	Action  string `json:"action,omitempty"`
	OS      string `json:"os,omitempty"`      // as facts name it
	Browser string `json:"browser,omitempty"` // as facts name it
}

// covers reports whether a question is one of those.
func (a About) covers(q About) bool {
	one := func(wanted, is string) bool { return wanted == "" || wanted == is }
	return one(a.Project, q.Project) && one(a.Action, q.Action) && one(a.OS, q.OS) && one(a.Browser, q.Browser)
}

// Active reports whether it is on at a moment.
func (s *Switch) Active(now time.Time) bool {
	return s.On && (s.UntilMs == 0 || now.UnixMilli() < s.UntilMs)
}

const (
	listKey   = "list."
	switchKey = "switch."
)

// Store is where it is kept. It is safe for concurrent use.
type Store struct {
	lists    *kv.Bucket[List]
	switches *kv.Bucket[Switch]
}

// Open returns the store.
func Open(ctx context.Context, js jetstream.JetStream) (*Store, error) {
	kept, err := kv.Open(ctx, js, bus.ReleasesBucket)
	if err != nil {
		return nil, err
	}
	return &Store{
		lists:    &kv.Bucket[List]{KV: kept, Name: "list of operators", Missing: ErrUnknown},
		switches: &kv.Bucket[Switch]{KV: kept, Name: "switch", Missing: ErrUnknown},
	}, nil
}

// Lists returns all lists, by name.
func (s *Store) Lists(ctx context.Context) ([]List, error) {
	var all []List
	for e, err := range s.lists.All(ctx, listKey+"*") {
		if err != nil {
			return nil, err
		}
		all = append(all, e.Value)
	}
	slices.SortFunc(all, func(a, b List) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// List returns one. The error is or wraps ErrUnknown.
func (s *Store) List(ctx context.Context, name string) (List, error) {
	e, err := s.lists.Get(ctx, listKey+name)
	return e.Value, err
}

// Edit is a change of a list.
type Edit struct {
	Kind    lists.Kind // empty = that of the list that is there
	Add     []string   // in their one form; one that is there gets the new expiry
	Remove  []string   // one that is not there is none
	UntilMs int64
	By      release.Actor
	AtMs    int64
	Reason  string
}

// Edit changes a list, and returns it as it was and as it is, and the revision of the bucket since which it is. What has expired goes. The
// error is or wraps ErrUnknown of a list that is not there and of which no kind is said, ErrKind and ErrFull.
func (s *Store) Edit(ctx context.Context, name string, e Edit) (before, after List, revision uint64, err error) {
	change := func(l *List) error {
		before = *l
		before.Entries, before.History = slices.Clone(l.Entries), nil
		if e.Kind != "" && l.Kind != e.Kind {
			return ErrKind
		}
		return l.edit(e)
	}
	var entry kv.Entry[List]
	if e.Kind == "" {
		entry, err = s.lists.Change(ctx, listKey+name, change)
	} else {
		fresh := List{Schema: schema, Name: name, Kind: e.Kind}
		if err := fresh.edit(e); err != nil {
			return List{}, List{}, 0, err
		}
		entry, err = s.lists.CreateOrChange(ctx, listKey+name, fresh, change)
	}
	return before, entry.Value, entry.Revision, err
}

func (l *List) edit(e Edit) error {
	kept := l.Entries[:0:0]
	for _, one := range l.Entries {
		switch {
		case one.UntilMs != 0 && e.AtMs >= one.UntilMs, slices.Contains(e.Add, one.Entry):
		case slices.Contains(e.Remove, one.Entry):
			l.History = append(l.History, Act{What: Removed, Entry: one.Entry, By: e.By, AtMs: e.AtMs, Reason: e.Reason})
		default:
			kept = append(kept, one)
		}
	}
	for _, text := range e.Add {
		kept = append(kept, Entry{Entry: text, UntilMs: e.UntilMs, By: e.By, AtMs: e.AtMs, Reason: e.Reason})
		l.History = append(l.History, Act{What: Added, Entry: text, UntilMs: e.UntilMs, By: e.By, AtMs: e.AtMs, Reason: e.Reason})
	}
	if len(kept) > maxEntries {
		return ErrFull
	}
	slices.SortFunc(kept, func(a, b Entry) int { return cmp.Compare(a.Entry, b.Entry) })
	l.Entries, l.History = kept, newest(l.History)
	return nil
}

func newest(acts []Act) []Act { return acts[max(len(acts)-maxHistory, 0):] }

// Switches returns all switches, by name.
func (s *Store) Switches(ctx context.Context) ([]Switch, error) {
	var all []Switch
	for e, err := range s.switches.All(ctx, switchKey+"*") {
		if err != nil {
			return nil, err
		}
		all = append(all, e.Value)
	}
	slices.SortFunc(all, func(a, b Switch) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Turn turns a switch on, with what it is about, or off, and returns it as it was and as it is, and the revision of the bucket since which
// it is. The error is or wraps ErrUnknown of one that is to be turned off and is not there.
func (s *Store) Turn(ctx context.Context, to Switch) (before, after Switch, revision uint64, err error) {
	act := Act{What: TurnOff, UntilMs: to.UntilMs, By: to.By, AtMs: to.AtMs, Reason: to.Reason}
	if to.On {
		act.What = TurnedOn
	}
	to.Schema, to.History = schema, []Act{act}
	change := func(now *Switch) error {
		before = *now
		before.History = nil
		if !to.On {
			to.About = now.About
		}
		history := newest(append(now.History, act))
		*now = to
		now.History = history
		return nil
	}
	var entry kv.Entry[Switch]
	if to.On {
		entry, err = s.switches.CreateOrChange(ctx, switchKey+to.Name, to, change)
	} else {
		entry, err = s.switches.Change(ctx, switchKey+to.Name, change)
	}
	return before, entry.Value, entry.Revision, err
}

package control

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/services/decision/internal/lists"
)

// View is what counts at a moment. It is immutable.
type View struct {
	Lists    lists.Added
	Revision string // of lists and switches together; empty = there were never any

	switches []Switch // those that are on, by name
	// The last expiry that has passed, and the next: between them nothing else counts. In Unix ms; clocks are set back, too.
	since, until int64
}

// Off returns the name of the switch that stops a question; empty if none does.
func (v *View) Off(q About) string {
	if v == nil {
		return ""
	}
	for i := range v.switches {
		if v.switches[i].About.covers(q) {
			return v.switches[i].Name
		}
	}
	return ""
}

// Offs returns what stops questions of a project; nil if nothing does.
func (v *View) Offs(project ident.ProjectID) func(action, os, browser string) error {
	if v == nil || len(v.switches) == 0 {
		return nil
	}
	return func(action, os, browser string) error {
		if name := v.Off(About{Project: string(project), Action: action, OS: os, Browser: browser}); name != "" {
			return &Off{name}
		}
		return nil
	}
}

// Name is under which records of decisions say which revision of lists and switches counted.
const Name = "operator-lists"

// Board is what is known of lists and switches. Its methods may be called at once.
type Board struct {
	bucket kv.Bucket[json.RawMessage]
	log    *slog.Logger
	told   func() // of each revision that was taken up

	revision atomic.Uint64 // of the bucket, up to which it is known
	mu       sync.Mutex
	lists    map[string]List
	switches map[string]Switch
	seen     map[string]uint64 // by key
	view     atomic.Pointer[View]
}

// NewBoard loads all lists and switches. Run keeps them true; told is called without waiting whenever they have changed.
func NewBoard(ctx context.Context, js jetstream.JetStream, log *slog.Logger, told func()) (*Board, error) {
	bucket, err := kv.Open(ctx, js, bus.ReleasesBucket)
	if err != nil {
		return nil, err
	}
	b := &Board{
		bucket: kv.Bucket[json.RawMessage]{KV: bucket, Name: "what operators set"}, log: log, told: told,
		lists: map[string]List{}, switches: map[string]Switch{}, seen: map[string]uint64{},
	}
	b.view.Store(&View{})
	if err := b.bucket.Load(ctx, b.apply); err != nil {
		return nil, fmt.Errorf("load lists and switches: %w", err)
	}
	return b, nil
}

// Run follows changes until ctx ends. While the store is away what was known counts.
func (b *Board) Run(ctx context.Context, pause time.Duration) {
	for ctx.Err() == nil {
		if err := b.bucket.Follow(ctx, b.apply); err != nil {
			b.log.WarnContext(ctx, "lists and switches are not followed, what was known counts", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// Revision returns the revision of the bucket up to which lists and switches are known.
func (b *Board) Revision() uint64 {
	if b == nil {
		return 0
	}
	return b.revision.Load()
}

func (b *Board) apply(e kv.Entry[json.RawMessage], err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.Revision <= b.seen[e.Key] {
		return
	}
	if e.Revision > b.revision.Load() {
		b.revision.Store(e.Revision)
	}
	switch {
	case strings.HasPrefix(e.Key, listKey):
		take(b, b.lists, e, err)
	case strings.HasPrefix(e.Key, switchKey):
		take(b, b.switches, e, err)
	default:
		return
	}
	b.seen[e.Key] = e.Revision
	b.view.Store(&View{Revision: b.view.Load().Revision}) // which is made when it is asked for
	b.told()
}

// take takes up a list or a switch. One that cannot be read stays as it was known.
func take[T any](b *Board, all map[string]T, e kv.Entry[json.RawMessage], err error) {
	var version struct {
		Schema int `json:"schema"`
	}
	var value T
	switch {
	case e.Gone:
		delete(all, e.Key)
		return
	case err == nil:
		if err = json.Unmarshal(e.Value, &version); err == nil && version.Schema > schema {
			err = fmt.Errorf("it is of version %d, and those up to %d can be read", version.Schema, schema)
		}
		if err == nil {
			err = json.Unmarshal(e.Value, &value)
		}
	}
	if err != nil {
		b.log.Error("a list or a switch cannot be read, and stays as it was known", "key", e.Key, "error", err)
		return
	}
	all[e.Key] = value
}

// At returns what counts at a moment.
func (b *Board) At(now time.Time) *View {
	if b == nil {
		return nil
	}
	if v := b.view.Load(); v.since <= now.UnixMilli() && now.UnixMilli() < v.until {
		return v
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	v := &View{Lists: lists.Added{}, until: math.MaxInt64}
	counts := func(untilMs int64) bool {
		if untilMs != 0 && now.UnixMilli() >= untilMs {
			v.since = max(v.since, untilMs)
			return false
		}
		if untilMs != 0 {
			v.until = min(v.until, untilMs)
		}
		return true
	}
	latest := uint64(0)
	for _, revision := range b.seen {
		latest = max(latest, revision)
	}
	if latest > 0 {
		v.Revision = strconv.FormatUint(latest, 10)
	}
	for _, l := range b.lists {
		var entries []string
		for _, e := range l.Entries {
			if counts(e.UntilMs) {
				entries = append(entries, e.Entry)
			}
		}
		if len(entries) > 0 {
			v.Lists[l.Name] = lists.NewEntries(l.Kind, entries)
		}
	}
	for _, s := range b.switches {
		if s.On && counts(s.UntilMs) {
			v.switches = append(v.switches, s)
		}
	}
	slices.SortFunc(v.switches, func(a, b Switch) int { return strings.Compare(a.Name, b.Name) })
	b.view.Store(v)
	return v
}

// Off is why a question was not put to the rules: a switch is on.
type Off struct{ Switch string }

// Error implements error.
func (o *Off) Error() string { return "the switch " + o.Switch + " is on" }

const rulePrefix = "switch:"

// Rule is what a decision names in place of a row of the rules.
func (o *Off) Rule() string { return rulePrefix + o.Switch }

// SwitchOf returns the name of the switch that a decision by a rule was stopped by; empty if it was a row of the rules.
func SwitchOf(rule string) string {
	name, _ := strings.CutPrefix(rule, rulePrefix)
	if name == rule {
		return ""
	}
	return name
}

package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/ident"
)

// Trail reads the stream of security events, the newest first. It is safe for concurrent use.
type Trail struct{ stream *direct.Stream }

// OpenTrail returns the trail that js keeps.
func OpenTrail(ctx context.Context, js jetstream.JetStream) (*Trail, error) {
	stream, err := direct.Open(ctx, js, bus.AuditStream)
	if err != nil {
		return nil, fmt.Errorf("open the trail of security events: %w", err)
	}
	return &Trail{stream: stream}, nil
}

// Wanted is which part of a trail is asked for. The zero value, but for Limit, is the newest.
type Wanted struct {
	Types   []Type          // empty = all
	Project ident.ProjectID // empty = all, and those of the installation
	Actor   string          // the name of who did it, or the ID of an operator; empty = anybody
	Since   time.Time
	Before  uint64 // only what is before this position; 0 = all
	Limit   int
	// Sees says which projects' events are wanted, and with "" whether those of the installation are; nil = all
	Sees func(ident.ProjectID) bool
}

func (w *Wanted) wants(e *Event) bool {
	switch {
	case len(w.Types) > 0 && !slices.Contains(w.Types, e.Type),
		w.Project != "" && e.Project != w.Project,
		w.Actor != "" && e.Actor.Name != w.Actor && string(e.Actor.ID) != w.Actor,
		w.Sees != nil && !w.Sees(e.Project):
		return false
	}
	return true
}

// Entry is an event of the trail.
type Entry struct {
	Event
	Raw json.RawMessage // as it is in the stream
}

// A page is read in spans of the stream, of which there are so many at most: whoever asks for what is rare asks again.
const (
	trailSpan = 512
	maxSpans  = 16
)

// Page returns events, the newest first, and the position to go on before; 0 = there are no more. There may be fewer than are asked for
// before the end. What cannot be read is left out.
func (t *Trail) Page(ctx context.Context, w Wanted) ([]Entry, uint64, error) {
	state, err := t.stream.State(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("read security events: %w", err)
	}
	before := state.LastSeq + 1
	if w.Before > 0 {
		before = min(w.Before, before)
	}
	var found []Entry
	for range maxSpans {
		if before <= state.FirstSeq {
			return found, 0, nil
		}
		from := before - min(trailSpan, before-state.FirstSeq)
		span, older, err := t.span(ctx, &w, from, before)
		if err != nil {
			return nil, 0, fmt.Errorf("read security events: %w", err)
		}
		for _, e := range slices.Backward(span) {
			found = append(found, e.Entry)
			if len(found) == w.Limit {
				return found, e.position, nil
			}
		}
		before = from
		if older {
			return found, 0, nil
		}
	}
	return found, before, nil
}

type placed struct {
	Entry
	position uint64
}

// span returns what is wanted from one position on and before another, and whether something in it is older than is wanted.
func (t *Trail) span(ctx context.Context, w *Wanted, from, before uint64) (found []placed, older bool, _ error) {
	err := t.stream.Each(ctx, bus.AuditPrefix+".>", direct.After(from-1), func(m direct.Message) (bool, error) {
		if m.Sequence >= before {
			return false, nil
		}
		var e Event
		readable := json.Unmarshal(m.Data, &e) == nil
		switch {
		case !readable: // of a version to come
		case e.CreatedMs < w.Since.UnixMilli() && !w.Since.IsZero():
			older = true
		case w.wants(&e):
			found = append(found, placed{Entry{Event: e, Raw: slices.Clone(m.Data)}, m.Sequence})
		}
		return true, nil
	})
	return found, older, err
}

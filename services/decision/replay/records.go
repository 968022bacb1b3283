// Package replay reads recorded decisions back and makes them again: with the revision that made each, which must give the same answers, or
// with another, which shows what it would change. Where the other detects by other parameters, the user's events are folded anew, as of the
// moment of the decision; what cannot be made again so is counted, and never called the same. It reads the decision stream, the log of
// events and the archive of policy revisions, and writes nothing.
package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/archive"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/control"
	"github.com/keyward/keyward/services/decision/internal/kept"
	"github.com/keyward/keyward/services/decision/internal/record"
)

// Record is a decision as the stream holds it. Facts and answer are the documents that the policy read and wrote, as they were.
type Record struct {
	record.Judgement
	Question *kept.Question  `json:"question,omitempty"` // nil in records of the version before
	Facts    json.RawMessage `json:"facts"`
	Answer   json.RawMessage `json:"answer"`             // null if the policy failed and the safe default was answered, or a switch was on
	Risk     json.RawMessage `json:"risk,omitempty"`     // the answer of the rules of risk, if there were any
	Enforced bool            `json:"enforced,omitempty"` // what they say was done, and not only told
}

// Unanswered reports that the policy gave no answer: it failed, or a switch was on.
func (r *Record) Unanswered() bool { return len(r.Answer) == 0 || string(r.Answer) == "null" }

// Switch is the name of the switch that stopped what was asked, so that the policy was not; empty if none did.
func (r *Record) Switch() string {
	if r.Tag != rest.DecisionTagSwitchedOff {
		return ""
	}
	return control.SwitchOf(r.Rule)
}

// PolicyFailed reports that the policy was asked and gave no answer, so that the safe default was answered.
func (r *Record) PolicyFailed() bool { return r.Unanswered() && r.Switch() == "" }

// Why a record cannot be had. Errors of Find and Revision wrap one of these.
var (
	ErrNotFound    = errors.New("no such decision is recorded")
	ErrEvicted     = errors.New("the record has been dropped from the stream")
	ErrUntimely    = errors.New("the ID does not tell when the decision was made")
	ErrNotArchived = errors.New("the policy revision is not in the archive")
)

// Records are the decisions and policy revisions that a NATS system keeps.
type Records struct {
	js jetstream.JetStream
}

// NewRecords returns the records behind a connection.
func NewRecords(js jetstream.JetStream) *Records { return &Records{js: js} }

// window is the time around a decision within which its record reached the stream, by the server's clock.
type window struct{ before, after time.Duration }

// windows are tried in turn. A record is published at once, unless there is a queue or the clocks differ.
func windows() []window {
	return []window{{50 * time.Millisecond, time.Second}, {2 * time.Second, 10 * time.Second}, {30 * time.Second, 2 * time.Minute}}
}

// Find returns the record of a decision. It reads the part of the stream around the time that the ID tells, not the whole. The error wraps
// ErrNotFound, ErrEvicted or ErrUntimely, or says what did not work.
func (r *Records) Find(ctx context.Context, id ident.DecisionID) (Record, error) {
	made, ok := id.Time()
	if !ok {
		return Record{}, fmt.Errorf("decision %s: %w", id, ErrUntimely)
	}
	stream, err := direct.Open(ctx, r.js, bus.DecisionsStream)
	if err != nil {
		return Record{}, err
	}
	for _, around := range windows() {
		record, found, err := locate(ctx, stream, id, made.Add(-around.before), made.Add(around.after))
		if found || err != nil {
			return record, err
		}
	}
	state, err := stream.State(ctx)
	switch {
	case err != nil:
		return Record{}, err
	case state.Msgs == 0 && state.LastSeq > 0:
		return Record{}, fmt.Errorf("decision %s of %s: %w, which is empty", id, made.Format(time.RFC3339), ErrEvicted)
	case state.FirstSeq > 1 && made.Before(state.FirstTime):
		return Record{}, fmt.Errorf(
			"decision %s of %s: %w, which begins at %s", id, made.Format(time.RFC3339), ErrEvicted, state.FirstTime.UTC().Format(time.RFC3339),
		)
	}
	return Record{}, fmt.Errorf("decision %s: %w", id, ErrNotFound)
}

// locate returns the record with that ID, if it is there between the two times.
func locate(ctx context.Context, stream *direct.Stream, id ident.DecisionID, from, until time.Time) (record Record, found bool, err error) {
	err = stream.Each(ctx, bus.DecisionsPrefix+".>", direct.Since(from), func(m direct.Message) (more bool, err error) {
		if m.Header.Get("ce-id") == string(id) {
			found = true
			record, err = decode(m.Data)
		}
		return !found && m.Time.Before(until), err
	})
	return record, found, err
}

func decode(data []byte) (Record, error) {
	var record Record
	if err := json.Unmarshal(data, &record); err != nil {
		return Record{}, fmt.Errorf("decode a recorded decision: %w", err)
	}
	return record, nil
}

// Selection says which decisions to read.
type Selection struct {
	Since   time.Time       // by the time of recording; zero = all
	Action  string          // empty = any
	Project ident.ProjectID // empty = any
	User    ident.UserID    // empty = any, and none
}

func (s Selection) subject() string {
	project, user, action := "*", "*", "*"
	if s.Project != "" {
		project = string(s.Project)
	}
	if s.User != "" {
		user = string(s.User)
	}
	if s.Action != "" {
		action = s.Action
	}
	return bus.DecisionsPrefix + "." + project + "." + user + "." + action
}

// Newest returns the newest of the selected decisions. The error wraps ErrNotFound if there is none.
func (r *Records) Newest(ctx context.Context, s Selection) (Record, error) {
	stream, err := r.js.Stream(ctx, bus.DecisionsStream)
	if err != nil {
		return Record{}, fmt.Errorf("open stream %s: %w", bus.DecisionsStream, err)
	}
	msg, err := stream.GetLastMsgForSubject(ctx, s.subject())
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && msg.Time.Before(s.Since) {
		return Record{}, fmt.Errorf("of those that are meant: %w", ErrNotFound)
	}
	if err != nil {
		return Record{}, fmt.Errorf("read the newest decision: %w", err)
	}
	return decode(msg.Data)
}

// Each visits the selected decisions from the oldest to the newest that is there when it begins, until visit returns false or an error.
// total is how many there are about. Memory is bounded, however many there are.
func (r *Records) Each(ctx context.Context, s Selection, visit func(record Record, total uint64) (bool, error)) error {
	stream, err := direct.Open(ctx, r.js, bus.DecisionsStream)
	if err != nil {
		return err
	}
	state, err := stream.State(ctx)
	if err != nil {
		return err
	}
	from := direct.Start{}
	if !s.Since.IsZero() {
		from = direct.Since(s.Since)
	}
	var seen uint64
	return stream.Each(ctx, s.subject(), from, func(m direct.Message) (bool, error) {
		if m.Sequence > state.LastSeq {
			return false, nil
		}
		record, err := decode(m.Data)
		if err != nil {
			return false, err
		}
		seen++
		more, err := visit(record, seen+m.Pending)
		return more && m.Sequence < state.LastSeq, err
	})
}

// Revision returns the files of a policy revision, given by the hash of its content: from the archive, or the bundle of this binary if it
// is the one. The error wraps ErrNotArchived if there is none.
func (r *Records) Revision(ctx context.Context, hash string) (fs.FS, error) {
	if own, err := bundlefile.Hash(policies.Bundle); err == nil && own == hash {
		return policies.Bundle, nil
	}
	files, err := archive.Open(ctx, r.js, hash)
	if errors.Is(err, archive.ErrUnknown) {
		return nil, fmt.Errorf("revision %s: %w", hash, ErrNotArchived)
	}
	return files, err
}

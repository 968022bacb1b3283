// Package replay reads recorded decisions back and makes them again: with the revision that made each, which must give the same answers, or with another,
// which shows what it would change. Where the other detects by other parameters, the user's events are folded anew, as of the moment of the decision; what
// cannot be made again so is counted, and never called the same. It reads the decision stream, the log of events and the archive of policy revisions, and
// writes nothing.
package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/internal/archive"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/kept"
)

// Record is a decision as the stream holds it. Facts and answer are the documents that the policy read and wrote, as they were.
type Record struct {
	decision.Judgement
	Question *kept.Question  `json:"question,omitempty"` // nil in records of the version before
	Facts    json.RawMessage `json:"facts"`
	Answer   json.RawMessage `json:"answer"` // null if the policy failed and the safe default was answered
}

// PolicyFailed reports that the policy gave no answer, so that the safe default was answered.
func (r *Record) PolicyFailed() bool { return len(r.Answer) == 0 || string(r.Answer) == "null" }

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

// Find returns the record of a decision. It reads the part of the stream around the time that the ID tells, not the whole. The error wraps ErrNotFound, ErrEvicted or
// ErrUntimely, or says what did not work.
func (r *Records) Find(ctx context.Context, id ident.DecisionID) (Record, error) {
	made, ok := id.Time()
	if !ok {
		return Record{}, fmt.Errorf("decision %s: %w", id, ErrUntimely)
	}
	stream, err := r.js.Stream(ctx, bus.DecisionsStream)
	if err != nil {
		return Record{}, fmt.Errorf("open stream %s: %w", bus.DecisionsStream, err)
	}
	for _, around := range windows() {
		sequence, err := r.locate(ctx, stream, id, made.Add(-around.before), made.Add(around.after))
		if err != nil {
			return Record{}, err
		}
		if sequence != 0 {
			return read(ctx, stream, sequence)
		}
	}
	state := stream.CachedInfo().State
	switch {
	case state.Msgs == 0 && state.LastSeq > 0:
		return Record{}, fmt.Errorf("decision %s of %s: %w, which is empty", id, made.Format(time.RFC3339), ErrEvicted)
	case state.FirstSeq > 1 && made.Before(state.FirstTime):
		return Record{}, fmt.Errorf("decision %s of %s: %w, which begins at %s", id, made.Format(time.RFC3339), ErrEvicted, state.FirstTime.UTC().Format(time.RFC3339))
	}
	return Record{}, fmt.Errorf("decision %s: %w", id, ErrNotFound)
}

// locate returns the sequence of the record with that ID, 0 if it is not there between the two times.
func (r *Records) locate(ctx context.Context, stream jetstream.Stream, id ident.DecisionID, from, until time.Time) (uint64, error) {
	var found uint64
	err := scan(ctx, stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from, HeadersOnly: true,
	}, func(msg jetstream.Msg, meta *jetstream.MsgMetadata) (bool, error) {
		if msg.Headers().Get("ce-id") == string(id) {
			found = meta.Sequence.Stream
		}
		return found == 0 && meta.Timestamp.Before(until), nil
	})
	return found, err
}

func read(ctx context.Context, stream jetstream.Stream, sequence uint64) (Record, error) {
	msg, err := stream.GetMsg(ctx, sequence)
	if err != nil {
		return Record{}, fmt.Errorf("read the decision at %d: %w", sequence, err)
	}
	return decode(msg.Data)
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

// Each visits the selected decisions from the oldest to the newest that is there when it begins, until visit returns false or an error. total is how many there are
// about. Memory is bounded, however many there are.
func (r *Records) Each(ctx context.Context, s Selection, visit func(record Record, total uint64) (bool, error)) error {
	stream, err := r.js.Stream(ctx, bus.DecisionsStream)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", bus.DecisionsStream, err)
	}
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{s.subject()}, DeliverPolicy: jetstream.DeliverAllPolicy}
	if !s.Since.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &s.Since
	}
	var seen uint64
	return scan(ctx, stream, cfg, func(msg jetstream.Msg, meta *jetstream.MsgMetadata) (bool, error) {
		record, err := decode(msg.Data())
		if err != nil {
			return false, err
		}
		seen++
		return visit(record, seen+meta.NumPending)
	})
}

// patience is how long the next message may take before the consumer is asked whether there is one.
const patience = 5 * time.Second

// scan visits the messages of a stream up to the one that is the last when it begins, until visit returns false or an error.
func scan(ctx context.Context, stream jetstream.Stream, cfg jetstream.OrderedConsumerConfig, visit func(jetstream.Msg, *jetstream.MsgMetadata) (bool, error)) error {
	info, err := stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", bus.DecisionsStream, err)
	}
	last := info.State.LastSeq
	if info.State.Msgs == 0 || (cfg.OptStartTime != nil && info.State.LastTime.Before(*cfg.OptStartTime)) {
		return nil
	}
	consumer, err := stream.OrderedConsumer(ctx, cfg)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", bus.DecisionsStream, err)
	}
	if over, err := exhausted(ctx, consumer); over || err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("read stream %s: %w", bus.DecisionsStream, err)
	}
	defer messages.Stop()
	for {
		msg, err := next(ctx, messages)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			// What was pending may have been dropped from the stream meanwhile.
			if over, err := exhausted(ctx, consumer); over || err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("read stream %s: %w", bus.DecisionsStream, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read stream %s: %w", bus.DecisionsStream, err)
		}
		if meta.Sequence.Stream > last {
			return nil
		}
		more, err := visit(msg, meta)
		if err != nil || !more || meta.NumPending == 0 || meta.Sequence.Stream == last {
			return err
		}
	}
}

func next(ctx context.Context, messages jetstream.MessagesContext) (jetstream.Msg, error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return messages.Next(jetstream.NextContext(limited))
}

// exhausted reports whether nothing more will come of what was there.
func exhausted(ctx context.Context, consumer jetstream.Consumer) (bool, error) {
	info, err := consumer.Info(ctx)
	if err != nil {
		return false, fmt.Errorf("read stream %s: %w", bus.DecisionsStream, err)
	}
	return info.NumPending == 0, nil
}

// Revision returns the files of a policy revision, given by the hash of its content: from the archive, or the bundle of this binary if it is the one. The error wraps
// ErrNotArchived if there is none.
func (r *Records) Revision(ctx context.Context, hash string) (fs.FS, error) {
	if own, err := bundle.Hash(policies.Bundle); err == nil && own == hash {
		return policies.Bundle, nil
	}
	files, err := archive.Open(ctx, r.js, hash)
	if errors.Is(err, archive.ErrUnknown) {
		return nil, fmt.Errorf("revision %s: %w", hash, ErrNotArchived)
	}
	return files, err
}

package index

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/span"
	"github.com/keyward/keyward/services/decision/internal/shadow"
	"github.com/keyward/keyward/services/decision/replay"
)

// logEvent is a record as OPA writes a decision to its log (openpolicyagent.org/docs/management-decision-logs). Nothing is evaluated for
// it. OPA knows no field for what Custom has.
type logEvent struct {
	Labels     map[string]string    `json:"labels"`
	DecisionID string               `json:"decision_id"`
	TraceID    string               `json:"trace_id,omitempty"`
	SpanID     string               `json:"span_id,omitempty"`
	Bundles    map[string]logBundle `json:"bundles"`
	Path       string               `json:"path"`
	Input      json.RawMessage      `json:"input,omitempty"`
	Result     json.RawMessage      `json:"result,omitempty"`
	Timestamp  time.Time            `json:"timestamp"`
	Metrics    map[string]int64     `json:"metrics"`
	Custom     logCustom            `json:"custom"`
}

type logBundle struct {
	Revision string `json:"revision"`
}

// logCustom is what was answered, about whom, and where the record is. Its names are those of the record.
type logCustom struct {
	Position  string            `json:"position"` // text: programs that read numbers as floating point lose digits of it
	Project   string            `json:"project"`
	User      string            `json:"user,omitempty"`
	RequestID string            `json:"requestID,omitempty"`
	Process   string            `json:"process,omitempty"`
	Rule      string            `json:"rule"`
	Tag       string            `json:"tag"`
	Allow     bool              `json:"allow"`
	Memoised  bool              `json:"memoised,omitempty"`
	Arm       *event.Arm        `json:"arm,omitempty"`
	Shadow    *shadow.Answer    `json:"shadow,omitempty"` // what another revision would have answered
	Files     map[string]string `json:"files,omitempty"`
	Risk      json.RawMessage   `json:"risk,omitempty"`
	Enforced  bool              `json:"enforced,omitempty"`
}

const (
	// system is the name of what decided, in the place of an instance of OPA and of its bundle: records do not say which instance it was.
	system = "keyward"
	// mostLogged bounds an answer, in bytes: a message between services holds twice as much.
	mostLogged = 2 << 20
	// wholeTimer is OPA's name of how long a decision took as a whole, finding out the facts included.
	wholeTimer = "timer_server_handler_ns"
)

// LogDecisions implements service.Decisions.
func (i *Index) LogDecisions(ctx context.Context, req service.ForOperator[inquiry.DecisionLogAsked]) (inquiry.DecisionLog, error) {
	log := inquiry.DecisionLog{Events: []json.RawMessage{}}
	asked := &req.Body
	if !asked.Since.IsZero() && !asked.Until.IsZero() && asked.Until.Before(asked.Since) {
		return log, fault.Field("until", "must not be before since")
	}
	stream, err := direct.Open(ctx, i.deps.JS, bus.DecisionsStream)
	if err != nil {
		return log, unlogged(err)
	}
	from := direct.Start{}
	switch {
	case asked.After > 0:
		state, err := stream.State(ctx)
		if err != nil {
			return log, unlogged(err)
		}
		if asked.After > state.LastSeq {
			return log, fault.Field("after", "no record has this position: the newest has %d", state.LastSeq)
		}
		from = direct.After(asked.After)
	case !asked.Since.IsZero():
		from = direct.Since(asked.Since)
	}
	size := 0
	err = stream.Each(ctx, bus.DecisionsPrefix+".>", from, func(m direct.Message) (bool, error) {
		if m.Time.Before(asked.Since) {
			return true, nil
		}
		if !asked.Until.IsZero() && !m.Time.Before(asked.Until) {
			return false, nil
		}
		event, err := i.logEvent(&m)
		if err != nil {
			// The index counts what cannot be read; the rest of the log is of use without it.
			i.deps.Log.WarnContext(ctx, "a recorded decision cannot be logged", "position", m.Sequence, "error", err)
			return true, nil
		}
		if size += len(event); size > mostLogged && len(log.Events) > 0 {
			return false, nil
		}
		log.Events = append(log.Events, event)
		return len(log.Events) < asked.Limit, nil
	})
	if err != nil {
		return inquiry.DecisionLog{}, unlogged(err)
	}
	return log, nil
}

func unlogged(err error) error {
	return fault.Unavailable(retryAfter, "the records of decisions could not be read").Because(err)
}

// logEvent is the record that a message holds.
func (i *Index) logEvent(m *direct.Message) (json.RawMessage, error) {
	var r replay.Record
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return nil, fmt.Errorf("decode a recorded decision: %w", err)
	}
	if r.ID == "" {
		return nil, errors.New("it has no ID")
	}
	e := logEvent{
		Labels: map[string]string{"id": system, "version": i.deps.Version}, DecisionID: string(r.ID),
		Bundles: map[string]logBundle{system: {Revision: r.PolicyRevision}}, Path: system + "/" + r.Action + "/decision",
		Input: r.Facts, Timestamp: r.Time.UTC(), Metrics: map[string]int64{wholeTimer: r.DurationMicros * int64(time.Microsecond)},
		Custom: logCustom{
			Position: strconv.FormatUint(m.Sequence, 10), Project: string(r.Project), User: string(r.User), RequestID: string(r.RequestID),
			Process: r.Process, Rule: r.Rule, Tag: string(r.Tag), Allow: r.Allow, Memoised: r.Memoised, Files: r.Files, Risk: r.Risk,
			Enforced: r.Enforced, Arm: r.Arm, Shadow: r.Shadow,
		},
	}
	if !r.Unanswered() {
		e.Result = r.Answer
	}
	// W3C Trace Context: version, trace, parent, flags.
	if parts := strings.Split(m.Header.Get(span.TraceParent), "-"); len(parts) > 2 { //nolint:mnd // the parent is the third
		e.TraceID, e.SpanID = parts[1], parts[2]
	}
	return json.Marshal(&e)
}

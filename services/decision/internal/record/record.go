// Package record is what is kept of every decision: it writes records as their contract has them (api/events/base/decision.json), and sends
// them to the stream of decisions. It promises that no answer waits for its record: what cannot be sent is lost and counted.
package record

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/flow"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/span"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/kept"
	"github.com/keyward/keyward/services/decision/internal/outline"
	"github.com/keyward/keyward/services/decision/internal/shadow"
)

// Judgement is the part of a record that is the same for who writes and for who reads it: of what was decided, by which policy, and how it
// came out.
type Judgement struct {
	Schema         int              `json:"schema,omitempty"` // 2; records of the version before have none, and no question
	ID             ident.DecisionID `json:"id"`
	Time           time.Time        `json:"time"`
	Project        ident.ProjectID  `json:"project"`
	User           ident.UserID     `json:"user,omitempty"` // empty if there was no such user
	RequestID      ident.RequestID  `json:"requestID,omitempty"`
	Process        string           `json:"process,omitempty"`
	Action         string           `json:"action"` // login, append, mediation, rollout or risk: the end of a ceremony
	PolicyRevision string           `json:"policyRevision"`
	PolicyHash     string           `json:"policyHash"` // of the bundle's content
	// Number of the revision in the store; 0 = it is none of the store, or the version before decided
	PolicyNumber int        `json:"policyNumber,omitempty"`
	Arm          *event.Arm `json:"arm,omitempty"` // nil = there was no canary
	// What another revision would have answered, that judged beside; nil = none did
	Shadow         *shadow.Answer   `json:"shadow,omitempty"`
	Rule           string           `json:"rule"`
	Tag            rest.DecisionTag `json:"tag"`
	Allow          bool             `json:"allow"`
	DurationMicros int64            `json:"durationMicros"`
	Memoised       bool             `json:"memoised"` // the answer was known from equal facts before
	// Which of the operator's files were read, by name: the beginning of each one's SHA-256
	Files map[string]string `json:"files,omitempty"`
	// What lists show and reports count by; nil in records of earlier versions, whose facts and answers say it
	Outline *outline.Said `json:"outline,omitempty"`
}

// Record is the body of a message on the decision stream: what was asked, what was answered and by which policy. It is enough to ask
// another policy the same question, with other parameters too. The subject is passkey.decisions.<project>.<user or _>.<action>.
type Record struct {
	Judgement
	Question *kept.Question  `json:"question"`           // what was asked, so that facts can be found anew
	Facts    *facts.Facts    `json:"facts"`              // the policy's input as a whole
	Answer   json.RawMessage `json:"answer"`             // the policy's answer document; null if it failed and the safe default was answered
	Risk     json.RawMessage `json:"risk,omitempty"`     // the answer document of its rules of risk; none if it has none, or they failed
	Enforced bool            `json:"enforced,omitempty"` // what the rules of risk say was done, and not only told

	Trace string `json:"-"` // traceparent of the call; empty = it has none
}

// appendJSON appends the record as encoding/json would write it, and without reflection: there is one for every decision.
func (r *Record) appendJSON(to []byte) []byte {
	text := func(name, value string) { to = facts.AppendText(append(to, name...), value) }
	to = strconv.AppendInt(append(to, `{"schema":`...), int64(r.Schema), 10)
	text(`,"id":`, string(r.ID))
	to = append(r.Time.AppendFormat(append(to, `,"time":"`...), time.RFC3339Nano), '"')
	text(`,"project":`, string(r.Project))
	if r.User != "" {
		text(`,"user":`, string(r.User))
	}
	if r.RequestID != "" {
		text(`,"requestID":`, string(r.RequestID))
	}
	if r.Process != "" {
		text(`,"process":`, r.Process)
	}
	text(`,"action":`, r.Action)
	text(`,"policyRevision":`, r.PolicyRevision)
	text(`,"policyHash":`, r.PolicyHash)
	if r.PolicyNumber != 0 {
		to = strconv.AppendInt(append(to, `,"policyNumber":`...), int64(r.PolicyNumber), 10)
	}
	if r.Arm != nil {
		text(`,"arm":{"side":`, string(r.Arm.Side))
		to = append(strconv.AppendInt(append(to, `,"change":`...), int64(r.Arm.Change), 10), '}')
	}
	if r.Shadow != nil {
		to = r.Shadow.AppendJSON(append(to, `,"shadow":`...))
	}
	text(`,"rule":`, r.Rule)
	text(`,"tag":`, string(r.Tag))
	to = strconv.AppendBool(append(to, `,"allow":`...), r.Allow)
	to = strconv.AppendInt(append(to, `,"durationMicros":`...), r.DurationMicros, 10)
	to = strconv.AppendBool(append(to, `,"memoised":`...), r.Memoised)
	to = r.Outline.AppendMember(appendFiles(to, r.Files))
	if to = append(to, `,"question":`...); r.Question == nil {
		to = append(to, "null"...)
	} else {
		to = r.Question.AppendJSON(to)
	}
	to = r.Facts.AppendJSON(append(to, `,"facts":`...))
	if to = append(to, `,"answer":`...); r.Answer == nil {
		to = append(to, "null"...)
	}
	to = append(to, r.Answer...)
	if r.Risk != nil {
		to = append(append(to, `,"risk":`...), r.Risk...)
	}
	if r.Enforced {
		to = append(to, `,"enforced":true`...)
	}
	return append(to, '}')
}

func appendFiles(to []byte, files map[string]string) []byte {
	if len(files) == 0 {
		return to
	}
	before := `,"files":{`
	for _, name := range slices.Sorted(maps.Keys(files)) {
		to = append(facts.AppendText(append(to, before...), name), ':')
		to, before = facts.AppendText(to, files[name]), ","
	}
	return append(to, '}')
}

// CloudEvents 1.0, binary content mode of the NATS protocol binding.
const (
	typePrefix   = "keyward.decision."
	sourcePrefix = "/keyward/projects/"
	timeFormat   = "2006-01-02T15:04:05.000Z07:00"
	contentType  = "application/json"
	noUser       = "_"
)

// render makes into the record as it is published. It has no ID for the server to remember: a record is published once, and remembering the
// IDs of minutes would cost the server time and memory for every decision.
func (r *Record) render(into *nats.Msg) {
	const usual, usualText = 4096, 192 // bytes
	user := string(r.User)
	if user == "" {
		user = noUser
	}
	// One text for what is put together.
	text := append(make([]byte, 0, usualText), sourcePrefix...)
	text = append(text, r.Project...)
	source := len(text)
	text = append(append(text, typePrefix...), r.Action...)
	kind := len(text)
	for _, token := range [...]string{bus.DecisionsPrefix, ".", string(r.Project), ".", user, ".", r.Action} {
		text = append(text, token...)
	}
	subject := len(text)
	all := string(r.Time.AppendFormat(text, timeFormat))
	into.Subject = all[kind:subject]
	if into.Data == nil {
		into.Data = make([]byte, 0, usual)
	}
	into.Data = r.appendJSON(into.Data[:0])
	flow.Head(
		into, "ce-specversion", "1.0", "ce-id", string(r.ID), "ce-source", all[:source], "ce-type", all[source:kind], "ce-subject", user,
		"ce-time", all[subject:], "ce-datacontenttype", contentType, "content-type", contentType, span.TraceParent, r.Trace,
	)
}

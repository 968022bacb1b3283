package decision

import (
	"encoding/json"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/detect"
)

// Record is the body of a message on the decision stream: what was asked, what was answered and by which policy. It is enough to ask another policy the
// same question. The subject is passkey.decisions.<project>.<user or _>.<action>.
type Record struct {
	ID             ident.DecisionID `json:"id"`
	Time           time.Time        `json:"time"`
	Project        ident.ProjectID  `json:"project"`
	User           ident.UserID     `json:"user,omitempty"` // empty if there is no such user
	RequestID      ident.RequestID  `json:"requestID,omitempty"`
	Process        string           `json:"process,omitempty"`
	Action         string           `json:"action"` // login, append or mediation
	PolicyRevision string           `json:"policyRevision"`
	PolicyHash     string           `json:"policyHash"` // of the bundle's content
	Rule           string           `json:"rule"`
	Tag            rest.DecisionTag `json:"tag"`
	Allow          bool             `json:"allow"`
	Facts          *detect.Facts    `json:"facts"`  // the policy's input as a whole
	Answer         json.RawMessage  `json:"answer"` // the policy's answer document; null if the policy failed and the safe default was answered
	DurationMicros int64            `json:"durationMicros"`
	Memoised       bool             `json:"memoised"` // the answer was known from equal facts before
}

func newRecord(j judged, v *service.Verdict, took time.Duration) *Record {
	r := &Record{
		ID: v.Decision, Time: j.start.UTC(), Project: j.question.Project, RequestID: j.question.RequestID, Process: j.question.Process, Action: j.action,
		PolicyRevision: v.PolicyRevision, PolicyHash: j.policy.Hash(), Rule: v.Rule, Tag: v.Tag, Allow: v.Allow,
		Facts: j.basis.Facts, Answer: j.basis.Answer, Memoised: j.basis.Memoised, DurationMicros: took.Microseconds(),
	}
	if j.question.Account != nil {
		r.User = j.question.Account.ID
	}
	return r
}

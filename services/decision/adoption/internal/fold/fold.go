// Package fold says what a decision and an event mean for the adoption of passkeys: which of the things that are counted happened, when,
// and to what. It is pure: a count is the sum of what it returns of a set of records and events.
//
// A decision counts where it was asked for and, if it allowed, where something was offered. What answers an offer is told by an event,
// which names the decision behind the offer: it counts at the moment of the event, and to what that decision was about. Of what was
// started nothing tells but its end, so that is what was completed, declined or has failed.
package fold

import (
	"cmp"
	"strings"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/internal/outline"
)

// Outcome is what is counted.
type Outcome string

// The outcomes.
const (
	Asked      Outcome = "asked"
	Offered    Outcome = "offered"
	Completed  Outcome = "completed"
	Declined   Outcome = "declined"
	Failed     Outcome = "failed"
	FellBack   Outcome = "fell-back"   // the user left the offered login for another way
	OtherMeans Outcome = "other-means" // a caller reported a login that was none with a passkey
)

// Outcomes returns all of them. Their places are part of what is stored.
func Outcomes() []Outcome {
	return []Outcome{Asked, Offered, Completed, Declined, Failed, FellBack, OtherMeans}
}

// Dimensions are what a count is by. What is not known is empty.
type Dimensions struct {
	Project  string `json:"project"`
	Action   string `json:"action"` // login, append or mediation
	Route    string `json:"route"`  // of a login, or the kind of a creation
	Rule     string `json:"rule"`
	Tag      string `json:"tag"`
	OS       string `json:"os"`
	Browser  string `json:"browser"`
	Class    string `json:"class"` // of the passkey: synced, device-bound or security-key; of what was completed alone
	Revision string `json:"revision"`
	Arm      string `json:"arm"`
}

// Other is what stands for what there is too much of.
const Other = "other"

// Names returns the names of all dimensions.
func Names() []string {
	return []string{"project", "action", "route", "rule", "tag", "os", "browser", "class", "revision", "arm"}
}

// Get returns a dimension by its name, "" if there is none.
func (d *Dimensions) Get(name string) string {
	switch name {
	case "project":
		return d.Project
	case "action":
		return d.Action
	case "route":
		return d.Route
	case "rule":
		return d.Rule
	case "tag":
		return d.Tag
	case "os":
		return d.OS
	case "browser":
		return d.Browser
	case "class":
		return d.Class
	case "revision":
		return d.Revision
	case "arm":
		return d.Arm
	}
	return ""
}

// Overflow are the dimensions of what there are too many kinds of.
func (d *Dimensions) Overflow() Dimensions {
	return Dimensions{
		Project: d.Project, Action: d.Action, Route: Other, Rule: Other, Tag: Other, OS: Other, Browser: Other, Class: Other, Revision: Other,
		Arm: Other,
	}
}

// Fact is something to count, once.
type Fact struct {
	AtMs int64
	Dimensions
	Outcome Outcome
	Cause   string // of what has failed; of other means their name
	TookMs  int64  // of what was completed: since it was asked for; -1 = that is not known
}

// actions are those whose offers lead to passkeys.
func counts(action string) bool {
	return action == "login" || action == "append" || action == "mediation"
}

// OfDecision returns what a decision means: that it was asked for, and what was offered. offered is nil if nothing was, or if it is none
// of those that are counted.
func OfDecision(o *outline.Outline) (asked, offered *Fact) {
	if !counts(o.Action) {
		return nil, nil
	}
	f := Fact{AtMs: o.Time.UnixMilli(), Outcome: Asked, TookMs: -1, Dimensions: Dimensions{
		Project: o.Project, Action: o.Action, Route: o.Route + o.Kind, Rule: o.Rule, Tag: o.Tag, OS: o.OS, Browser: o.Browser,
		Revision: o.Revision, Arm: o.Arm,
	}}
	if !o.Allow {
		return &f, nil
	}
	more := f
	more.Outcome = Offered
	return &f, &more
}

// OfEvent returns what an event means; false if that is nothing. of is what the decision that it names was about; nil = that is not known.
func OfEvent(e *event.Event, of *Dimensions) (Fact, bool) {
	f := Fact{AtMs: e.CreatedMs, TookMs: -1}
	switch e.Type {
	case event.LoginCompleted, event.AppendCompleted:
		f.Outcome = Completed
		if made, known := e.Decision.Time(); known {
			f.TookMs = max(e.CreatedMs-made.UnixMilli(), 0)
		}
	case event.LoginExplicitAbort, event.AppendExplicitAbort:
		f.Outcome = Declined
	case event.LoginOneTapSwitch:
		f.Outcome = FellBack
	case event.LoginError, event.LoginErrorUntyped, event.LoginErrorUnexpected, event.LoginNoCredentials, event.LoginImmediateEmpty,
		event.AppendError, event.AppendErrorUnexpected, event.AppendCredentialExists:
		f.Outcome, f.Cause = Failed, strings.TrimPrefix(strings.TrimPrefix(string(e.Type), "login-"), "append-")
	case event.LoginRefused, event.AppendRefused:
		f.Outcome, f.Cause = Failed, "refused"
		if e.Refused != nil && e.Refused.Step != "" {
			f.Cause += "-" + e.Refused.Step
		}
	case event.AuthLogin:
		if !e.OtherMeans() {
			return f, false
		}
		f.Outcome, f.Cause = OtherMeans, string(e.Auth.Method)
	default:
		return f, false
	}
	f.Dimensions = about(e, of)
	return f, true
}

// OfLeft returns that the user left the login that a decision had offered for the other means that an event reports; false if it reports
// none, or of is nil, since the decision is not known.
func OfLeft(e *event.Event, of *Dimensions) (Fact, bool) {
	if of == nil || !e.OtherMeans() {
		return Fact{}, false
	}
	return Fact{AtMs: e.CreatedMs, TookMs: -1, Outcome: FellBack, Dimensions: *of}, true
}

// Matters reports whether events of a type may count, or say who has passkeys.
func Matters(t event.Type) bool {
	if _, counts := OfEvent(&event.Event{Type: t, Auth: &event.Auth{Status: "success"}}, nil); counts {
		return true
	}
	_, holds := OfHolding(&event.Event{Type: t, Credential: "any"})
	return holds
}

// about is what an event is about.
func about(e *event.Event, of *Dimensions) Dimensions {
	d := Dimensions{Project: string(e.Project), Action: "login", Route: string(e.Route)}
	if e.Type.AnswersAppend() || e.Type == event.AppendCompleted || e.Type == event.AppendRefused {
		d.Action, d.Route = "append", string(e.Kind)
	}
	if e.Client != nil {
		d.OS, d.Browser = e.Client.OS, e.Client.Browser
	}
	if e.Arm != nil {
		d.Arm = string(e.Arm.Side)
	}
	if of != nil {
		route := d.Route
		d = *of
		if d.Action == "mediation" || e.Type == event.LoginCompleted {
			d.Route = cmp.Or(route, d.Route) // as it was taken
		}
	}
	d.Class = class(e)
	return d
}

// class is that of the passkey that something was completed with.
func class(e *event.Event) string {
	switch {
	case e.Type == event.LoginCompleted && e.Route == event.SecurityKey, e.Type == event.AppendCompleted && e.Attachment == "cross-platform":
		return "security-key"
	case e.Type == event.LoginCompleted && e.Use != nil && e.Use.BackedUp:
		return "synced"
	case e.Type == event.LoginCompleted && e.Use != nil:
		return "device-bound"
	case e.Type == event.AppendCompleted && e.Attachment == "platform":
		return "platform"
	}
	return ""
}

// Holding is what an event says of who has passkeys.
type Holding struct {
	Project    ident.ProjectID
	User       ident.UserID
	Credential string // empty = all of the user's
	Has        bool
}

// OfHolding returns that; false if it says nothing.
func OfHolding(e *event.Event) (Holding, bool) {
	h := Holding{Project: e.Project, User: e.User, Credential: e.Credential}
	switch e.Type {
	case event.AppendCompleted:
		h.Has = true
		return h, e.Credential != ""
	case event.LoginCompleted: // of one that was imported, or made before the log begins
		h.Has = true
		return h, e.Credential != ""
	case event.PasskeyDeleted:
		return h, e.Credential != ""
	case event.UserDeleted:
		h.Credential = ""
		return h, true
	}
	return h, false
}

// Buckets of how long something took: bucket i ends before bounds[i] ms; the last has no end.
func bounds() []int64 {
	return []int64{
		500, 1000, 1500, 2000, 2500, 3000, 4000, 5000, 6000, 8000, 10_000, 13_000, 16_000, 20_000, 30_000, 45_000, 60_000, 90_000,
		120_000, 300_000,
	}
}

// Bucket returns the bucket of a time, from 1; 0 if it is not known.
func Bucket(tookMs int64) int {
	if tookMs < 0 {
		return 0
	}
	for i, bound := range bounds() {
		if tookMs < bound {
			return i + 1
		}
	}
	return len(bounds()) + 1
}

// Quantile returns about what time that share took at most, by how many there are in each bucket; false if there are none.
func Quantile(buckets map[int]int64, share float64) (ms int64, known bool) {
	var all int64
	for bucket, n := range buckets {
		if bucket > 0 {
			all += n
		}
	}
	if all == 0 {
		return 0, false
	}
	rank := share * float64(all)
	var below int64
	limits := bounds()
	for bucket := 1; bucket <= len(limits)+1; bucket++ {
		n := buckets[bucket]
		if n == 0 || float64(below+n) < rank {
			below += n
			continue
		}
		lower, upper := int64(0), limits[len(limits)-1]
		if bucket > 1 {
			lower = limits[bucket-2]
		}
		if bucket <= len(limits) {
			upper = limits[bucket-1]
		}
		return lower + int64(float64(upper-lower)*(rank-float64(below))/float64(n)), true
	}
	return limits[len(limits)-1], true
}

package history

import (
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Part is what an event, or a credential, has a part in.
type Part string

// The parts.
const (
	FailedLocal       Part = "local-streak"
	FailedCDA         Part = "cda-streak"
	FailedSecurityKey Part = "security-key-streak"
	SaidNone          Part = "no-credentials" // the client's word that it holds none
	Worked            Part = "worked"         // makes the pair positive
	Made              Part = "made"           // a credential that was created here, as it says itself
	SaidToExist       Part = "said-to-exist"  // the client's word that it holds one

	LoginBarred             Part = "login-blacklist"
	AppendAfterHybridBarred Part = "append-after-hybrid-blacklist"
	AppendAfterErrorBarred  Part = "append-after-error-blacklist"

	DeclinedDefault     Part = "default-declines"
	DeclinedAfterError  Part = "after-error-declines"
	DeclinedAfterHybrid Part = "after-hybrid-declines"
	DeclinedAuto        Part = "auto-declines"
	PausedDefault       Part = "default-pause" // the decline that a pause of the kind began with
	PausedAfterError    Part = "after-error-pause"
	PausedAfterHybrid   Part = "after-hybrid-pause"
	PausedAuto          Part = "auto-pause"
	CreatedSilently     Part = "conditional-create-pause"
	ShownInDay          Part = "budget-day"
	ShownInMonth        Part = "budget-month"
	ShownInYear         Part = "budget-year"
	OfferedLast         Part = "last-offer"

	Doubted Part = "doubt"
)

// Counted is one thing that a part of a history was made of.
type Counted struct {
	Part       Part
	Event      *event.Event       // nil if only the credential tells of it
	Credential ident.CredentialID // that it is about, as far as the account has it
	Route      event.Route        // of a ceremony
	AtMs       int64              // Unix ms
	UntilMs    int64              // Unix ms: from then on it does not count; 0 = it counts for as long as it is there
}

// Tell folds, and tells what counted.
func Tell(in Input) (History, []Counted) {
	f := newFolder(&in)
	f.told = new([]Counted)
	found := f.fold()
	return found, *f.told
}

// tells notes what a part was made of. It costs nothing where nobody asks.
func (f *folder) tells(part Part, e *event.Event, seconds int64) {
	if f.told == nil {
		return
	}
	c := Counted{Part: part, Event: e, Route: f.route(e), AtMs: e.CreatedMs}
	if seconds > 0 {
		c.UntilMs = e.CreatedMs + millis(seconds)
	}
	if e.Expires != 0 && (c.UntilMs == 0 || e.ExpiresMs() < c.UntilMs) {
		c.UntilMs = e.ExpiresMs()
	}
	if known := f.credential(e); known != nil {
		c.Credential = known.ID
	}
	*f.told = append(*f.told, c)
}

// tellsMade notes a credential that says itself that it was created here.
func (f *folder) tellsMade(credential ident.CredentialID, createdMs, seconds int64) {
	if f.told != nil {
		*f.told = append(*f.told, Counted{
			Part: Made, Credential: credential, Route: event.Local, AtMs: createdMs, UntilMs: createdMs + millis(seconds),
		})
	}
}

// tellsSaid notes a credential that the client's word was about.
func (f *folder) tellsSaid(e *event.Event, credential ident.CredentialID) {
	if f.told != nil {
		f.tells(SaidToExist, e, f.parameters.PositiveSeconds)
		(*f.told)[len(*f.told)-1].Credential = credential
	}
}

func millis(seconds int64) int64 { return seconds * int64(time.Second/time.Millisecond) }

// declined returns the parts of one kind of offer.
func declined(kind event.Kind) (counted, pause Part) {
	switch kind {
	case event.KindAfterError:
		return DeclinedAfterError, PausedAfterError
	case event.KindAfterHybrid:
		return DeclinedAfterHybrid, PausedAfterHybrid
	case event.KindAuto:
		return DeclinedAuto, PausedAuto
	default:
		return DeclinedDefault, PausedDefault
	}
}

// failed is the part of the failures on a route.
func failed(route event.Route) Part {
	switch route {
	case event.CDA:
		return FailedCDA
	case event.SecurityKey:
		return FailedSecurityKey
	default:
		return FailedLocal
	}
}

// OfLogin reports whether logins have to do with a part; creations have to do with all but bars of logins.
func (p Part) OfLogin() bool {
	switch p {
	case LoginBarred, FailedLocal, FailedCDA, FailedSecurityKey, SaidNone, Worked, Made, SaidToExist, Doubted:
		return true
	default:
		return false
	}
}

// Threshold returns how many of a part decide; 0 = one does, or it decides nothing by its number.
func (p *Parameters) Threshold(of Part) int {
	switch of {
	case FailedLocal, FailedCDA, FailedSecurityKey:
		return p.StreakThreshold
	case DeclinedDefault:
		return p.Default.Count
	case DeclinedAfterError:
		return p.AfterError.Count
	case DeclinedAfterHybrid:
		return p.AfterHybrid.Count
	case DeclinedAuto:
		return p.Auto.Count
	case ShownInDay:
		return p.NudgeBudget.Day
	case ShownInMonth:
		return p.NudgeBudget.Month
	case ShownInYear:
		return p.NudgeBudget.Year
	default:
		return 0
	}
}

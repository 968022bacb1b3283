package event

import (
	"strings"
	"time"

	"github.com/keyward/keyward/core/ident"
)

// openOffer is how long an append offer waits for an event that names no process. An event is joined once, when it is appended, so this is
// no parameter of a policy.
const openOffer = time.Hour

// openLogin is how long a login offer may be left for another way: as long as reports wait for an answer to it, and longer than any
// challenge is good.
const openLogin = 30 * time.Minute

// Join returns e with Ceremony, Route, Source, Kind, Decision and Arm as the offer that e answers had them. Join is called once, when e is
// appended; known is what the user's history then holds: the recent login offers, and the live events of the set, in any order. What e
// already says of its ceremony is kept. An event that names the challenge of an offer and no environment happened in that of the offer.
//
// A login event belongs to the offer with its challenge, else to the newest offer of its process; failing both, Ceremony and Route stay
// empty and the event is a ceremony of its own, taken for a local one. An append event belongs to the offer with its challenge, else to
// the newest of its process, else to the newest offer in its environment that is younger than openOffer and has had no answer; failing
// all, its kind is the default one.
//
// Of a login by other means, which a caller reports, Decision and Arm become those of the login offer that the user left for it: the newest
// that is younger than openLogin, unless that was taken or left already.
func Join(e Event, known []Event) Event {
	switch {
	case e.Ceremony != "":
		return e
	case e.Type.AnswersLogin():
		if offer, ok := answered(e, known, LoginOffered); ok {
			e.Ceremony, e.Route, e.Source, e.Environment = offer.offerID(), offer.Route, offer.Source, environmentOf(e, offer)
			e.Arm, e.Decision = offer.Arm, offer.Decision
		}
		return e
	case e.Type.AnswersAppend():
		offer, ok := answered(e, known, AppendOffered)
		if !ok {
			offer, ok = newestOpen(e, known)
		}
		if !ok {
			e.Kind = KindDefault
			return e
		}
		e.Ceremony, e.Kind, e.Environment, e.Arm = offer.offerID(), offer.Kind, environmentOf(e, offer), offer.Arm
		e.Decision = offer.Decision
		return e
	case e.OtherMeans():
		if offer, ok := newestLeft(e, known); ok {
			e.Arm, e.Decision = offer.Arm, offer.Decision
		}
		return e
	default:
		return e
	}
}

// JoinTold is Join for an event that a file or a sample tells of. The end of a ceremony, which knows its ceremony when it is appended, is
// joined there by its challenge or process as other events are; how it went is as it was told.
func JoinTold(e Event, known []Event) Event {
	wire := e
	switch e.Type {
	case LoginCompleted:
		wire.Type = LoginError
	case AppendCompleted:
		wire.Type = AppendError
	default:
		return Join(e, known)
	}
	wire = Join(wire, known)
	e.Ceremony, e.Kind = wire.Ceremony, wire.Kind
	return e
}

// SameChallenge reports whether two challenges, or two WebAuthn credential IDs, are the same bytes, each in base64 of either alphabet,
// with or without padding.
func SameChallenge(a, b string) bool { return Canonical(a) == Canonical(b) }

// Canonical returns base64 text in the form W3C WebAuthn uses, base64url without padding. Text that is no base64 is returned with the same
// replacements.
func Canonical(base64 string) string {
	if !strings.ContainsAny(base64, "+/=") {
		return base64
	}
	return strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(base64), "=")
}

// offerID names the ceremony that an offer opened: its challenge ID, or its own if it carries none.
func (e Event) offerID() ident.ChallengeID {
	if e.Ceremony != "" {
		return e.Ceremony
	}
	return ident.ChallengeID(e.ID)
}

// answered finds the offer of the type that e names, by challenge or by process.
func answered(e Event, known []Event, offered Type) (Event, bool) {
	if e.Challenge != "" {
		if offer, ok := newest(known, func(o Event) bool { return o.Type == offered && names(e, o) }); ok {
			return offer, true
		}
	}
	if e.Process == "" {
		return Event{}, false
	}
	ofProcess := func(o Event) bool { return o.Type == offered && o.Process == e.Process }
	if offer, ok := newest(known, func(o Event) bool { return ofProcess(o) && o.CreatedMs <= e.CreatedMs }); ok {
		return offer, true
	}
	// The clocks of two instances may differ by more than the time between offer and answer.
	return newest(known, ofProcess)
}

// names reports whether e names the challenge of an offer, or its ID.
func names(e, offer Event) bool {
	return e.Challenge != "" && (string(offer.Ceremony) == e.Challenge || offer.Challenge != "" && SameChallenge(offer.Challenge, e.Challenge))
}

func environmentOf(e, offer Event) ident.EnvironmentID {
	if e.Environment == "" && names(e, offer) {
		return offer.Environment
	}
	return e.Environment
}

// newestOpen finds the newest append offer in e's environment that nothing has answered and that is younger than openOffer at e's time.
func newestOpen(e Event, known []Event) (Event, bool) {
	closed := make(map[ident.ChallengeID]bool)
	for _, k := range known {
		switch k.Type {
		case AppendCompleted, AppendExplicitAbort, AppendError, AppendCredentialExists:
			closed[k.Ceremony] = true
		}
	}
	return newest(known, func(o Event) bool {
		age := max(0, e.CreatedMs-o.CreatedMs)
		return o.Type == AppendOffered && o.Environment == e.Environment && age < openOffer.Milliseconds() && !closed[o.offerID()]
	})
}

// newestLeft finds the newest login offer that is younger than openLogin at e's time, if it was neither completed nor left for another way.
func newestLeft(e Event, known []Event) (Event, bool) {
	offer, ok := newest(known, func(o Event) bool {
		age := e.CreatedMs - o.CreatedMs
		return o.Type == LoginOffered && age >= 0 && age < openLogin.Milliseconds()
	})
	if !ok {
		return Event{}, false
	}
	for _, k := range known {
		if (k.Type == LoginCompleted || k.Type == LoginOneTapSwitch) && k.Ceremony == offer.offerID() {
			return Event{}, false
		}
	}
	return offer, true
}

func newest(events []Event, match func(Event) bool) (Event, bool) {
	var found Event
	ok := false
	for _, e := range events {
		if match(e) && (!ok || ByAge(e, found) > 0) {
			found, ok = e, true
		}
	}
	return found, ok
}

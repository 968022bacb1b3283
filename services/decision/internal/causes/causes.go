// Package causes finds what an answer came from beyond the facts, which hold neither times nor names: the events that were counted, until
// when they count, what worked in the environment, and which single change would bring another answer. It folds and asks the policy
// again, and claims nothing that it has not seen so. It is pure, and its cost is bounded; only explanations ask it.
package causes

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Found is what a recorded answer came from.
type Found struct {
	Rule           string     `json:"row"`                      // that answers
	Reason         string     `json:"reason,omitempty"`         // why nothing is offered, in the word of the wire
	NextEligibleAt *time.Time `json:"nextEligibleAt,omitempty"` // until when it is refused for that reason; absent = not a matter of time
	Counted        []Count    `json:"counted,omitempty"`
	Worked         []Win      `json:"worked,omitempty"`  // here, newest first
	Changes        []Change   `json:"changes,omitempty"` // that would bring another answer, those first that turn it over

	Passkeys []detect.Reach `json:"-"` // of the account, as they were found with what had happened
}

// Count is one part of the history, with the events that it was made of.
type Count struct {
	Of            history.Part `json:"of"`
	Number        int          `json:"number"`
	Threshold     int          `json:"threshold,omitempty"`     // from which on it decides; 0 = one is enough
	WindowSeconds int64        `json:"windowSeconds,omitempty"` // how long an event counts; 0 = until it expires
	Until         *time.Time   `json:"until,omitempty"`         // when it no longer decides; absent = it does not now, or has no end
	Events        []Event      `json:"events"`                  // the newest, newest first
}

// Event is one that was counted.
type Event struct {
	ID         ident.EventID      `json:"id"`
	Type       event.Type         `json:"type"`
	At         time.Time          `json:"at"`
	Route      event.Route        `json:"route,omitempty"`
	Ceremony   string             `json:"ceremony,omitempty"` // that it ended; empty = it belongs to none
	Credential ident.CredentialID `json:"credentialID,omitempty"`
}

// Win is something that shows that a passkey works here, or is here.
type Win struct {
	How        history.Part       `json:"how"` // worked, made or said-to-exist
	Credential ident.CredentialID `json:"credentialID"`
	Provider   string             `json:"provider,omitempty"`
	Route      event.Route        `json:"route"`
	At         time.Time          `json:"at"`
	Event      ident.EventID      `json:"event,omitempty"`      // empty = the passkey itself tells
	Used       bool               `json:"used"`                 // the answer rests on it
	PassedOver string             `json:"passedOver,omitempty"` // why it does not help; empty = it does, or would

	kind, why string // of what holds it, and of PassedOver, in words
}

// maxEvents bounds how many events of a count are told.
const maxEvents = 10

// Find finds what a recorded answer came from, with what the engine makes of it.
//
// The error is or wraps recognition.ErrAddressNotKept where the record has no address of its network for what was found.
func Find(ctx context.Context, by *engine.Engine, r *engine.Recorded) (*Found, error) {
	r, err := placed(by, r)
	if err != nil {
		return nil, err
	}
	i := &inquiry{ctx: ctx, by: by, recorded: r, told: by.Tell(r, r.Made)}
	base, err := i.ask(by, func(*question) {})
	if err != nil || base == nil {
		return nil, err
	}
	i.base = base
	found := &Found{Rule: base.Rule, Reason: base.reason, Passkeys: base.basis.Found.Reaches(by.Knowledge(r.Project))}
	if at := base.NextEligibleAt; !at.IsZero() {
		found.NextEligibleAt = &at
	}
	found.Counted = i.counts()
	for n := range found.Passkeys {
		found.Passkeys[n].History = found.failures(&found.Passkeys[n])
	}
	found.Worked = i.wins()
	found.Changes, err = i.changes()
	return found, err
}

// Counts returns what the history of a question comes to, as of its moment, and until when each part decides. The policy is not asked.
func Counts(by *engine.Engine, r *engine.Recorded) []Count {
	i := &inquiry{by: by, recorded: r, told: by.Tell(r, r.Made)}
	return i.counts()
}

// placed returns the record with an address of its network that is barred if the client was, where a part of the network is barred; with
// any such address, if its own was left out.
func placed(by *engine.Engine, r *engine.Recorded) (*engine.Recorded, error) {
	clients, network := &by.Knowledge(r.Project).Clients, r.Question.Network()
	unknown := clients.TellsNetwork(network, r.Question.Nameless)
	if unknown == nil {
		return r, nil
	}
	barred := r.Facts.Environment.Listed == facts.ListedAddress
	at, found := clients.Within(network, barred)
	for _, anywhere := range [...]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		if !found && r.Question.Nameless {
			network = netip.PrefixFrom(anywhere, 0)
			at, found = clients.Within(network, barred)
		}
	}
	if !found {
		return nil, unknown
	}
	q := *r.Question
	q.Client.RemoteAddress = netip.PrefixFrom(at, network.Bits()).String()
	one := *r
	one.Question = &q
	return &one, nil
}

// inquiry is one search under way.
type inquiry struct {
	ctx      context.Context //nolint:containedctx // an inquiry lives as long as the call that made it
	by       *engine.Engine
	recorded *engine.Recorded
	told     []history.Counted
	base     *answer
}

// question is what is asked, to be changed in one thing.
type question struct {
	login  service.LoginQuestion
	append service.AppendQuestion
	at     time.Time
}

// common returns the question that both kinds have in common.
func (q *question) common() []*service.Question {
	return []*service.Question{&q.login.Question, &q.append.Question}
}

// answer is what matters of one.
type answer struct {
	service.Verdict
	reason string
	route  event.Route // of a login
	kind   event.Kind  // of a creation
	basis  engine.Basis
}

// same reports whether two answers say the same.
func (a *answer) same(b *answer) bool {
	return a.Rule == b.Rule && a.Allow == b.Allow && a.Tag == b.Tag && a.route == b.route && a.kind == b.kind && a.reason == b.reason
}

// ask puts the recorded question again, changed in one thing; nil if it is not about a user.
func (i *inquiry) ask(by *engine.Engine, change func(*question)) (*answer, error) {
	q := &question{at: i.recorded.Made}
	switch i.recorded.Action {
	case engine.ActionLogin:
		q.login = i.recorded.Login()
		change(q)
		v, basis, err := by.Login(i.ctx, q.login, i.recorded.Evidence().At(q.at))
		return &answer{Verdict: v.Verdict, reason: v.Reason, route: v.Route, basis: basis}, err
	case engine.ActionAppend:
		q.append = i.recorded.Append()
		change(q)
		v, basis, err := by.Append(i.ctx, q.append, i.recorded.Evidence().At(q.at))
		return &answer{Verdict: v.Verdict, reason: v.Reason, kind: v.Kind, basis: basis}, err
	default:
		return nil, nil //nolint:nilnil // there is no history then, and no error
	}
}

// order is that in which parts are told.
func order() []history.Part {
	return []history.Part{
		history.LoginBarred, history.AppendAfterHybridBarred, history.AppendAfterErrorBarred,
		history.FailedLocal, history.FailedCDA, history.FailedSecurityKey, history.SaidNone,
		history.PausedDefault, history.DeclinedDefault, history.PausedAfterError, history.DeclinedAfterError,
		history.PausedAfterHybrid, history.DeclinedAfterHybrid, history.PausedAuto, history.DeclinedAuto,
		history.CreatedSilently, history.OfferedLast, history.ShownInDay, history.ShownInMonth, history.ShownInYear, history.Doubted,
	}
}

func (i *inquiry) counts() []Count {
	var all []Count
	parameters := &i.by.Knowledge(i.recorded.Project).Parameters.Parameters
	for _, part := range order() {
		of := partOf(i.told, part)
		if len(of) == 0 || i.recorded.Action == engine.ActionLogin && !part.OfLogin() {
			continue
		}
		newest := of[len(of)-1]
		c := Count{Of: part, Number: len(of), Threshold: parameters.Threshold(part)}
		if e := newest.Event; newest.UntilMs != 0 && newest.UntilMs != e.ExpiresMs() {
			c.WindowSeconds = (newest.UntilMs - newest.AtMs) / time.Second.Milliseconds()
		}
		for _, one := range slices.Backward(of) {
			if len(c.Events) < maxEvents {
				c.Events = append(c.Events, Event{
					ID: one.Event.ID, Type: one.Event.Type, At: time.UnixMilli(one.AtMs).UTC(), Route: routeOf(one), Ceremony: string(one.Event.Ceremony),
					Credential: one.Credential,
				})
			}
		}
		c.Until = i.until(part, c.Threshold)
		all = append(all, c)
	}
	return all
}

// routeOf is the route of a ceremony of login or creation; offers and bars have none.
func routeOf(c *history.Counted) event.Route {
	switch c.Part {
	case history.FailedLocal, history.FailedCDA, history.FailedSecurityKey, history.Worked:
		return c.Route
	default:
		return c.Event.Route
	}
}

// partOf returns what a part was made of, oldest first.
func partOf(told []history.Counted, part history.Part) []*history.Counted {
	var of []*history.Counted
	for i := range told {
		if told[i].Part == part {
			of = append(of, &told[i])
		}
	}
	slices.SortStableFunc(of, func(a, b *history.Counted) int { return cmp.Compare(a.AtMs, b.AtMs) })
	return of
}

// maxLooks bounds how often it is looked whether a part still decides.
const maxLooks = 24

// until returns when fewer of a part count than the threshold. That a window grows meanwhile, because what worked here is forgotten, is
// seen by folding at that moment.
func (i *inquiry) until(part history.Part, threshold int) *time.Time {
	least := max(1, threshold)
	told := i.told
	for range maxLooks {
		of := partOf(told, part)
		if len(of) < least {
			return nil
		}
		ends := make([]int64, 0, len(of))
		for _, one := range of {
			if one.UntilMs != 0 {
				ends = append(ends, one.UntilMs)
			}
		}
		slices.Sort(ends)
		if lasting := len(of) - len(ends); lasting >= least {
			return nil
		}
		// When so many have ended that fewer than the threshold are left.
		at := time.UnixMilli(ends[len(of)-least]).UTC()
		if told = i.by.Tell(i.recorded, at); len(partOf(told, part)) < least {
			return &at
		}
	}
	return nil
}

// wins returns what shows that passkeys work here, newest first, each passkey on each route once.
func (i *inquiry) wins() []Win {
	var all []Win
	reaches := i.base.basis.Found.Reaches(i.by.Knowledge(i.recorded.Project))
	for n := range i.told {
		c := &i.told[n]
		shows := c.Part == history.Worked || c.Part == history.Made || c.Part == history.SaidToExist
		if !shows || c.Credential == "" || c.UntilMs <= i.recorded.Made.UnixMilli() {
			continue
		}
		win := Win{How: c.Part, Credential: c.Credential, Route: c.Route, At: time.UnixMilli(c.AtMs).UTC()}
		if c.Event != nil {
			win.Event = c.Event.ID
		}
		if c.Part == history.SaidToExist {
			win.Route = event.Local
		}
		all = append(all, win)
	}
	slices.SortStableFunc(all, func(a, b Win) int { return b.At.Compare(a.At) })
	type key struct {
		credential ident.CredentialID
		route      event.Route
	}
	seen := map[key]bool{}
	all = slices.DeleteFunc(all, func(w Win) bool {
		k := key{w.Credential, w.Route}
		defer func() { seen[k] = true }()
		return seen[k]
	})
	taken := false
	for n := range all {
		w := &all[n]
		at := slices.IndexFunc(reaches, func(r detect.Reach) bool { return r.Credential == w.Credential })
		if at < 0 {
			continue
		}
		w.Provider = reaches[at].Authenticator
		w.kind = ClassWords(reaches[at].Class)
		w.PassedOver = i.closed(w, &reaches[at])
		w.why = closedBy(w.PassedOver, &reaches[at])
		w.Used = w.PassedOver == "" && i.restsOn(w, taken)
		taken = taken || w.Used
	}
	return all
}

// restsOn reports whether the answer rests on something that worked: a login on the newest of its route, a refusal to create another
// passkey on all that is here, an offer of another one for what was lost on what had worked.
func (i *inquiry) restsOn(w *Win, taken bool) bool {
	switch {
	case string(i.base.Tag) == notOffered:
		return i.base.basis.Facts.Pair.Lost && w.Route == event.Local
	case string(i.base.Tag) != positive:
		return false
	case i.recorded.Action == engine.ActionLogin:
		return !taken && w.How == history.Worked && i.base.Allow && w.Route == i.base.route
	default:
		return !i.base.Allow && w.Route == event.Local
	}
}

// Tags of answers that rest on what worked here, the second where it has failed since.
const (
	positive   = "user-positive-env-history"
	notOffered = "process-pk-login-not-offered"
)

// failingHere is why a way is closed that failed as often as the threshold.
const failingHere = "failing-here"

// closedBy puts into words why a passkey was passed over.
func closedBy(word string, r *detect.Reach) string {
	switch word {
	case failingHere:
		return "it has failed here since"
	case "minimize":
		return "the request keeps other devices to a minimum"
	default:
		return r.Why
	}
}

// closed says why a passkey cannot be used again on the route that it took; empty = it can.
func (i *inquiry) closed(w *Win, r *detect.Reach) string {
	f := i.base.basis.Facts
	threshold := i.by.Knowledge(i.recorded.Project).Parameters.StreakThreshold
	failing := func(streak int) string {
		if streak >= threshold {
			return failingHere
		}
		return ""
	}
	switch {
	case w.Route == event.Local && r.Local == string(detect.AvailabilityNot):
		return r.LocalReason
	case w.Route == event.Local && i.recorded.Action == engine.ActionLogin:
		return failing(f.Pair.LocalStreak)
	case w.Route == event.Local:
		return ""
	case w.Route == event.SecurityKey:
		return failing(f.Pair.SecurityKeyStreak)
	case r.ByPhone == string(detect.AvailabilityNot):
		return r.ByPhoneReason
	case f.Strategy == "minimize":
		return "minimize"
	case !f.CDA.Client && len(r.Shut) > 0:
		return string(r.Shut[0])
	default:
		return failing(f.Pair.CDAStreak)
	}
}

package written

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/scenario/internal/logged"
	"github.com/keyward/keyward/services/decision/scenario/internal/strictyaml"
)

// entryKeys are those of every log entry.
var entryKeys = []string{"at", "type", "id", "deleted", "user"}

// entry is a line of the log before it is joined.
type entry struct {
	event     event.Event
	deletedMs int64  // Unix ms; 0 = never
	foreign   bool   // of another account
	who       string // whose
}

// history reads the log and fills in what the events service would hold now, and what the account would. It returns the processes that
// the log names.
func (l *library) history(s *Scenario, log *yaml.Node) []string {
	var entries, counted []entry
	var processes []string
	for _, n := range l.List(log, "log") {
		for _, e := range l.entry(n, s) {
			processes = append(processes, e.event.Process)
			switch {
			case e.foreign || logged.OfNoHistory(e.event.Type):
				counted = append(counted, e)
			case e.event.Type != "":
				entries = append(entries, e)
			}
		}
	}
	arrange(entries)
	s.hold(entries)
	s.label()
	s.settle(entries, l.systems)
	s.see(append(entries, counted...))
	return processes
}

func (l *library) entry(n *yaml.Node, s *Scenario) []entry {
	var e entry
	e.event.Project, e.event.User = projectID, userID
	given, of := strictyaml.Get(n, "type"), ""
	if given != nil {
		of = l.Choice(given, "type", logged.Types())
	} else if n.Kind == yaml.MappingNode {
		l.Refuse(n, "the log entry has no type")
	}
	what := "a log entry"
	allowed := slices.Concat(entryKeys, logged.AllKeys())
	if of != "" {
		what = "a log entry of type " + of
		allowed = slices.Concat(entryKeys, logged.KeysOf(of))
	}
	fields := l.Object(n, what, allowed)
	logged.Say(l.Reader, &e.event, of, fields)
	if at := fields["at"]; at != nil {
		e.event.CreatedMs = l.Moment(at, "at", s.Now).UnixMilli()
	} else if n.Kind == yaml.MappingNode {
		l.Refuse(n, "the log entry does not say when it happened (at)")
	}
	if given := fields["deleted"]; given != nil {
		e.deletedMs = l.Moment(given, "deleted", s.Now).UnixMilli()
	}
	if given := fields["user"]; given != nil {
		e.who = l.Text(given, "user")
		e.foreign = e.who != ""
	}
	e.event.ID = ident.EventID(l.Text(fields["id"], "id"))
	e.event.Process = l.Text(fields["process"], "process")
	e.event.Challenge = event.Canonical(l.Text(fields["challenge"], "challenge"))
	if env := l.Text(fields["env"], "env"); env != envNone && env != envForged {
		e.event.Environment = ident.EnvironmentID(env)
	}
	if from := l.origin(e.event.Type, fields["address"]); from != nil {
		e.event.Origin = from
	}
	e.event.Expires = l.expires(fields["expires"], s.Now)
	e.event.Credential = l.credentialNamed(fields["credential"], s, e.event.CreatedMs)
	if given := fields["proven"]; given != nil && !l.Boolean(given, "proven") {
		e.event.Proven = new(bool)
	}
	all := l.repeated(e, fields)
	for i := range all {
		all[i].name(l.Text(fields["address"], "address"))
	}
	return all
}

// credentialNamed returns the row ID of the account's passkey of that name that existed then, or the WebAuthn ID of one that the account
// does not have.
func (l *library) credentialNamed(n *yaml.Node, s *Scenario, atMs int64) string {
	if n == nil {
		return ""
	}
	known := slices.Sorted(maps.Keys(l.credentials))
	for i := range s.passkeys {
		if !slices.Contains(known, s.passkeys[i].name) {
			known = append(known, s.passkeys[i].name)
		}
	}
	name := l.Choice(n, "credential", known)
	found := ""
	for i := range s.passkeys {
		p := &s.passkeys[i]
		if p.name != name {
			continue
		}
		if p.credential.CreatedMs <= atMs && (p.deletedMs == 0 || atMs < p.deletedMs) {
			return string(p.credential.ID)
		}
		if found == "" {
			found = string(p.credential.ID)
		}
	}
	if defined := l.credentials[name]; found == "" && defined != nil {
		if id := strictyaml.Get(defined, "credentialID"); id != nil {
			return id.Value
		}
	}
	return found
}

func rowID(i int) ident.CredentialID { return ident.CredentialID("cre-" + strconv.Itoa(i+1)) }

// arrange sorts entries by time and, within a millisecond, offers before their answers; then by content, so that their order in the file
// means nothing. Entries without an ID get one that follows this order, and entries that repeat an ID are told apart from the first by
// nothing.
func arrange(entries []entry) {
	slices.SortFunc(entries, func(a, b entry) int {
		x, y := &a.event, &b.event
		return cmp.Or(
			cmp.Compare(x.CreatedMs, y.CreatedMs), cmp.Compare(rank(x.Type), rank(y.Type)), cmp.Compare(x.Type, y.Type), cmp.Compare(x.ID, y.ID),
			cmp.Compare(x.Process, y.Process), cmp.Compare(x.Challenge, y.Challenge), cmp.Compare(x.Environment, y.Environment),
			cmp.Compare(x.Credential, y.Credential), cmp.Compare(x.Route, y.Route), cmp.Compare(x.Kind, y.Kind),
			cmp.Compare(x.Source, y.Source), cmp.Compare(x.Expires, y.Expires), cmp.Compare(a.deletedMs, b.deletedMs),
			cmp.Compare(x.Decision, y.Decision), cmp.Compare(outcome(x), outcome(y)),
		)
	})
	for i := range entries {
		e := &entries[i].event
		if e.ID == "" {
			e.ID = ident.EventID("log-" + padded(i))
		}
		if e.Type == event.RiskFeedback && e.Decision == "" { // of one that nobody else speaks of
			e.Decision = ident.DecisionID("decided-" + padded(i))
		}
		if e.Type == event.LoginOffered || e.Type == event.AppendOffered {
			e.Ceremony = ident.ChallengeID("was-" + padded(i))
		}
	}
}

func outcome(e *event.Event) event.Outcome {
	if e.Feedback == nil {
		return ""
	}
	return e.Feedback.Outcome
}

func rank(t event.Type) int {
	switch t {
	case event.LoginOffered, event.AppendOffered, event.LoginDenied:
		return 0
	case event.LoginCompleted, event.AppendCompleted:
		return 2
	default:
		return 1
	}
}

// padded keeps the order of numbers in the order of texts.
func padded(i int) string {
	const first = 1_000_000
	return strconv.Itoa(first + i)
}

// hold joins every event to what was known when it happened, and keeps events and offers as the events service does. A deletion that lies
// in the future has not happened.
func (s *Scenario) hold(entries []entry) {
	nowMs := s.Now.UnixMilli()
	seen := map[ident.EventID]bool{}
	var known []entry
	for _, e := range entries {
		if seen[e.event.ID] {
			continue
		}
		seen[e.event.ID] = true
		e.event = join(e.event, known)
		known = append(known, e)
		deleted := e.deletedMs != 0 && e.deletedMs <= nowMs
		switch {
		case e.event.Type != event.LoginOffered && e.event.Type != event.LoginDenied:
			s.Events = append(s.Events, e.event)
			if deleted {
				s.Events = append(s.Events, event.Event{
					ID: "deletion-of-" + e.event.ID, Project: projectID, User: userID, Type: event.Deleted, Deletes: e.event.ID, CreatedMs: e.deletedMs,
				})
			}
		case !deleted:
			s.Offers = append(s.Offers, e.event)
		}
	}
}

// join finds the ceremony of an event among what was there at its time. The engine's own events know theirs, which the file tells by
// challenge or process.
func join(e event.Event, entries []entry) event.Event {
	var known []event.Event
	for _, k := range entries {
		if k.deletedMs == 0 || k.deletedMs > e.CreatedMs {
			known = append(known, k.event)
		}
	}
	return event.JoinTold(e, known)
}

// label gives the account the labels that were set last, unless the scenario says which it has.
func (s *Scenario) label() {
	a := s.Question.Account
	if a == nil || a.Labels != nil {
		return
	}
	for _, e := range slices.Backward(s.Events) {
		if e.Labels != nil && e.CreatedMs <= s.Now.UnixMilli() {
			a.Labels = *e.Labels
			return
		}
	}
}

// settle splits the passkeys into those the account has and those it had, and notes on which systems they were used. The system of an
// environment is that on which a passkey of the file was created there.
func (s *Scenario) settle(entries []entry, systems map[string][]string) {
	nowMs := s.Now.UnixMilli()
	a := s.Question.Account
	if a == nil {
		return
	}
	for i := range s.passkeys {
		p := &s.passkeys[i]
		for j := range entries {
			e := &entries[j].event
			used := e.Type == event.LoginCompleted && e.Credential == string(p.credential.ID) && e.CreatedMs <= nowMs && entries[j].deletedMs == 0
			if !used {
				continue
			}
			p.credential.LastUsedMs = max(p.credential.LastUsedMs, e.CreatedMs)
			if e.Route != event.Local {
				continue
			}
			for _, os := range systems[string(e.Environment)] {
				if !slices.Contains(p.credential.UsedOn, os) {
					p.credential.UsedOn = append(p.credential.UsedOn, os)
				}
			}
		}
		if p.credential.ID == s.Finish.Passkey.ID {
			s.Finish.Passkey = p.credential
		}
		if p.deletedMs != 0 && p.deletedMs <= nowMs {
			a.Deleted = append(a.Deleted, account.Tombstone{ID: p.credential.ID, CredentialID: p.credential.CredentialID, DeletedMs: p.deletedMs})
			continue
		}
		a.Credentials = append(a.Credentials, p.credential)
	}
}

// msThreshold is the value above which the wire reads expires as ms.
const msThreshold = 100_000_000_000

// expires returns the end of an event as it would be sent: a whole number is taken as it is.
func (l *library) expires(n *yaml.Node, now time.Time) int64 {
	if n == nil {
		return 0
	}
	if strictyaml.IsInteger(n) {
		raw := l.Integer(n, "expires")
		if raw < 1 || raw > math.MaxInt64/1000 {
			l.Refuse(n, "expires must be a Unix time in seconds above zero, or in ms above 100000000000")
			return 0
		}
		return raw
	}
	at := l.Moment(n, "expires", now)
	if at.IsZero() {
		return 0
	}
	// Seconds unless that would lose something, or be taken for ms.
	if ms := at.UnixMilli(); ms%1000 != 0 && ms > msThreshold || at.Unix() > msThreshold {
		return ms
	}
	return at.Unix()
}

// origin reads the address that a ceremony was finished from. Other events have none.
func (l *library) origin(of event.Type, n *yaml.Node) *event.Origin {
	if n == nil {
		return nil
	}
	told := l.Text(n, "address")
	kept, network := address.Truncated.Keep(told)
	if kept == "" {
		l.Refuse(n, "address %q is no IP address", n.Value)
		return nil
	}
	if of != event.LoginCompleted && of != event.AppendCompleted {
		return nil
	}
	return event.NewOrigin(kept, network, l.networks.Place(told))
}

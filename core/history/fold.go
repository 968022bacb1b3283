package history

import (
	"encoding/base64"
	"slices"
	"sort"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Fold returns what the events mean at in.Now. A set is the same for every order and repetition of its events, and so is the answer; that
// to a set with a deletion is that to the set without the deleted event. Windows are half open: an event of age exactly the window no
// longer counts, and a cooldown is over at exactly its end. Events of the future have age 0. A success and a failure of the same
// millisecond: the success came after.
//
// With an Owner, what was folded of the same Set is remembered for as long as neither time nor anything else makes a difference. Who gets a
// history must not change what its slices hold.
func Fold(in Input) History {
	f := newFolder(&in)
	if in.Owner != nil {
		return f.remembered(&in)
	}
	return f.fold()
}

func (f *folder) fold() History {
	f.begin()
	history := f.whole()
	f.end(&history)
	return history
}

// whole folds all but what the process has seen.
func (f *folder) whole() History {
	history := History{Append: f.append(), Blacklist: f.blacklist(), Doubts: f.doubts(), ByPhone: f.byPhone()}
	if f.environment != "" {
		history.Pair = f.pair(f.environment)
	}
	return history
}

// end adds what the process has seen.
func (f *folder) end(history *History) {
	history.Process = f.process(f.processID)
	history.ClockSkew = f.skewed
}

// folder is one fold under way.
type folder struct {
	events      event.Set
	expired     bool // some of the events have no effect any more
	offers      []event.Event
	credentials []account.Credential
	deleted     []account.Tombstone
	environment ident.EnvironmentID
	processID   string
	now         int64 // Unix ms
	parameters  Parameters
	createdBy   func(*account.Credential) event.Route
	skewed      bool
	until       int64      // Unix ms: the next of the moments that the answer depends on; see lasting
	told        *[]Counted // what counted; nil = nobody asks
	encoded     []string   // WebAuthn credential IDs of credentials, as events name them; empty until one is asked for
}

func newFolder(in *Input) *folder {
	f := &folder{
		events:      in.Events,
		offers:      in.Offers,
		credentials: in.Credentials,
		deleted:     in.Deleted,
		environment: in.Environment,
		processID:   in.Process,
		now:         in.Now.UnixMilli(),
		parameters:  in.Parameters,
		createdBy:   in.Created,
	}
	if f.createdBy == nil {
		f.createdBy = (*account.Credential).CreatedBy
	}
	return f
}

// begin finds out whether some of the events have no effect any more.
func (f *folder) begin() { f.expired = slices.ContainsFunc(f.events.Expiring(), f.over) }

// over reports whether an event has no effect any more: at the moment it expires it has none.
func (f *folder) over(e *event.Event) bool {
	if e.Expires == 0 {
		return false
	}
	f.asks(e.ExpiresMs())
	return f.now >= e.ExpiresMs()
}

// unexpired returns those of a part of the set that still have an effect.
func (f *folder) unexpired(part []*event.Event) []*event.Event {
	if !f.expired || !slices.ContainsFunc(part, f.over) {
		return part
	}
	return slices.DeleteFunc(slices.Clone(part), f.over)
}

// of returns the events of a type that have an effect, oldest first.
func (f *folder) of(t event.Type) []*event.Event { return f.unexpired(f.events.Of(t)) }

// age is never negative: clocks differ, and what just happened happened now.
func (f *folder) age(createdMs int64) int64 { return max(0, f.now-createdMs) }

func (f *folder) younger(createdMs, seconds int64) bool {
	f.asks(createdMs + millis(seconds))
	return f.age(createdMs) < millis(seconds)
}

// counts notes that e has a part in the answer.
func (f *folder) counts(e *event.Event) {
	f.asks(e.CreatedMs - millis(f.parameters.ClockSkewSeconds))
	if e.CreatedMs-f.now > millis(f.parameters.ClockSkewSeconds) {
		f.skewed = true
	}
}

func (f *folder) credential(e *event.Event) *account.Credential {
	for i := range f.credentials {
		if e.Credential == string(f.credentials[i].ID) {
			return &f.credentials[i]
		}
	}
	id := event.Canonical(e.Credential)
	for i := range f.credentials {
		c := &f.credentials[i]
		if id == string(c.ID) || len(id) == base64.RawURLEncoding.EncodedLen(len(c.CredentialID)) && id == f.encodedID(i) {
			return c
		}
	}
	return nil
}

func (f *folder) encodedID(i int) string {
	if f.encoded == nil {
		f.encoded = make([]string, len(f.credentials))
	}
	if f.encoded[i] == "" {
		f.encoded[i] = base64.RawURLEncoding.EncodeToString(f.credentials[i].CredentialID)
	}
	return f.encoded[i]
}

// names reports whether a canonical ID in an event is a credential's: the row ID or the WebAuthn credential ID.
func names(id string, row ident.CredentialID, credentialID []byte) bool {
	if id == string(row) {
		return true
	}
	return len(id) == base64.RawURLEncoding.EncodedLen(len(credentialID)) && id == base64.RawURLEncoding.EncodeToString(credentialID)
}

// ofDeleted reports whether e names a credential that has been deleted since. An ID that the account never had is not held against the
// event.
func (f *folder) ofDeleted(e *event.Event) bool {
	if e.Credential == "" || f.credential(e) != nil {
		return false
	}
	id := event.Canonical(e.Credential)
	return slices.ContainsFunc(f.deleted, func(t account.Tombstone) bool { return names(id, t.ID, t.CredentialID) })
}

func (f *folder) blacklist() Blacklist {
	return Blacklist{
		Login:             f.barred(event.UserLoginBlacklisted, LoginBarred),
		AppendAfterHybrid: f.barred(event.AppendBlacklistedAfterHybrid, AppendAfterHybridBarred),
		AppendAfterError:  f.barred(event.AppendBlacklistedAfterError, AppendAfterErrorBarred),
	}
}

// barred reports whether an event of the type bars the user, everywhere or in this environment.
func (f *folder) barred(t event.Type, part Part) (found bool) {
	for _, e := range f.of(t) {
		if !e.Unproven() && (e.Environment == "" || e.Environment == f.environment) {
			f.counts(e)
			f.tells(part, e, 0)
			found = true
		}
	}
	return found
}

func (f *folder) doubts() Doubts {
	return Doubts{
		WrongCodes:        f.doubt(event.LoginCodeFailed),
		CountersRegressed: f.doubt(event.PasskeyCounterRegressed),
		BackupsChanged:    f.doubt(event.PasskeyBackupChanged),
	}
}

func (f *folder) doubt(t event.Type) (n int) {
	for _, e := range f.of(t) {
		if f.younger(e.CreatedMs, f.parameters.DoubtSeconds) && !f.ofDeleted(e) {
			f.counts(e)
			f.tells(Doubted, e, f.parameters.DoubtSeconds)
			n++
		}
	}
	return n
}

// since returns the place of the first of the events that is younger than a number of seconds.
func (f *folder) since(events []*event.Event, seconds int64) int {
	return sort.Search(len(events), func(i int) bool { return f.younger(events[i].CreatedMs, seconds) })
}

// firsts returns, of the events that count and are at a place or after it, those that are the first of all that count to have their name,
// oldest first. What is before the place is only looked through for their names.
func firsts(events []*event.Event, from int, counts func(*event.Event) bool, name func(*event.Event) string) []*event.Event {
	older, events := events[:from], kept(events[from:], counts)
	if len(events) == 0 {
		return nil
	}
	first := make(map[string]*event.Event, len(events))
	for _, e := range slices.Backward(events) {
		first[name(e)] = e
	}
	for _, e := range older {
		if n := name(e); first[n] != nil && counts(e) {
			delete(first, n)
		}
	}
	found := make([]*event.Event, 0, len(first))
	for _, e := range events {
		if first[name(e)] == e {
			found = append(found, e)
		}
	}
	return found
}

// loggedIn and created return the prompts that a login and a creation finished: what failed before that within them does not count.
func (f *folder) loggedIn() map[string]bool {
	return f.finished(event.LoginCompleted, event.Set.LoggedIn)
}
func (f *folder) created() map[string]bool {
	return f.finished(event.AppendCompleted, event.Set.Created)
}

func (f *folder) finished(t event.Type, all func(event.Set) map[string]bool) map[string]bool {
	if !f.expired || !slices.ContainsFunc(f.events.Of(t), f.over) {
		return all(f.events)
	}
	done := make(map[string]bool)
	for _, e := range f.of(t) {
		done[e.Prompt()] = true
	}
	return done
}

// route of an event: one that no offer was found for is taken for local. Creations of before their events said so took the route that the
// credential tells.
func (f *folder) route(e *event.Event) event.Route {
	switch {
	case e.Route != "":
		return e.Route
	case e.Type != event.AppendCompleted:
		return event.Local
	}
	if c := f.credential(e); c != nil {
		return f.createdBy(c)
	}
	return event.Local
}

// byPhone returns the credentials that finished a ceremony over another device. Where and when does not matter: what was on a phone once is
// sought there.
func (f *folder) byPhone() []ident.CredentialID {
	var found []ident.CredentialID
	for _, e := range f.unexpired(f.events.Successes()) {
		if f.route(e) != event.CDA {
			continue
		}
		if c := f.credential(e); c != nil {
			found = add(found, c.ID)
		}
	}
	slices.Sort(found)
	return found
}

func add(list []ident.CredentialID, id ident.CredentialID) []ident.CredentialID {
	if slices.Contains(list, id) {
		return list
	}
	return append(list, id)
}

package history

import (
	"encoding/base64"
	"slices"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Fold returns what the events mean at in.Now. It has one answer for every order and repetition of the same events, and the answer to a set
// with a deletion is that to the set without the deleted event. Windows are half open: an event of age exactly the window no longer counts,
// and a cooldown is over at exactly its end. Events of the future have age 0. A success and a failure of the same millisecond: the success
// came after.
func Fold(in Input) History {
	f := newFolder(in)
	history := History{
		Append:    f.append(),
		Blacklist: f.blacklist(),
		Doubts:    f.doubts(),
		Process:   f.process(in.Process),
		ByPhone:   f.byPhone(),
	}
	if in.Environment != "" {
		history.Pair = f.pair(in.Environment)
	}
	history.ClockSkew = f.skewed
	return history
}

// folder is one fold under way.
type folder struct {
	events      []*event.Event // live and not expired, oldest first
	offers      []*event.Event // the same of login offers and denials
	credentials []account.Credential
	deleted     []account.Tombstone
	environment ident.EnvironmentID
	processID   string
	now         int64 // Unix ms
	parameters  Parameters
	createdBy   func(*account.Credential) event.Route
	skewed      bool

	loggedIn, created map[string]bool // ceremonies that a login and a creation finished
}

func newFolder(in Input) *folder {
	f := &folder{
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
	f.events = f.unexpired(event.NewSet(in.Events).Refs())
	f.offers = f.unexpired(event.NewSet(in.Offers).Refs())
	f.loggedIn, f.created = f.completed(event.LoginCompleted), f.completed(event.AppendCompleted)
	return f
}

// unexpired returns the events that still have an effect: at the moment it expires an event has none.
func (f *folder) unexpired(events []*event.Event) []*event.Event {
	over := func(e *event.Event) bool { return e.Expires != 0 && f.now >= e.ExpiresMs() }
	if !slices.ContainsFunc(events, over) {
		return events
	}
	return slices.DeleteFunc(slices.Clone(events), over)
}

// age is never negative: clocks differ, and what just happened happened now.
func (f *folder) age(createdMs int64) int64 { return max(0, f.now-createdMs) }

func (f *folder) younger(createdMs, seconds int64) bool {
	return f.age(createdMs) < seconds*int64(time.Second/time.Millisecond)
}

// counts notes that e has a part in the answer.
func (f *folder) counts(e *event.Event) {
	if e.CreatedMs-f.now > f.parameters.ClockSkewSeconds*int64(time.Second/time.Millisecond) {
		f.skewed = true
	}
}

func (f *folder) credential(e *event.Event) *account.Credential {
	id := event.Canonical(e.Credential)
	for i := range f.credentials {
		if c := &f.credentials[i]; names(id, c.ID, c.CredentialID) {
			return c
		}
	}
	return nil
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
	var b Blacklist
	for _, e := range f.events {
		if e.Unproven() || e.Environment != "" && e.Environment != f.environment {
			continue
		}
		switch e.Type {
		case event.UserLoginBlacklisted:
			b.Login = true
		case event.AppendBlacklistedAfterHybrid:
			b.AppendAfterHybrid = true
		case event.AppendBlacklistedAfterError:
			b.AppendAfterError = true
		default:
			continue
		}
		f.counts(e)
	}
	return b
}

func (f *folder) doubts() Doubts {
	var d Doubts
	for _, e := range f.events {
		var count *int
		switch e.Type {
		case event.LoginCodeFailed:
			count = &d.WrongCodes
		case event.PasskeyCounterRegressed:
			count = &d.CountersRegressed
		case event.PasskeyBackupChanged:
			count = &d.BackupsChanged
		default:
			continue
		}
		if f.younger(e.CreatedMs, f.parameters.DoubtSeconds) && !f.ofDeleted(e) {
			f.counts(e)
			*count++
		}
	}
	return d
}

// ceremony names what several events of one prompt have in common: the joined ceremony, else the challenge, else the event is alone.
func ceremony(e *event.Event) string {
	switch {
	case e.Ceremony != "":
		return string(e.Ceremony)
	case e.Challenge != "":
		return event.Canonical(e.Challenge)
	default:
		return string(e.ID)
	}
}

// firsts returns the first event of each ceremony, oldest first.
func firsts(events []*event.Event) []*event.Event { return firstsBy(events, ceremony) }

// firstsBy returns the first of the events that have a name in common, oldest first.
func firstsBy(events []*event.Event, name func(*event.Event) string) []*event.Event {
	if len(events) < 2 {
		return events
	}
	seen := make(map[string]bool, len(events))
	first := make([]*event.Event, 0, len(events))
	for _, e := range events {
		if key := name(e); !seen[key] {
			seen[key] = true
			first = append(first, e)
		}
	}
	return first
}

// completed returns the ceremonies that an event of the type finished: what failed before that within them does not count.
func (f *folder) completed(t event.Type) map[string]bool {
	var done map[string]bool
	for _, e := range f.events {
		if e.Type == t {
			if done == nil {
				done = make(map[string]bool)
			}
			done[ceremony(e)] = true
		}
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
	for _, e := range f.events {
		if !succeeded(e) || f.route(e) != event.CDA {
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

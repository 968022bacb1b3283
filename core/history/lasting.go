package history

import (
	"math"
	"slices"
	"sync"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Owner stands for Parameters and Created, which cannot be compared: folds with one and the same owner have the same ones.
type Owner struct{ _ byte } // not without size, since all that are may have one address

// lasting is what was folded of a set of events but for the process, which is another each time. It holds for as long as time makes no
// difference: a fold knows the time only by asking whether it has passed certain moments, and from the fold to the next of those that it
// asked about each of these questions has the same answer, and so has the fold.
type lasting struct {
	owner       *Owner
	environment ident.EnvironmentID
	credentials []account.Credential // only what madeAlike compares
	deleted     []account.Tombstone

	from, until int64 // Unix ms; until is exclusive
	expired     bool  // some of the events have no effect any more
	history     History
}

// holds reports whether a fold would find the same.
func (l *lasting) holds(f *folder, owner *Owner) bool {
	return l.owner == owner && l.from <= f.now && f.now < l.until && l.environment == f.environment &&
		slices.EqualFunc(l.credentials, f.credentials, madeAlike) && slices.EqualFunc(l.deleted, f.deleted, sameTombstone)
}

// forSets are the folds of one set. Of a user there are as many as environments are in use.
type forSets struct {
	mu   sync.Mutex
	all  [mostLasting]*lasting
	next int // is replaced
}

// mostLasting is for how many environments of a user folds are remembered: few people sign in on more devices at a time.
const mostLasting = 4

func (s *forSets) find(f *folder, owner *Owner) *lasting {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		if one != nil && one.holds(f, owner) {
			return one
		}
	}
	return nil
}

func (s *forSets) put(made *lasting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.all[:], func(one *lasting) bool { return one != nil && one.environment == made.environment })
	if at < 0 {
		at = s.next
		s.next = (s.next + 1) % mostLasting
	}
	s.all[at] = made
}

func newForSets(event.Set) *forSets { return &forSets{} }

// remembered folds, and remembers what it found beside the events.
func (f *folder) remembered(in *Input) History {
	folds := event.Derived(in.Events, newForSets)
	known := folds.find(f, in.Owner)
	if known == nil {
		known = f.last(in)
		folds.put(known)
	}
	f.expired, f.skewed = known.expired, known.history.ClockSkew
	history := known.history
	history.Append.ConditionalCreateCooldown = f.conditionalCreateCooldown(f.lastAppend())
	f.end(&history)
	return history
}

// last folds what lasts.
func (f *folder) last(in *Input) *lasting {
	f.until = math.MaxInt64
	f.begin()
	made := &lasting{
		owner: in.Owner, environment: f.environment, deleted: slices.Clone(f.deleted), from: f.now, expired: f.expired, history: f.whole(),
	}
	made.history.ClockSkew, made.until = f.skewed, f.until
	made.credentials = make([]account.Credential, len(f.credentials))
	for i := range f.credentials {
		made.credentials[i] = asMade(&f.credentials[i])
	}
	return made
}

// asks notes a moment that the answer depends on.
func (f *folder) asks(atMs int64) {
	if atMs > f.now && atMs < f.until {
		f.until = atMs
	}
}

// asMade is what the fold reads of a credential, and Created may.
func asMade(c *account.Credential) account.Credential {
	return account.Credential{
		ID: c.ID, CredentialID: slices.Clone(c.CredentialID), AAGUID: c.AAGUID, Transports: slices.Clone(c.Transports), Attachment: c.Attachment,
		BackupEligible: c.BackupEligible, CreatedOS: c.CreatedOS, CreatedBrowser: c.CreatedBrowser, Environment: c.Environment,
		CreatedMs: c.CreatedMs,
	}
}

// madeAlike reports whether the fold reads the same of two credentials.
func madeAlike(a, b account.Credential) bool {
	return a.ID == b.ID && a.CreatedMs == b.CreatedMs && a.AAGUID == b.AAGUID && a.Environment == b.Environment &&
		slices.Equal(a.CredentialID, b.CredentialID) && slices.Equal(a.Transports, b.Transports) && a.Attachment == b.Attachment &&
		a.BackupEligible == b.BackupEligible && a.CreatedOS == b.CreatedOS && a.CreatedBrowser == b.CreatedBrowser
}

func sameTombstone(a, b account.Tombstone) bool {
	return a.ID == b.ID && a.DeletedMs == b.DeletedMs && slices.Equal(a.CredentialID, b.CredentialID)
}

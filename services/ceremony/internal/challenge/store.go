package challenge

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/service"
)

// The reasons why a challenge cannot be taken.
var (
	ErrUnknown   = fault.Refuse("the challenge is unknown, or was not given to this user")
	ErrWrongType = fault.Refuse("the challenge belongs to a ceremony of the other type")
	ErrProcess   = fault.Refuse("the challenge belongs to another process")
	ErrRPID      = fault.Refuse("the RP ID of the project has changed since the start")
	ErrUsed      = fault.Refuse("the challenge has been used already")
	ErrExpired   = fault.Refuse("the challenge has expired")
)

// How many bytes a random challenge has. One that is sealed is longer.
const (
	markedSize = 32 // of an earlier version, which spends it by a mark
	drawnSize  = 40
)

func isMarked(value string) bool { return len(value) == base64.RawURLEncoding.EncodedLen(markedSize) }

func isSealed(value string) bool { return len(value) > base64.RawURLEncoding.EncodedLen(drawnSize) }

// Draw returns a new random challenge of a creation.
func Draw() []byte {
	value := make([]byte, drawnSize)
	rand.Read(value)
	return value
}

// Offers is the stream of login offers. eventlog.Store is one.
type Offers interface {
	// PublishPending stores an offer with what it carries beside the event.
	PublishPending(context.Context, event.Offer) error
	// Pending returns the user's offers that carry something; with a challenge, only those of it. It holds every offer whose
	// PublishPending has returned.
	Pending(ctx context.Context, project ident.ProjectID, user ident.UserID, challenge string) ([]event.Offer, error)
}

// Log is the log of passkey events, as the ends of logins are read from it. eventlog.Store is one.
type Log interface {
	Recent(context.Context, ident.ProjectID, ident.UserID, eventlog.Span, ...event.Type) (eventlog.Recent, error)
}

// Ends is where events that end logins go. outbox.Store is one.
type Ends interface {
	Conclude(context.Context, service.Conclusion) (service.Concluded, error)
}

// Places is where challenges are kept. All fields but Forgetful are required.
type Places struct {
	Records jetstream.KeyValue // bucket "challenges": those of creations; and mediations that an earlier version started
	Marks   jetstream.KeyValue // bucket "challenge-marks"; keeps a mark for longer than Keep
	Offers  Offers             // name the challenges of logins; those of an earlier version carry their state
	Log     Log                // says which challenges have been finished
	Ends    Ends
	Keep    time.Duration // how long a challenge is shown, finished or not
	// The log makes room by dropping events however young they are, so that marks spend all challenges
	Forgetful bool
}

// Store keeps challenges until they are too old to be shown.
type Store struct {
	places  Places
	records kv.Bucket[Record]
	marks   kv.Bucket[rest.PasskeyChallengeStatus]
}

// NewStore returns a store on its places.
func NewStore(p Places) *Store {
	return &Store{
		places:  p,
		records: kv.Bucket[Record]{KV: p.Records, Name: "challenge", Missing: ErrUnknown},
		marks: kv.Bucket[rest.PasskeyChallengeStatus]{
			KV: p.Marks, Name: "challenge",
			Encode: func(status rest.PasskeyChallengeStatus) ([]byte, error) { return []byte(status), nil },
			Decode: func(raw []byte, status *rest.PasskeyChallengeStatus) error {
				*status = rest.PasskeyChallengeStatus(raw)
				return nil
			},
		},
	}
}

// Forgetful reports whether the log drops events however young they are.
func (s *Store) Forgetful() bool { return s.places.Forgetful }

// Claim says what a finished ceremony claims to be bound to.
type Claim struct {
	Keys       *keyring.Ring // of the project
	Project    ident.ProjectID
	User       ident.UserID // empty: mediation
	Value      string
	Type       rest.PasskeyChallengeType
	Process    string
	AnyProcess bool   // a ceremony that was started without a process may be finished in any
	RPID       string // empty: any, for a caller who judges by itself
	Known      uint64 // up to which sequence of the log the caller knows the user's logins already
}

// Taken is a challenge that is the caller's to finish. If a mark spends it, no other caller gets it again, whatever this one does with it.
// If its event or the account does, others may have it too until one of them ends it.
type Taken struct {
	Record
	ends  *eventlog.Recent // of the logins of whose, beyond known; nil: they have not been looked at
	whose ident.UserID     // the record names none of a mediation
	asked uint64           // up to which sequence the caller knew them
	known uint64           // up to which it is taken to know them
}

// Put stores a new challenge of a creation. When it has returned, the server holds it; it may be finished on any instance.
func (s *Store) Put(ctx context.Context, r Record) error {
	return s.records.Put(ctx, r.key(), r)
}

// Offer publishes the offer that hands out a sealed challenge. What the offer says of its ceremony is taken from r. It is for those who
// look at a user's logins: the challenge is good without it. Of a user's offers the stream keeps so many; the oldest make room.
func (s *Store) Offer(ctx context.Context, r Record, offer event.Event) error {
	return s.places.Offers.PublishPending(ctx, r.offer(offer))
}

// Take finds the challenge that a response answers, and spends it if a mark does that; see End. With an error comes the record of a
// challenge that is there and not to be had; nobody has taken it then.
func (s *Store) Take(ctx context.Context, c Claim, now time.Time) (Taken, error) {
	r, err := s.Find(ctx, c, now)
	if err != nil {
		return Taken{Record: r}, err
	}
	return s.TakeFound(ctx, r, c.Known)
}

// TakeFound is Take of a challenge that Find has returned. Known is up to which sequence of the log the caller knows the user's logins.
func (s *Store) TakeFound(ctx context.Context, r Record, known uint64) (Taken, error) {
	byMark := s.places.Forgetful || !r.EndsByEvent() && !r.EndsByAccount()
	switch {
	case !byMark && r.EndsByEvent():
		return s.unspent(ctx, r, known)
	case !byMark:
		return Taken{Record: r}, s.unmarked(ctx, r)
	}
	status := rest.PasskeyChallengeStatusConsumed
	if r.EndsByEvent() || r.EndsByAccount() {
		status = taken
	}
	t, err := s.mark(ctx, r, status)
	if err != nil {
		return Taken{Record: r}, err
	}
	return t, nil
}

// Find returns the challenge that a response answers. A claim that does not fit gets one of the errors above; whether the
// challenge has been spent shows Spend.
func (s *Store) Find(ctx context.Context, c Claim, now time.Time) (Record, error) {
	find := s.stored
	if isSealed(c.Value) {
		find = func(_ context.Context, c Claim) (Record, error) { return open(c) }
	}
	r, err := find(ctx, c)
	if err != nil {
		return Record{}, err
	}
	return r, r.fits(c, now)
}

// Spend marks a challenge as consumed. Of any number of callers one succeeds, the others get ErrUsed. If it is finished, the event says so.
func (s *Store) Spend(ctx context.Context, r Record) (Taken, error) {
	return s.mark(ctx, r, rest.PasskeyChallengeStatusConsumed)
}

// taken is what a mark says that leaves to the event how the ceremony ends. A challenge that is pending has none.
const taken = rest.PasskeyChallengeStatusPending

func (s *Store) mark(ctx context.Context, r Record, status rest.PasskeyChallengeStatus) (Taken, error) {
	r.Status = rest.PasskeyChallengeStatusConsumed
	_, err := s.marks.Create(ctx, r.markKey(), status)
	if errors.Is(err, kv.ErrExists) {
		return Taken{}, ErrUsed
	}
	if err != nil {
		return Taken{}, err
	}
	return Taken{Record: r}, nil
}

// stored finds the record of a random challenge. It looks first where challenges of the claimed type are; one of the other type is to
// be told from an unknown one.
func (s *Store) stored(ctx context.Context, c Claim) (Record, error) {
	if raw, err := base64.RawURLEncoding.DecodeString(c.Value); err != nil || len(raw) != markedSize && len(raw) != drawnSize {
		return Record{}, ErrUnknown
	}
	places := []func(context.Context, Claim) (Record, error){s.kept, s.offered}
	if c.Type == rest.PasskeyChallengeTypeAuthenticate {
		slices.Reverse(places)
	}
	for _, find := range places {
		if r, err := find(ctx, c); !errors.Is(err, ErrUnknown) {
			return r, err
		}
	}
	return Record{}, ErrUnknown
}

func (s *Store) kept(ctx context.Context, c Claim) (Record, error) {
	e, err := s.records.Get(ctx, key(c.Project, c.User, c.Value))
	return e.Value, err
}

func (s *Store) offered(ctx context.Context, c Claim) (Record, error) {
	if c.User == "" {
		return Record{}, ErrUnknown
	}
	offers, err := s.places.Offers.Pending(ctx, c.Project, c.User, c.Value)
	if err != nil {
		return Record{}, err
	}
	if len(offers) == 0 {
		return Record{}, ErrUnknown
	}
	return fromOffer(offers[0])
}

func (r Record) fits(c Claim, now time.Time) error {
	switch {
	case r.Project != c.Project || r.User != c.User || r.Value != c.Value:
		return ErrUnknown
	case r.Type != c.Type:
		return ErrWrongType
	case !r.inProcess(c.Process, c.AnyProcess):
		return ErrProcess
	case c.RPID != "" && r.RPID != c.RPID:
		return ErrRPID
	case r.Status != rest.PasskeyChallengeStatusPending: // of a record that an earlier version of the server has finished
		return ErrUsed
	case now.UnixMilli() >= r.Expires:
		return ErrExpired
	default:
		return nil
	}
}

// all returns the user's challenges from both places: creations, and as many logins as the stream keeps offers of. Offers are kept for
// longer than challenges are shown, and marks need not be.
func (s *Store) all(ctx context.Context, project ident.ProjectID, user ident.UserID, now time.Time) ([]Record, error) {
	var records []Record
	oldest := now.Add(-s.places.Keep).UnixMilli()
	for e, err := range s.records.All(ctx, key(project, user, "*")) {
		if err != nil {
			return nil, err
		}
		if e.Value.Created > oldest {
			records = append(records, e.Value)
		}
	}
	offers, err := s.places.Offers.Pending(ctx, project, user, "")
	if err != nil {
		return nil, err
	}
	for _, o := range offers {
		if o.CreatedMs <= oldest {
			continue
		}
		r, err := fromOffer(o)
		if err != nil {
			return nil, fault.Internal(err)
		}
		records = append(records, r)
	}
	return records, nil
}

// Erase removes every challenge and mark of a user. Nothing is stored of those that are sealed; what offers say of them goes with the
// offers.
func (s *Store) Erase(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	if err := s.records.DeleteAll(ctx, key(project, user, "*")); err != nil {
		return err
	}
	return s.marks.DeleteAll(ctx, key(project, user, "*"))
}

func (r Record) key() string { return key(r.Project, r.User, r.Value) }

func (r Record) markKey() string { return key(r.Project, r.User, r.mark()) }

func key(project ident.ProjectID, user ident.UserID, value string) string {
	if user == "" {
		user = "_"
	}
	return strings.Join([]string{string(project), string(user), value}, ".")
}

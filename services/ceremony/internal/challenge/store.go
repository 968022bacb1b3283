package challenge

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// The reasons why a challenge cannot be taken.
var (
	ErrUnknown   = errors.New("the challenge is unknown, or was not given to this user")
	ErrWrongType = errors.New("the challenge belongs to a ceremony of the other type")
	ErrProcess   = errors.New("the challenge belongs to another process")
	ErrRPID      = errors.New("the RP ID of the project has changed since the start")
	ErrUsed      = errors.New("the challenge has been used already")
	ErrExpired   = errors.New("the challenge has expired")
)

// valueSize is how many bytes a challenge has: go-webauthn draws 32.
const valueSize = 32

// Store keeps challenges in the bucket "challenges", one entry a challenge, until the bucket's age limit removes it.
type Store struct{ kv jetstream.KeyValue }

// NewStore returns a store on the bucket "challenges".
func NewStore(kv jetstream.KeyValue) *Store { return &Store{kv: kv} }

// Claim says what a finished ceremony claims to be bound to.
type Claim struct {
	Project    ident.ProjectID
	User       ident.UserID // empty: mediation
	Value      string
	Type       rest.PasskeyChallengeType
	Process    string
	AnyProcess bool // a ceremony that was started without a process may be finished in any
	RPID       string
}

// Taken is a challenge that one caller has won. No other caller gets it again, whatever the winner does with it.
type Taken struct {
	Record
	revision uint64
}

// Put stores a new challenge. When it has returned, the server holds it; it may be finished on any instance.
func (s *Store) Put(ctx context.Context, r Record) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode challenge: %w", err)
	}
	if _, err := s.kv.Put(ctx, key(r.Project, r.User, r.Value), raw); err != nil {
		return unavailable("stored", err)
	}
	return nil
}

// Take finds the challenge that a response answers and spends it: the status becomes consumed, and stays so unless Complete follows. Of any number of
// callers one succeeds, the others get ErrUsed. A claim that does not fit gets one of the errors above and spends nothing.
func (s *Store) Take(ctx context.Context, c Claim, now time.Time) (Taken, error) {
	if raw, err := base64.RawURLEncoding.DecodeString(c.Value); err != nil || len(raw) != valueSize {
		return Taken{}, ErrUnknown
	}
	k := key(c.Project, c.User, c.Value)
	entry, err := s.kv.Get(ctx, k)
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrInvalidKey) {
		return Taken{}, ErrUnknown
	}
	if err != nil {
		return Taken{}, unavailable("read", err)
	}
	r, err := decode(entry)
	if err != nil {
		return Taken{}, err
	}
	if err := r.fits(c, now); err != nil {
		return Taken{}, err
	}
	r.Status = rest.PasskeyChallengeStatusConsumed
	revision, err := s.update(ctx, r, entry.Revision())
	if errors.Is(err, jetstream.ErrKeyExists) {
		return Taken{}, ErrUsed
	}
	if err != nil {
		return Taken{}, unavailable("stored", err)
	}
	return Taken{Record: r, revision: revision}, nil
}

func (r Record) fits(c Claim, now time.Time) error {
	switch {
	case r.Project != c.Project || r.User != c.User || r.Value != c.Value:
		return ErrUnknown
	case r.Type != c.Type:
		return ErrWrongType
	case r.Process != c.Process && !(c.AnyProcess && r.Process == ""):
		return ErrProcess
	case r.RPID != c.RPID:
		return ErrRPID
	case r.Status != rest.PasskeyChallengeStatusPending:
		return ErrUsed
	case now.UnixMilli() >= r.Expires:
		return ErrExpired
	default:
		return nil
	}
}

// Complete marks a taken challenge as completed: its ceremony has succeeded. If somebody has changed it meanwhile, their change stands.
func (s *Store) Complete(ctx context.Context, t Taken) error {
	t.Status = rest.PasskeyChallengeStatusCompleted
	_, err := s.update(ctx, t.Record, t.revision)
	if err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return unavailable("stored", err)
	}
	return nil
}

// Advance moves a user's challenge to a later status. An unknown one is the fault "passkeyChallengeID: does not exist"; going back is a fault of "status".
func (s *Store) Advance(ctx context.Context, project ident.ProjectID, user ident.UserID, id ident.ChallengeID, to rest.PasskeyChallengeStatus) (Record, error) {
	for {
		r, revision, err := s.find(ctx, project, user, id)
		if err != nil {
			return Record{}, err
		}
		if r.Status == to {
			return r, nil
		}
		if rank(to) < rank(r.Status) {
			return Record{}, fault.Field("status", "cannot go back from %s to %s", r.Status, to)
		}
		r.Status = to
		_, err = s.update(ctx, r, revision)
		if err == nil {
			return r, nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return Record{}, unavailable("stored", err)
		}
	}
}

// List returns every challenge of a user that is still kept, in no particular order.
func (s *Store) List(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]Record, error) {
	var records []Record
	err := s.each(ctx, project, user, func(r Record, _ uint64) bool {
		records = append(records, r)
		return true
	})
	return records, err
}

// Erase removes every challenge of a user.
func (s *Store) Erase(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	records, err := s.List(ctx, project, user)
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := s.kv.Purge(ctx, key(project, user, r.Value)); err != nil {
			return unavailable("deleted", err)
		}
	}
	return nil
}

func (s *Store) find(ctx context.Context, project ident.ProjectID, user ident.UserID, id ident.ChallengeID) (Record, uint64, error) {
	var (
		found    Record
		revision uint64
	)
	err := s.each(ctx, project, user, func(r Record, at uint64) bool {
		if r.ID != id {
			return true
		}
		found, revision = r, at
		return false
	})
	if err != nil {
		return Record{}, 0, err
	}
	if revision == 0 {
		return Record{}, 0, fault.Unknown("passkeyChallengeID")
	}
	return found, revision, nil
}

func (s *Store) each(ctx context.Context, project ident.ProjectID, user ident.UserID, visit func(Record, uint64) bool) error {
	watch, err := s.kv.Watch(ctx, key(project, user, "*"), jetstream.IgnoreDeletes())
	if err != nil {
		return unavailable("read", err)
	}
	defer func() { _ = watch.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("read challenges: %w", ctx.Err())
		case entry, open := <-watch.Updates():
			if !open {
				return fault.Unavailable(time.Second, "the challenges could not be read")
			}
			if entry == nil {
				return nil
			}
			r, err := decode(entry)
			if err != nil {
				return err
			}
			if !visit(r, entry.Revision()) {
				return nil
			}
		}
	}
}

func (s *Store) update(ctx context.Context, r Record, revision uint64) (uint64, error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return 0, fmt.Errorf("encode challenge: %w", err)
	}
	return s.kv.Update(ctx, key(r.Project, r.User, r.Value), raw, revision)
}

func decode(entry jetstream.KeyValueEntry) (Record, error) {
	var r Record
	if err := json.Unmarshal(entry.Value(), &r); err != nil {
		return Record{}, fault.Internal(fmt.Errorf("decode challenge: %w", err))
	}
	return r, nil
}

func key(project ident.ProjectID, user ident.UserID, value string) string {
	if user == "" {
		user = "_"
	}
	return string(project) + "." + string(user) + "." + value
}

func unavailable(done string, err error) error {
	return fault.Unavailable(time.Second, "the challenge could not be %s", done).Because(err)
}

package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/project"
)

// What may be wrong with an operator that is asked for, or with a token.
var (
	ErrUnknown = fault.Unknown("operatorID").Named("operator-unknown")
	ErrWrong   = fault.Login("the operator token is wrong").Named("operator-token-wrong")
	ErrExpired = fault.Login("the operator token has expired").Named("operator-token-expired")
)

// maxOperators bounds what every instance holds in memory.
const maxOperators = 1000

// Audit is told of each change that this store makes, when it is stored; nil is no operator. audit.Queue is one.
type Audit interface {
	OperatorChanged(ctx context.Context, before, after *Operator)
}

// Store keeps operators in the bucket "operators". Look-ups are answered from memory; what is not there yet is read.
type Store struct {
	operators  kv.Bucket[Operator]
	secrets    kv.Bucket[signInSecret]
	departures kv.Bucket[departures]
	log        *slog.Logger
	audit      Audit // nil = nobody is told
	decoy      project.SecretHash
	snapshot   atomic.Pointer[snapshot]
}

type snapshot struct {
	operators map[ident.OperatorID]Operator
	// The newest that was applied, of revoked operators too: an older one must not bring an operator back.
	revisions map[ident.OperatorID]uint64
}

// NewStore loads all operators. Run keeps them true.
func NewStore(ctx context.Context, bucket jetstream.KeyValue, log *slog.Logger) (*Store, error) {
	s := &Store{
		operators: kv.Bucket[Operator]{KV: bucket, Name: "operator", Missing: ErrUnknown, Decode: decode}, log: log,
		secrets:    kv.Bucket[signInSecret]{KV: bucket, Name: "sign-in secret", Decode: decodeSignInSecret},
		departures: kv.Bucket[departures]{KV: bucket, Name: "list of admins who go", Decode: decodeDepartures},
		decoy:      project.HashSecret(newToken("").Secret),
	}
	s.snapshot.Store(&snapshot{})
	if err := s.operators.Load(ctx, s.apply); err != nil {
		return nil, fmt.Errorf("load operators: %w", err)
	}
	return s, nil
}

// TellTo says who is told of what this store changes. It comes before any change.
func (s *Store) TellTo(audit Audit) { s.audit = audit }

func (s *Store) tell(ctx context.Context, before, after *Operator) {
	if s.audit != nil {
		s.audit.OperatorChanged(ctx, before, after)
	}
}

// Run follows changes that any instance or command makes, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	if err := s.operators.Follow(ctx, s.apply); err != nil {
		return fmt.Errorf("watch operators: %w", err)
	}
	return nil
}

func (s *Store) apply(e kv.Entry[Operator], err error) {
	id := ident.OperatorID(e.Key)
	switch {
	case e.Key == signInSecretKey, e.Key == departuresKey:
	case err != nil:
		s.log.Error("a stored operator cannot be read, and is nobody", "operator", id, "error", err)
		s.replace(id, nil, e.Revision)
	case e.Gone:
		s.replace(id, nil, e.Revision)
	default:
		s.replace(id, &e.Value, e.Revision)
	}
}

// replace swaps in a new snapshot unless a newer revision was applied already; nil removes the operator. Concurrent callers retry.
func (s *Store) replace(id ident.OperatorID, o *Operator, revision uint64) {
	for {
		old := s.snapshot.Load()
		if revision <= old.revisions[id] {
			return
		}
		next := &snapshot{operators: maps.Clone(old.operators), revisions: maps.Clone(old.revisions)}
		if next.operators == nil {
			next.operators, next.revisions = map[ident.OperatorID]Operator{}, map[ident.OperatorID]uint64{}
		}
		next.revisions[id] = revision
		delete(next.operators, id)
		if o != nil {
			next.operators[id] = *o
		}
		if s.snapshot.CompareAndSwap(old, next) {
			return
		}
	}
}

// Find returns an operator. One that is not in memory is asked for in the bucket: a command may have created it a moment ago. Its errors
// are ErrUnknown, and kv.ErrUnavailable if the bucket does not say.
func (s *Store) Find(ctx context.Context, id ident.OperatorID) (Operator, error) {
	known := s.snapshot.Load()
	if o, ok := known.operators[id]; ok {
		return o, nil
	}
	if _, gone := known.revisions[id]; gone {
		return Operator{}, ErrUnknown // an ID is never given twice
	}
	if _, err := ident.ParseOperatorID(string(id)); err != nil {
		return Operator{}, ErrUnknown
	}
	e, err := s.operators.Get(ctx, string(id))
	if err != nil {
		return Operator{}, err
	}
	s.apply(e, nil)
	if o, ok := s.snapshot.Load().operators[id]; ok {
		return o, nil
	}
	return Operator{}, ErrUnknown
}

// Authenticate returns the operator whose token it is. A token that names nobody costs the same comparison as one that does. Its errors are
// ErrWrong, also of what is no token, ErrExpired of a right one whose time is over, and kv.ErrUnavailable if nobody can say.
func (s *Store) Authenticate(ctx context.Context, text string, now time.Time) (Operator, error) {
	o, err := s.matching(ctx, text)
	switch {
	case err != nil:
		return Operator{}, err
	case o.Session != nil, o.Member != nil: // the one is resumed by its cookie, with what guards that; the other has no token
		return Operator{}, ErrWrong
	case o.Expired(now):
		return Operator{}, ErrExpired
	}
	return o, nil
}

// matching returns what is stored of a token, whether or not its time is over, or ErrWrong.
func (s *Store) matching(ctx context.Context, text string) (Operator, error) {
	token, ok := ParseToken(text)
	if !ok {
		return Operator{}, ErrWrong
	}
	o, err := s.Find(ctx, token.ID)
	found := err == nil
	if !found && !errors.Is(err, ErrUnknown) {
		return Operator{}, err
	}
	kept := o.Hash
	if !found {
		kept = s.decoy
	}
	if matches := kept.Matches(token.Secret); !matches || !found {
		return Operator{}, ErrWrong
	}
	return o, nil
}

// List returns every operator, the oldest first, without sessions.
func (s *Store) List() []Operator {
	return slices.SortedFunc(slices.Values(s.snapshot.Load().people()), func(a, b Operator) int {
		if a.CreatedMs != b.CreatedMs {
			return int(min(max(a.CreatedMs-b.CreatedMs, -1), 1))
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
}

// Create stores a new operator. If there are as many as there may be, that is a fault.
func (s *Store) Create(ctx context.Context, o Operator) error {
	if len(s.snapshot.Load().people()) >= maxOperators {
		return fault.Field("name", "there are %d operators already; revoke one first", maxOperators)
	}
	revision, err := s.operators.Create(ctx, string(o.ID), o)
	if errors.Is(err, kv.ErrExists) {
		return fault.Conflict("operatorID", "%s exists already", o.ID)
	}
	if err != nil {
		return err
	}
	s.replace(o.ID, &o, revision)
	s.tell(ctx, nil, &o)
	return nil
}

// Revoke removes an operator: the token stops working, here at once and elsewhere when it is told. One that there is not is ErrUnknown. One
// that cannot be read can be revoked. The last admin is ErrLastAdmin.
func (s *Store) Revoke(ctx context.Context, id ident.OperatorID, now time.Time) (Operator, error) {
	return s.revoke(ctx, id, func(o *Operator) error {
		if o.Administers(now) {
			return s.depart(ctx, id, now)
		}
		return nil
	})
}

// RevokeAnyway is Revoke of the last admin too, for whoever has all rights anyway.
func (s *Store) RevokeAnyway(ctx context.Context, id ident.OperatorID) (Operator, error) {
	return s.revoke(ctx, id, func(o *Operator) error {
		o.Forced = true
		return nil
	})
}

func (s *Store) revoke(ctx context.Context, id ident.OperatorID, may func(*Operator) error) (Operator, error) {
	if _, err := ident.ParseOperatorID(string(id)); err != nil {
		return Operator{}, ErrUnknown
	}
	e, err := s.operators.Get(ctx, string(id))
	if err != nil && (errors.Is(err, ErrUnknown) || errors.Is(err, kv.ErrUnavailable)) {
		return Operator{}, err
	}
	e.Value.ID = id // all that is known of one that cannot be read
	if err := may(&e.Value); err != nil {
		return Operator{}, err
	}
	if err := s.operators.Delete(ctx, string(id)); err != nil {
		return Operator{}, err
	}
	s.replace(id, nil, e.Revision+1) // the purge's own revision is at least that
	s.tell(ctx, &e.Value, nil)
	return e.Value, nil
}

package stepup

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
)

// Store is the bucket "stepups". It is safe for concurrent use.
type Store struct{ stepUps kv.Bucket[StepUp] }

// NewStore returns a store on the bucket "stepups".
func NewStore(bucket jetstream.KeyValue) *Store {
	return &Store{stepUps: kv.Bucket[StepUp]{KV: bucket, Name: "step-up", Missing: ErrUnknown}}
}

// Ref names a step-up: User is whose it has to be, empty if anybody's of the project will do.
type Ref struct {
	Project ident.ProjectID
	User    ident.UserID
	ID      ident.StepUpID
}

func (r Ref) key() string { return string(r.Project) + "." + string(r.ID) }

// of returns ErrUnknown of a step-up that is over, or another's.
func (r Ref) of(s *StepUp, now time.Time) error {
	if s.over(now) || s.Project != r.Project || s.ID != r.ID || r.User != "" && s.User != r.User {
		return ErrUnknown
	}
	return nil
}

// Create stores a new step-up, or returns the one that another call has stored of the same ceremony, and whether this one made it.
func (s *Store) Create(ctx context.Context, made StepUp) (StepUp, bool, error) {
	made.Schema = schema
	ref := Ref{made.Project, made.User, made.ID}
	_, err := s.stepUps.Create(ctx, ref.key(), made)
	if !errors.Is(err, kv.ErrExists) {
		return made, err == nil, err
	}
	there, err := s.stepUps.Get(ctx, ref.key())
	return there.Value, false, err
}

// Get returns a step-up, or ErrUnknown, and its revision.
func (s *Store) Get(ctx context.Context, ref Ref, now time.Time) (StepUp, uint64, error) {
	if _, err := ident.ParseStepUpID(string(ref.ID)); err != nil {
		return StepUp{}, 0, ErrUnknown
	}
	e, err := s.stepUps.Get(ctx, ref.key())
	if err == nil {
		err = ref.of(&e.Value, now)
	}
	if err != nil {
		return StepUp{}, 0, err
	}
	return e.Value, e.Revision, nil
}

// Change changes a step-up and returns it as it is stored then, or ErrUnknown. If another writer was faster, it does so again, so change
// may be called several times; an error of change ends it, and nothing is stored.
func (s *Store) Change(ctx context.Context, ref Ref, now time.Time, change func(*StepUp) error) (StepUp, error) {
	if _, err := ident.ParseStepUpID(string(ref.ID)); err != nil {
		return StepUp{}, ErrUnknown
	}
	e, err := s.stepUps.Change(ctx, ref.key(), func(s *StepUp) error {
		if err := ref.of(s, now); err != nil {
			return err
		}
		return change(s)
	})
	return e.Value, err
}

// Fail counts a failure that counts says is one, and returns the step-up as it is then, also if it has had the last before.
func (s *Store) Fail(ctx context.Context, ref Ref, now time.Time, counts func(*StepUp) error) (StepUp, error) {
	if _, err := ident.ParseStepUpID(string(ref.ID)); err != nil {
		return StepUp{}, ErrUnknown
	}
	e, err := s.stepUps.Change(ctx, ref.key(), func(u *StepUp) error {
		if before := *u; before.Left() == 0 {
			before.Failures = 0
			return ref.of(&before, now)
		}
		if err := ref.of(u, now); err != nil {
			return err
		}
		if err := counts(u); err != nil {
			return err
		}
		u.Fail()
		return nil
	})
	return e.Value, err
}

// Redeem removes a step-up as it was read. Of any number of callers one succeeds, the others get ErrUnknown.
func (s *Store) Redeem(ctx context.Context, ref Ref, revision uint64) error {
	err := s.stepUps.DeleteRevision(ctx, ref.key(), revision)
	if errors.Is(err, kv.ErrConflict) {
		return ErrUnknown
	}
	return err
}

// Remove forgets a step-up. One that is not there is no error.
func (s *Store) Remove(ctx context.Context, ref Ref) error { return s.stepUps.Delete(ctx, ref.key()) }

// Erase removes every step-up of a user. It reads all of the project: nothing leads from a user to them, and they are few.
func (s *Store) Erase(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	for e, err := range s.stepUps.All(ctx, string(project)+".*") {
		if err == nil && e.Value.User == user {
			err = s.stepUps.Delete(ctx, e.Key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

package operator

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
)

// Session is whose a session is. It lives in the bucket as an operator does, so that one that is ended is refused by every instance as soon
// as that is told; versions that do not know of sessions cannot read it, and take it for nobody.
type Session struct {
	Of ident.OperatorID `json:"of"`
	// Outside is of whom an identity provider knows: what they may do is what they might when they signed in
	Outside bool `json:"outside,omitempty"`
	// Passkey is what it was begun with, and ends with; empty = another way
	Passkey ident.CredentialID `json:"passkey,omitempty"`
}

// ErrSessionOver is of a session that has ended, or never was.
var ErrSessionOver = fault.Login("the session is over; sign in again").Named("operator-session-over")

// maxSessions bounds how many sessions an operator has at once. The one that ends first makes room.
const maxSessions = 20

// Open begins a session of an operator, and returns the text that resumes it, which nobody can read again. It ends with the operator at
// the latest. What has expired of all is removed on the way.
func (s *Store) Open(ctx context.Context, of Operator, lifetime time.Duration, now time.Time) (text string, until time.Time, _ error) {
	token := newToken(ident.NewOperatorID())
	opened := Operator{
		Schema: schemaSession, ID: token.ID, Name: of.Name, Role: of.Role, Projects: of.Projects, Hash: project.HashSecret(token.Secret),
		CreatedMs: now.UnixMilli(), ExpiresMs: now.Add(lifetime).UnixMilli(), CreatedBy: string(of.ID),
		Session: &Session{Of: of.ID, Outside: of.Outside, Passkey: of.With}, Member: of.Member,
	}
	if of.ExpiresMs != 0 {
		opened.ExpiresMs = min(opened.ExpiresMs, of.ExpiresMs)
	}
	s.makeRoom(ctx, of.ID, now)
	revision, err := s.operators.Create(ctx, string(opened.ID), opened)
	if err != nil {
		return "", time.Time{}, err
	}
	s.replace(opened.ID, &opened, revision)
	s.tell(ctx, nil, &opened)
	return token.Text(), time.UnixMilli(opened.ExpiresMs), nil
}

// makeRoom removes sessions that have expired, and those of an operator who has too many. Nobody waits for one that cannot be removed: it
// is refused anyway, or removed the next time.
func (s *Store) makeRoom(ctx context.Context, of ident.OperatorID, now time.Time) {
	var own []Operator
	for _, o := range s.snapshot.Load().operators {
		switch {
		case o.Session == nil:
		case o.Expired(now):
			_ = s.remove(ctx, o.ID)
		case o.Session.Of == of:
			own = append(own, o)
		}
	}
	slices.SortFunc(own, func(a, b Operator) int { return cmp.Compare(a.ExpiresMs, b.ExpiresMs) })
	for i := 0; len(own)-i >= maxSessions; i++ {
		_ = s.remove(ctx, own[i].ID)
	}
}

// remove deletes what is stored under an ID, and forgets it.
func (s *Store) remove(ctx context.Context, id ident.OperatorID) error {
	revision := s.snapshot.Load().revisions[id]
	if err := s.operators.Delete(ctx, string(id)); err != nil {
		return err
	}
	s.replace(id, nil, revision+1) // the purge's own revision is at least that
	return nil
}

// Resume returns whose session it is that a text resumes: the operator as it is now, until the session ends. Its errors are ErrSessionOver,
// also of what is no such text, and kv.ErrUnavailable if nobody can say.
func (s *Store) Resume(ctx context.Context, text string, now time.Time) (Operator, error) {
	opened, err := s.matching(ctx, text)
	switch {
	case errors.Is(err, ErrWrong), err == nil && (opened.Session == nil || opened.Expired(now)):
		return Operator{}, ErrSessionOver
	case err != nil:
		return Operator{}, err
	}
	session := opened.Session
	outside := Operator{
		ID: session.Of, Name: opened.Name, Role: opened.Role, Projects: opened.Projects, ExpiresMs: opened.ExpiresMs,
		Outside: true, Member: opened.Member,
	}
	if session.Outside && session.Passkey == "" {
		return outside, nil
	}
	of, err := s.Find(ctx, session.Of)
	switch {
	case errors.Is(err, ErrUnknown), err == nil && (of.Expired(now) || session.Passkey != "" && !of.has(session.Passkey)):
		return Operator{}, ErrSessionOver
	case err != nil:
		return Operator{}, err
	case session.Outside:
		return outside, nil
	}
	of.ExpiresMs = opened.ExpiresMs
	return of, nil
}

// End ends the session that a text resumes. One that is over already is no error.
func (s *Store) End(ctx context.Context, text string) error {
	opened, err := s.matching(ctx, text)
	if errors.Is(err, ErrWrong) || err == nil && opened.Session == nil {
		return nil
	}
	if err != nil {
		return err
	}
	return s.remove(ctx, opened.ID)
}

// people are those who are stored that are no sessions.
func (s *snapshot) people() []Operator {
	return slices.DeleteFunc(slices.Collect(maps.Values(s.operators)), func(o Operator) bool { return o.Session != nil })
}

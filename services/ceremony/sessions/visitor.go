package sessions

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/session"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/signing"
)

// Visitor is whom a call of the Frontend API is of.
type Visitor struct {
	Project project.Project
	User    ident.UserID
	Session session.Session // zero: the user is known by a token of an issuer

	loggedIn, now time.Time // zero: nobody can tell
}

// Recent refuses somebody whose login is older than the project takes for what whoever finds an open session could do harm by. Only a new
// login makes it younger: no use and no refresh of the session does.
func (v Visitor) Recent() error {
	limit := time.Duration(v.Project.Frontend.ReauthAge) * time.Second
	if limit == 0 || !v.loggedIn.IsZero() && v.now.Sub(v.loggedIn) <= limit {
		return nil
	}
	return fault.Reauthentication("log in again: this takes a login that is not older than %s", limit)
}

// Visitor finds out who calls. A session that has ended, anywhere, is none: it is read at each call. Faults: 401.
func (s *Service) Visitor(ctx context.Context, v service.Visit) (Visitor, error) {
	p, err := tenant.Of(ctx, s.projects, v.Project)
	if err != nil {
		return Visitor{}, err
	}
	if v.User != "" {
		who := Visitor{Project: p, User: v.User, now: s.now()}
		if v.LoggedInMs > 0 {
			who.loggedIn = time.UnixMilli(v.LoggedInMs)
		}
		return who, nil
	}
	found, err := s.sessionOf(ctx, p, v.Token)
	if err != nil {
		return Visitor{}, err
	}
	return Visitor{Project: p, User: found.User, Session: found, loggedIn: time.UnixMilli(found.CreatedMs), now: s.now()}, nil
}

// sessionOf returns the session that a token proves, be it a session token or a refresh token that has not been spent.
func (s *Service) sessionOf(ctx context.Context, p project.Project, token string) (session.Session, error) {
	switch {
	case token == "":
		return session.Session{}, fault.Login("there is no session token")
	case strings.HasPrefix(token, refreshPrefix):
		return s.refreshable(ctx, p, token)
	default:
		return s.proven(ctx, p, token)
	}
}

// proven verifies a session token.
func (s *Service) proven(ctx context.Context, p project.Project, token string) (session.Session, error) {
	payload, err := s.signing.Verify(ctx, p.ID, token)
	if errors.Is(err, signing.ErrSignature) {
		return session.Session{}, fault.Login("the session token is not one of this project")
	}
	if err != nil {
		return session.Session{}, err
	}
	var claims sessionClaims
	if err := json.Unmarshal(
		payload, &claims,
	); err != nil || claims.Session == "" || !s.issues(p, claims.Issuer) ||
		!isFor(p.ID, claims.Audience) {
		// The same keys sign passkey data.
		return session.Session{}, fault.Login("the token is not a session token of this project")
	}
	switch now := s.now().Unix(); {
	case now >= claims.Expires:
		return session.Session{}, fault.Login("the session token has expired")
	case now < claims.NotBefore:
		return session.Session{}, fault.Login("the session token is not valid yet")
	}
	found, err := s.liveSession(ctx, p, claims.Session)
	if err == nil && found.User != claims.Subject {
		return session.Session{}, fault.Login("the session token is not one of this project")
	}
	return found, err
}

// liveSession returns a session that has not ended.
func (s *Service) liveSession(ctx context.Context, p project.Project, id ident.SessionID) (session.Session, error) {
	found, err := s.sessions.Get(ctx, p.ID, id)
	if errors.Is(err, session.ErrUnknown) {
		return session.Session{}, errSessionOver()
	}
	if err != nil {
		return session.Session{}, err
	}
	if found.At(s.now()) != rest.SessionStatusActive {
		return session.Session{}, errSessionOver()
	}
	return found, nil
}

func errSessionOver() *fault.Fault { return fault.Login("the session has ended") }

// VisitorAccount finds out who calls and returns the account. A user who is gone or disabled has no session.
func (s *Service) VisitorAccount(ctx context.Context, v service.Visit) (Visitor, account.Account, error) {
	who, err := s.Visitor(ctx, v)
	if err != nil {
		return Visitor{}, account.Account{}, err
	}
	a, err := s.accounts.Present(ctx, who.Project.ID, who.User)
	if err != nil {
		return Visitor{}, account.Account{}, NoVisitor(err)
	}
	if a.Status == account.StatusDisabled {
		return Visitor{}, account.Account{}, fault.Login("the user is disabled")
	}
	return who, a, nil
}

var errVisitorGone = fault.Login("the user does not exist any more").Named("visitor-gone")

// NoVisitor makes a 401 of the fault that a user does not exist: somebody with a session was deleted.
func NoVisitor(err error) error { return errVisitorGone.Instead(err, account.ErrUnknown) }

// ForUser makes a call of the Backend API's out of a visitor's.
func ForUser[T any](who Visitor, body T) service.ForUser[T] {
	return service.ForUser[T]{Project: who.Project.ID, User: who.User, Body: body}
}

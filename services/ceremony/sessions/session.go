package sessions

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/directory"
	"github.com/keyward/keyward/services/ceremony/internal/session"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

const (
	fieldLongSession = "longSessionID"
	fieldSession     = "sessionID"
	fieldIssuer      = "issuer"
	fieldAppType     = "appType"
)

// sessionVersion is the version of the claims of a session.
const sessionVersion = 1

// sessionClaims is what a session token says. Times are Unix seconds. The names are those that existing SDKs read; sid names the session,
// so that it can be revoked (OpenID Connect Front-Channel Logout 1.0 §3).
type sessionClaims struct {
	Issuer      string          `json:"iss"`
	Audience    ident.ProjectID `json:"aud,omitempty"`
	Subject     ident.UserID    `json:"sub"`
	IssuedAt    int64           `json:"iat"`
	NotBefore   int64           `json:"nbf"`
	Expires     int64           `json:"exp"`
	ID          string          `json:"jti"`
	Session     ident.SessionID `json:"sid"`
	Name        string          `json:"name"`
	Orig        string          `json:"orig"` // identifier that the user logged in with
	Email       string          `json:"email,omitempty"`
	PhoneNumber string          `json:"phone_number,omitempty"`
	Version     int             `json:"version"`
	Methods     []string        `json:"amr,omitempty"` // RFC 8176; none = not said
}

// PostLogin implements service.Sessions: it turns signed passkey data, which it spends, into a session.
func (s *Service) PostLogin(ctx context.Context, req service.ForProject[rest.PostLoginReq]) (rest.PostLoginRsp, error) {
	claims, a, err := s.spendSignedData(ctx, req.Project, req.Body.SignedPasskeyData, nil)
	var reason *unfit
	if errors.As(err, &reason) {
		return rest.PostLoginRsp{}, fault.Field(fieldSigned, "%s", reason.message)
	}
	if err != nil {
		return rest.PostLoginRsp{}, err
	}
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return rest.PostLoginRsp{}, err
	}
	proof := Proof{Identifier: claims.Username, Methods: claims.Methods, MaxSessionSeconds: claims.MaxSessionSeconds}
	made, a, err := s.Open(ctx, a, proof, rest.AppTypeEmpty)
	if err != nil {
		return rest.PostLoginRsp{}, err
	}
	token, err := s.Token(ctx, made, a, s.Issuer(p))
	if err != nil {
		return rest.PostLoginRsp{}, err
	}
	return rest.PostLoginRsp{Session: token}, nil
}

// Proof is what a user has shown to be let in.
type Proof struct {
	Identifier        string   // that the user logged in with
	Methods           []string // RFC 8176; none = not said
	MaxSessionSeconds int      // most that the session may live, as the policy obliges; 0 = it says nothing
}

// Open stores a new session of a user, and returns the user as it was afterwards. A user who was deleted meanwhile has none.
func (s *Service) Open(
	ctx context.Context, a account.Account, by Proof, app rest.AppType,
) (session.Session, account.Account, error) {
	now := s.now()
	made := session.Session{
		Project: a.Project, ID: reqctx.Seed(ctx).SessionID(), User: a.ID, IdentifierValue: by.Identifier, Methods: by.Methods,
		AppType:   app,
		Status:    rest.SessionStatusActive,
		CreatedMs: now.UnixMilli(), ExpiresMs: now.Add(bounded(s.cfg.Lifetime, by.MaxSessionSeconds)).UnixMilli(),
	}
	made.Use(now, s.cfg.Inactivity)
	made, err := s.sessions.Create(ctx, made)
	if err != nil {
		return session.Session{}, account.Account{}, err
	}
	// An erasure that had looked for sessions before this one was stored would leave it behind.
	after, err := s.Enabled(ctx, a.Project, a.ID)
	if err != nil {
		return session.Session{}, account.Account{}, errors.Join(err, s.sessions.Erase(ctx, made.Project, made.User, made.ID))
	}
	return made, after, nil
}

// bounded returns how long something lives that a policy bounds; 0 = it does not.
func bounded(lifetime time.Duration, maxSeconds int) time.Duration {
	if maxSeconds <= 0 || time.Duration(maxSeconds) >= lifetime/time.Second {
		return lifetime
	}
	return time.Duration(maxSeconds) * time.Second
}

// Enabled returns the account of a user who may have sessions.
func (s *Service) Enabled(ctx context.Context, project ident.ProjectID, user ident.UserID) (account.Account, error) {
	a, _, err := s.accounts.Get(ctx, project, user)
	if err != nil {
		return account.Account{}, err
	}
	if a.Status == account.StatusDisabled {
		return account.Account{}, account.ErrDisabled
	}
	return a, nil
}

// Token returns a token of a session, which proves it for as long as the configuration says, and no longer than the session lasts.
func (s *Service) Token(ctx context.Context, of session.Session, a account.Account, issuer string) (string, error) {
	audience, err := s.audienceOf(ctx, of.Project)
	if err != nil {
		return "", err
	}
	now := s.now()
	claims := sessionClaims{
		Issuer: issuer, Audience: audience, Subject: of.User, IssuedAt: now.Unix(), NotBefore: now.Add(-signedDataLeeway).Unix(),
		Expires: min(now.Add(s.cfg.TokenLifetime).Unix(), time.UnixMilli(of.ExpiresMs).Unix()), ID: ident.Alphanumeric(tokenIDLength),
		Session: of.ID,
		Orig:    of.IdentifierValue, Email: directory.Proven(a, account.IdentifierTypeEmail),
		PhoneNumber: directory.Proven(a, account.IdentifierTypePhone), Version: sessionVersion,
		Methods: of.Methods,
	}
	if a.FullName != nil {
		claims.Name = *a.FullName
	}
	return s.signing.Sign(ctx, of.Project, claims)
}

// CreateLongSession implements service.Sessions. The caller has made the login itself, and its word is taken for the identifier.
func (s *Service) CreateLongSession(ctx context.Context, req service.ForUser[rest.LongSessionCreateReq]) (rest.LongSession, error) {
	if strings.TrimSpace(req.Body.IdentifierValue) == "" {
		return rest.LongSession{}, fault.Field("identifierValue", "cannot be blank")
	}
	if !req.Body.AppType.Valid() {
		return rest.LongSession{}, fault.Field(fieldAppType, messageAppType)
	}
	a, err := s.Enabled(ctx, req.Project, req.User)
	if err != nil {
		return rest.LongSession{}, err
	}
	made, _, err := s.Open(ctx, a, Proof{Identifier: req.Body.IdentifierValue}, req.Body.AppType)
	if err != nil {
		return rest.LongSession{}, err
	}
	return s.longSessionOf(made), nil
}

const messageAppType = "must be a valid value"

// GetUserLongSession implements service.Sessions.
func (s *Service) GetUserLongSession(ctx context.Context, req service.ForUser[ident.SessionID]) (rest.LongSession, error) {
	found, err := s.userSession(ctx, req.Project, req.User, req.Body)
	if err != nil {
		return rest.LongSession{}, err
	}
	return s.longSessionOf(found), nil
}

func (s *Service) userSession(
	ctx context.Context, project ident.ProjectID, user ident.UserID, id ident.SessionID,
) (session.Session, error) {
	found, err := s.sessions.Get(ctx, project, id)
	if errors.Is(err, session.ErrUnknown) || (err == nil && found.User != user) {
		return session.Session{}, fault.Unknown(fieldLongSession)
	}
	return found, err
}

// GetLongSession implements service.Sessions.
func (s *Service) GetLongSession(ctx context.Context, req service.ForProject[ident.SessionID]) (rest.LongSession, error) {
	found, err := s.sessions.Get(ctx, req.Project, req.Body)
	if errors.Is(err, session.ErrUnknown) {
		return rest.LongSession{}, fault.Unknown(fieldLongSession)
	}
	if err != nil {
		return rest.LongSession{}, err
	}
	return s.longSessionOf(found), nil
}

// UpdateLongSession implements service.Sessions. Only a session that is active can be ended; how it ended stays.
func (s *Service) UpdateLongSession(ctx context.Context, req service.ForUser[patch.Session]) (rest.LongSession, error) {
	if !req.Body.Status.Valid() {
		return rest.LongSession{}, fault.Field("status", "must be a valid value")
	}
	now := s.now()
	changed, err := s.sessions.Update(ctx, req.Project, req.Body.ID, func(found *session.Session) error {
		if found.User != req.User {
			return session.ErrUnknown
		}
		status := found.At(now)
		if status == req.Body.Status {
			return nil
		}
		if status != rest.SessionStatusActive {
			return fault.Field("status", "cannot change from %s to %s", status, req.Body.Status)
		}
		found.Status, found.UpdatedMs = req.Body.Status, now.UnixMilli()
		return nil
	})
	if errors.Is(err, session.ErrUnknown) {
		return rest.LongSession{}, fault.Unknown(fieldLongSession)
	}
	if err != nil {
		return rest.LongSession{}, err
	}
	return s.longSessionOf(changed), nil
}

// RevokeSession implements service.Sessions. A session that has ended already stays as it is.
func (s *Service) RevokeSession(ctx context.Context, req service.ForProject[ident.SessionID]) (service.Empty, error) {
	now := s.now()
	_, err := s.sessions.Update(ctx, req.Project, req.Body, func(found *session.Session) error {
		if found.At(now) == rest.SessionStatusActive {
			found.Status, found.UpdatedMs = rest.SessionStatusRevoked, now.UnixMilli()
		}
		return nil
	})
	if errors.Is(err, session.ErrUnknown) {
		return service.Empty{}, fault.Unknown(fieldSession)
	}
	return service.Empty{}, err
}

// CreateShortSession implements service.Sessions: it returns a token of a session that is active, which is an action of the user's.
func (s *Service) CreateShortSession(ctx context.Context, req service.ForUser[service.ShortSession]) (rest.ShortSession, error) {
	if !req.Body.Request.AppType.Valid() {
		return rest.ShortSession{}, fault.Field(fieldAppType, messageAppType)
	}
	if strings.TrimSpace(req.Body.Request.Issuer) == "" {
		return rest.ShortSession{}, fault.Field(fieldIssuer, "cannot be blank")
	}
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return rest.ShortSession{}, err
	}
	if !s.issues(p, req.Body.Request.Issuer) {
		return rest.ShortSession{}, fault.Field(fieldIssuer, "must be %s, or the URL of a host of the project", s.Issuer(p))
	}
	if _, err := s.userSession(ctx, req.Project, req.User, req.Body.ID); err != nil {
		return rest.ShortSession{}, err
	}
	a, err := s.Enabled(ctx, req.Project, req.User)
	if err != nil {
		return rest.ShortSession{}, err
	}
	now := s.now()
	used, err := s.sessions.Update(ctx, req.Project, req.Body.ID, func(found *session.Session) error {
		if status := found.At(now); status != rest.SessionStatusActive {
			return fault.Field(fieldLongSession, "is not active but %s", status)
		}
		found.Use(now, s.cfg.Inactivity)
		return nil
	})
	if errors.Is(err, session.ErrUnknown) {
		return rest.ShortSession{}, fault.Unknown(fieldLongSession)
	}
	if err != nil {
		return rest.ShortSession{}, err
	}
	token, err := s.Token(ctx, used, a, req.Body.Request.Issuer)
	if err != nil {
		return rest.ShortSession{}, err
	}
	return rest.ShortSession{Value: token}, nil
}

func (s *Service) longSessionOf(of session.Session) rest.LongSession {
	return rest.LongSession{
		LongSessionID: string(of.ID), UserID: string(of.User), IdentifierValue: of.IdentifierValue, Status: of.At(s.now()),
		Expires: account.Timestamp(of.ExpiresMs),
	}
}

// ListSessions implements service.Sessions.
func (s *Service) ListSessions(ctx context.Context, req service.ForProject[service.List]) (rest.SessionList, error) {
	return s.lists.Sessions(ctx, req.Project, s.now(), req.Body)
}

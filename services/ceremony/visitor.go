package ceremony

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/session"
	"github.com/keyward/keyward/services/ceremony/signing"
)

// visitor is whom a call of the Frontend API is of.
type visitor struct {
	project project.Project
	user    ident.UserID
	session session.Session // zero: the user is known by a token of an issuer
}

// visitor finds out who calls. A session that has ended, anywhere, is none: it is read at each call. Faults: 401.
func (s *Service) visitor(ctx context.Context, v service.Visit) (visitor, error) {
	p, err := s.project(v.Project)
	if err != nil {
		return visitor{}, err
	}
	if v.User != "" {
		return visitor{project: p, user: v.User}, nil
	}
	found, err := s.sessionOf(ctx, p, v.Token)
	if err != nil {
		return visitor{}, err
	}
	return visitor{project: p, user: found.User, session: found}, nil
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
	if err := json.Unmarshal(payload, &claims); err != nil || claims.Session == "" || claims.Issuer != s.issuer(p) {
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

// visitorAccount finds out who calls and returns the account. A user who is gone or disabled has no session.
func (s *Service) visitorAccount(ctx context.Context, v service.Visit) (visitor, account.Account, error) {
	who, err := s.visitor(ctx, v)
	if err != nil {
		return visitor{}, account.Account{}, err
	}
	a, _, err := s.accounts.Get(ctx, who.project.ID, who.user)
	if err != nil {
		return visitor{}, account.Account{}, noVisitor(err)
	}
	if a.Status == rest.UserStatusDisabled {
		return visitor{}, account.Account{}, fault.Login("the user is disabled")
	}
	return who, a, nil
}

var errVisitorGone = fault.Login("the user does not exist any more").Named("visitor-gone")

// noVisitor makes a 401 of the fault that a user does not exist: somebody with a session was deleted.
func noVisitor(err error) error { return errVisitorGone.Instead(err, account.ErrUnknown) }

// forUser makes a call of the Backend API's out of a visitor's.
func forUser[T any](who visitor, body T) service.ForUser[T] {
	return service.ForUser[T]{Project: who.project.ID, User: who.user, Body: body}
}

// clientOfVisit is what a client says of itself, in the words of the Backend API; address and user agent are the request's.
func clientOfVisit(v service.Visit, said frontend.ClientInformation) rest.ClientInformation {
	client := rest.ClientInformation{
		RemoteAddress: v.RemoteAddress, UserAgent: v.UserAgent,
		BluetoothAvailable:              said.BluetoothAvailable,
		CanUsePasskeys:                  said.CanUsePasskeys,
		ClientCapabilities:              said.ClientCapabilities,
		ClientEnvHandle:                 said.ClientEnvHandle,
		ClientEnvHandleMeta:             said.ClientEnvHandleMeta,
		IsConditionalMediationAvailable: said.IsConditionalMediationAvailable,
		IsNative:                        said.IsNative,
		IsUserVerifyingPlatformAuthenticatorAvailable: said.IsUserVerifyingPlatformAuthenticatorAvailable,
		JavaScriptHighEntropy:                         said.JavaScriptHighEntropy,
		JavascriptFingerprint:                         said.VisitorID,
		PrivateMode:                                   said.PrivateMode,
		Webdriver:                                     said.Webdriver,
	}
	if n := said.NativeMeta; n != nil {
		client.NativeMeta = nativeOf(*n)
	}
	return client
}

func nativeOf(said frontend.NativeMeta) *rest.NativeMeta {
	native := &rest.NativeMeta{
		Brand: said.Brand, Build: said.Build, Model: said.Model, DeviceSecure: said.IsDeviceSecure, GooglePlayServices: said.IsGooglePlayServices,
		IsBluetoothAvailable: said.IsBluetoothAvailable, IsBluetoothOn: said.IsBluetoothOn,
	}
	if said.DeviceOwnerAuth != nil {
		auth := string(*said.DeviceOwnerAuth)
		native.DeviceOwnerAuth = &auth
	}
	return native
}

package sessions

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/session"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// refreshPrefix begins every refresh token: rt1_<session>_<generation>_<key version>_<MAC>; those that were made before keys had
// versions are without. It has no dots, so that nobody takes it for a JWT.
const refreshPrefix = "rt1_"

// refreshToken returns the refresh token of a generation. It is derived, so nothing that could be stolen is stored.
func refreshToken(p project.Project, id ident.SessionID, generation int) string {
	key := p.Ring.Newest(keyring.RefreshToken)
	said := string(id) + "_" + strconv.Itoa(generation) + "_" + strconv.Itoa(key.Version)
	return refreshPrefix + said + "_" + refreshMAC(key.Secret, said)
}

func refreshMAC(key []byte, said string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("refresh token " + said))
	return hex.EncodeToString(mac.Sum(nil))
}

// parseRefreshToken returns the session and the generation of a token that is the project's. Of another one it returns errRefreshToken, and
// of one of which it cannot be told whose it is a fault of the server.
func parseRefreshToken(p project.Project, token string) (ident.SessionID, int, error) {
	parts, ok := strings.CutPrefix(token, refreshPrefix)
	if !ok {
		return "", 0, errRefreshToken()
	}
	said, sum, ok := cutLast(parts)
	fields := strings.Split(said, "_")
	version := keyring.Legacy
	switch len(fields) {
	case 2:
	case 3:
		var err error
		if version, err = strconv.Atoi(fields[2]); err != nil || version == keyring.Legacy {
			return "", 0, errRefreshToken()
		}
	default:
		return "", 0, errRefreshToken()
	}
	key, err := p.Ring.Key(keyring.RefreshToken, version)
	if err != nil && !errors.Is(err, keyring.ErrVersion) {
		return "", 0, fmt.Errorf("look for the key of a refresh token: %w", err)
	}
	if !ok || err != nil || !hmac.Equal([]byte(sum), []byte(refreshMAC(key, said))) {
		return "", 0, errRefreshToken()
	}
	generation, err := strconv.Atoi(fields[1])
	if err != nil {
		return "", 0, errRefreshToken()
	}
	return ident.SessionID(fields[0]), generation, nil
}

func cutLast(text string) (before, after string, ok bool) {
	i := strings.LastIndexByte(text, '_')
	if i < 0 {
		return "", "", false
	}
	return text[:i], text[i+1:], true
}

func errRefreshToken() *fault.Fault {
	return fault.Login("the refresh token is not one of this project")
}

// refreshable returns the session of a refresh token that has not been spent. It does not spend it.
func (s *Service) refreshable(ctx context.Context, p project.Project, token string) (session.Session, error) {
	id, generation, err := parseRefreshToken(p, token)
	if err != nil {
		return session.Session{}, err
	}
	found, err := s.liveSession(ctx, p, id)
	if err == nil && !found.Current(generation, s.now()) {
		return session.Session{}, fault.Login("the refresh token has been used already")
	}
	return found, err
}

// Login is what a user who has just logged in gets.
type Login struct {
	Session string // token
	Refresh string // token; in the body only if the project gives them to scripts
	Cookies service.Cookies
}

// LogIn opens a session of a user who has just logged in.
func (s *Service) LogIn(ctx context.Context, p project.Project, a account.Account, by Proof) (Login, error) {
	made, a, err := s.Open(ctx, a, by, rest.AppTypeWeb)
	if err != nil {
		return Login{}, err
	}
	return s.loginOf(ctx, p, made, a)
}

// loginOf returns the tokens of a session as it stands.
func (s *Service) loginOf(ctx context.Context, p project.Project, of session.Session, a account.Account) (Login, error) {
	token, err := s.Token(ctx, of, a, s.Issuer(p))
	if err != nil {
		return Login{}, err
	}
	made := Login{Session: token, Refresh: refreshToken(p, of.ID, of.Generation), Cookies: s.Cookies(p)}
	made.Cookies.SessionToken = token
	left := time.UnixMilli(of.ExpiresMs).Sub(s.now())
	made.Cookies.Seconds = min(made.Cookies.Seconds, max(1, int((left+time.Second-1)/time.Second))) // of 0, nobody keeps a cookie
	if !p.Frontend.RefreshTokenInBody {
		made.Cookies.RefreshToken = made.Refresh
	}
	return made, nil
}

// RefreshInBody returns the refresh token if the project gives it to scripts.
func (l Login) RefreshInBody() *string {
	if l.Cookies.RefreshToken != "" {
		return nil
	}
	return &l.Refresh
}

// Cookies are those of a project, without values.
func (s *Service) Cookies(p project.Project) service.Cookies {
	site := p.Frontend.SameSite
	if site == "" {
		site = "lax"
	}
	// Browsers take SameSite=None from secure cookies only.
	secure := strings.HasPrefix(s.Issuer(p), "https://") || site == "none"
	return service.Cookies{Domain: p.RPID, Secure: secure, SameSite: site, Seconds: int(s.cfg.Lifetime / time.Second)}
}

// CurrentUserSessionRefresh implements service.CurrentUser.
func (s *Service) CurrentUserSessionRefresh(
	ctx context.Context, req service.ForVisit[service.Empty],
) (rsp service.Answered[frontend.MeRefreshRsp], err error) {
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return rsp, err
	}
	id, generation, err := s.refreshToken(ctx, p, req.Visit)
	if err != nil {
		return rsp, err
	}
	found, err := s.spendRefreshToken(ctx, p, id, generation)
	if err != nil {
		return rsp, err
	}
	a, err := s.Enabled(ctx, p.ID, found.User)
	if err != nil {
		return rsp, s.endOrphan(ctx, found, err)
	}
	made, err := s.loginOf(ctx, p, found, a)
	if err != nil {
		return rsp, err
	}
	rsp.Body = frontend.MeRefreshRsp{SessionToken: made.Session, ShortSession: made.Session, RefreshToken: made.RefreshInBody()}
	rsp.Cookies = &made.Cookies
	return rsp, nil
}

// refreshOf returns the refresh token of a visit: the Bearer's, else the cookie's.
func refreshOf(v service.Visit) string {
	if strings.HasPrefix(v.Token, refreshPrefix) {
		return v.Token
	}
	return v.Refresh
}

// refreshToken returns the refresh token of a visit that is to be spent: of several the one that a live session has not seen, else the
// first of the project's. To spend one that is spent ends its session, so that the wrong choice would log somebody out: what cannot be told
// of one is not chosen by what is known of others.
func (s *Service) refreshToken(ctx context.Context, p project.Project, v service.Visit) (ident.SessionID, int, error) {
	chosen := refreshOf(v)
	id, generation, unknown := parseRefreshToken(p, chosen)
	if fault.OfServer(unknown) || chosen != v.Refresh || len(v.OtherRefresh) == 0 {
		return id, generation, unknown
	}
	for _, token := range append([]string{v.Refresh}, v.OtherRefresh...) {
		of, number, err := parseRefreshToken(p, token)
		if fault.OfServer(err) {
			return "", 0, err
		}
		if err != nil {
			continue
		}
		found, err := s.liveSession(ctx, p, of)
		if fault.OfServer(err) {
			return "", 0, err
		}
		if err == nil && found.Current(number, s.now()) {
			return of, number, nil
		}
		if unknown != nil {
			id, generation, unknown = of, number, nil
		}
	}
	return id, generation, unknown
}

func (s *Service) spendRefreshToken(ctx context.Context, p project.Project, id ident.SessionID, generation int) (session.Session, error) {
	var spent error
	found, err := s.sessions.Update(ctx, p.ID, id, func(found *session.Session) error {
		spent = found.Spend(generation, p.Frontend.RefreshTokenFixed, s.now(), s.cfg.Inactivity)
		if errors.Is(spent, session.ErrReused) {
			return nil // so that the end of the session is stored
		}
		return spent
	})
	switch {
	case errors.Is(err, session.ErrUnknown), errors.Is(err, session.ErrOver):
		return session.Session{}, errSessionOver()
	case err != nil:
		return session.Session{}, err
	case errors.Is(spent, session.ErrReused):
		s.log.WarnContext(ctx, "a refresh token was used twice; its session has been revoked", "user", found.User)
		return session.Session{}, fault.Login("%s", spent)
	}
	return found, nil
}

// endOrphan is what becomes of a session whose user is gone or disabled.
func (s *Service) endOrphan(ctx context.Context, of session.Session, err error) error {
	if fault.OfServer(err) {
		return err
	}
	_, revoking := s.RevokeSession(ctx, service.ForProject[ident.SessionID]{Project: of.Project, Body: of.ID})
	if revoking != nil {
		s.log.WarnContext(ctx, "the session of a user who may have none could not be ended", "error", revoking)
	}
	return fault.Login("the user may not have sessions").Because(err)
}

// CurrentUserSessionLogout implements service.CurrentUser. A session that has ended already is not a fault: the cookies are to go all the
// same.
func (s *Service) CurrentUserSessionLogout(
	ctx context.Context, req service.ForVisit[service.Empty],
) (rsp service.Answered[service.Empty], err error) {
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return rsp, err
	}
	cookies := s.Cookies(p)
	rsp.Cookies = &cookies
	id, ok, err := s.leaving(ctx, p, req.Visit)
	if err != nil || !ok {
		return rsp, err
	}
	now := s.now()
	_, err = s.sessions.Update(ctx, p.ID, id, func(found *session.Session) error {
		if found.At(now) == rest.SessionStatusActive {
			found.Status, found.UpdatedMs = rest.SessionStatusLoggedOut, now.UnixMilli()
		}
		return nil
	})
	if errors.Is(err, session.ErrUnknown) {
		return rsp, nil
	}
	return rsp, err
}

// leaving returns the session that a visit proves, by whichever of its tokens still does.
func (s *Service) leaving(ctx context.Context, p project.Project, v service.Visit) (ident.SessionID, bool, error) {
	id, _, err := parseRefreshToken(p, refreshOf(v))
	if err == nil {
		return id, true, nil
	}
	if fault.OfServer(err) {
		return "", false, err
	}
	found, err := s.sessionOf(ctx, p, v.Token)
	if fault.OfServer(err) {
		return "", false, err
	}
	return found.ID, err == nil, nil
}

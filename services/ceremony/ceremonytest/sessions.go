package ceremonytest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/sessions"
)

// LoggedIn is a user with a session.
type LoggedIn struct {
	User             ident.UserID
	Session, Refresh string
	Cookies          service.Cookies
}

// OpenSession makes a user with an address and a number, and logs the user in.
func (st *Stack) OpenSession(tb testing.TB) LoggedIn {
	tb.Helper()
	user := st.NamedUser(tb, account.IdentifierStatusPrimary)
	return st.OpenSessionOf(tb, user)
}

// OpenSessionOf logs a user in.
func (st *Stack) OpenSessionOf(tb testing.TB, user ident.UserID) LoggedIn {
	tb.Helper()
	a, err := st.Enabled(tb.Context(), st.Project.ID, user)
	if err != nil {
		tb.Fatal(err)
	}
	made, err := st.LogIn(tb.Context(), st.Project, a, sessions.Proof{Identifier: Email})
	if err != nil {
		tb.Fatal(err)
	}
	return LoggedIn{user, made.Session, made.Refresh, made.Cookies}
}

// Visit is a call with a token.
func Visit[T any](st *Stack, token string, body T) service.ForVisit[T] {
	return service.ForVisit[T]{
		Visit: service.Visit{
			Project: st.Project.ID, Token: token, RemoteAddress: "203.0.113.7", UserAgent: authenticator.Phone().Client().UserAgent,
		},
		Body: body,
	}
}

// Me asks who the user of a token is.
func (st *Stack) Me(token string) (frontend.MeRsp, error) {
	return st.CurrentUserGet(context.Background(), Visit(st, token, service.Empty{}))
}

// ChangeProject changes the project, as an operator would.
func (st *Stack) ChangeProject(change func(*project.Project)) {
	change(&st.Project)
	st.Projects.Set(st.Project)
}

// Session returns a session.
func (st *Stack) Session(tb testing.TB, id ident.SessionID) rest.LongSession {
	tb.Helper()
	rsp, err := st.GetLongSession(tb.Context(), service.ForProject[ident.SessionID]{Project: st.Project.ID, Body: id})
	if err != nil {
		tb.Fatal(err)
	}
	return rsp
}

// What Verify may answer.
const (
	Success          = rest.VerifySignedDataRspVerificationResultSuccess
	InvalidSignature = rest.VerifySignedDataRspVerificationResultInvalidSignature
	InvalidChallenge = rest.VerifySignedDataRspVerificationResultInvalidChallenge
	UserMismatch     = rest.VerifySignedDataRspVerificationResultUserMismatch
	GenericError     = rest.VerifySignedDataRspVerificationResultGenericError
)

// Verify verifies what is signed of a login.
func (st *Stack) Verify(tb testing.TB, token string, username ...string) rest.VerifySignedDataRspVerificationResult {
	tb.Helper()
	req := service.ForProject[rest.VerifySignedDataReq]{Project: st.Project.ID, Body: rest.VerifySignedDataReq{SignedPasskeyData: token}}
	if len(username) > 0 {
		req.Body.Username = &username[0]
	}
	rsp, err := st.VerifySignedData(tb.Context(), req)
	if err != nil {
		tb.Fatal(err)
	}
	return rsp.VerificationResult
}

// KeySet returns the keys that the project publishes.
func (st *Stack) KeySet(tb testing.TB) jwk.Set {
	tb.Helper()
	raw, err := st.Keys(tb.Context(), service.ForProject[service.Empty]{Project: st.Project.ID})
	if err != nil {
		tb.Fatal(err)
	}
	set, err := jwk.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// Verified checks a token as any verifier would, and returns its claims.
func (st *Stack) Verified(tb testing.TB, token, issuer string) map[string]any {
	tb.Helper()
	now := jwt.ClockFunc(st.Clock.Now)
	_, err := jwt.Parse([]byte(token), jwt.WithKeySet(st.KeySet(tb)), jwt.WithIssuer(issuer), jwt.WithClock(now), jwt.WithRequiredClaim("jti"))
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		tb.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		tb.Fatal(err)
	}
	return claims
}

// SetStatus changes the status of a user.
func SetStatus(t *testing.T, st *Stack, user ident.UserID, status rest.UserStatus) {
	t.Helper()
	req := service.ForUser[rest.UserUpdateReq]{Project: st.Project.ID, User: user, Body: rest.UserUpdateReq{Status: &status}}
	if _, err := st.UpdateUser(t.Context(), req); err != nil {
		t.Fatal(err)
	}
}

// Oblige has every finish judged to oblige to sessions of at most so many seconds.
func (st *Stack) Oblige(seconds int, enforced bool) {
	st.Decision.Mu.Lock()
	defer st.Decision.Mu.Unlock()
	st.Decision.OnFinish = func(service.FinishQuestion) (service.Verdict, error) {
		return service.Verdict{Decided: service.Decided{Decision: "dec-7", PolicyRevision: "rev-1"}, Rule: "R4", Allow: true, Risk: &service.Risk{
			Rule: "R4", Action: service.RiskReview, Level: service.RiskMedium, Enforced: enforced,
			Obligations: service.Obligations{MaxSessionSeconds: seconds},
		}}, nil
	}
}

package connect_test

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// page is a frontend that speaks Connect, and what it keeps.
type page struct {
	*ceremonytest.Stack
	device *authenticator.Device
	token  string // of its process
}

func newPage(st *ceremonytest.Stack) *page { return &page{Stack: st, device: authenticator.Phone()} }

// in returns a call of a page.
func in[T any](p *page, body T) service.ForVisit[T] {
	return service.ForVisit[T]{
		Visit: service.Visit{Project: p.Project.ID, Process: p.token, RemoteAddress: "127.0.0.1", UserAgent: "Mozilla/5.0"}, Body: body,
	}
}

func (p *page) initReq() frontend.ConnectInitReq {
	conditional := true
	req := frontend.ConnectInitReq{
		Flags:             frontend.Flags{"beta": "on"},
		ClientInformation: frontend.ClientInformation{IsConditionalMediationAvailable: &conditional},
	}
	if p.device.Handle != "" {
		req.ClientInformation.ClientEnvHandle = &p.device.Handle
	}
	return req
}

func (p *page) keep(handle *string) {
	if handle != nil {
		p.device.Handle = *handle
	}
}

func (p *page) loginInit(tb testing.TB) service.Answered[frontend.ConnectLoginInitRsp] {
	tb.Helper()
	rsp, err := p.ConnectLoginInit(tb.Context(), in(p, p.initReq()))
	if err != nil {
		tb.Fatal(err)
	}
	p.token = rsp.Body.Token
	p.keep(rsp.Body.NewClientEnvHandle)
	return rsp
}

func (p *page) appendInit(tb testing.TB) frontend.ConnectAppendInitRsp {
	tb.Helper()
	rsp, err := p.ConnectAppendInit(tb.Context(), in(p, p.initReq()))
	if err != nil {
		tb.Fatal(err)
	}
	p.token = rsp.Body.ProcessID
	p.keep(rsp.Body.NewClientEnvHandle)
	return rsp.Body
}

func (p *page) manageInit(tb testing.TB) frontend.ConnectManageInitRsp {
	tb.Helper()
	rsp, err := p.ConnectManageInit(tb.Context(), in(p, p.initReq()))
	if err != nil {
		tb.Fatal(err)
	}
	p.token = rsp.Body.ProcessID
	p.keep(rsp.Body.NewClientEnvHandle)
	return rsp.Body
}

func loginOf(identifier string) frontend.ConnectLoginStartReq {
	return frontend.ConnectLoginStartReq{Identifier: identifier, Source: rest.LoginSourceTextField, LoadedMs: 1}
}

// identified asks for a login of an identifier.
func (p *page) identified(tb testing.TB, identifier string) service.Answered[frontend.ConnectLoginStartRsp] {
	tb.Helper()
	rsp, err := p.ConnectLoginStart(tb.Context(), in(p, loginOf(identifier)))
	if err != nil {
		tb.Fatal(err)
	}
	return rsp
}

func (p *page) secret(tb testing.TB, kind rest.ConnectTokenType, identifier string) string {
	tb.Helper()
	req := tokenReq(p.Project.ID, kind)
	req.Body.Data.Identifier = identifier
	made, err := p.CreateConnectToken(tb.Context(), req)
	if err != nil {
		tb.Fatal(err)
	}
	return *made.Secret
}

func (p *page) appendStartWith(tb testing.TB, secret string) frontend.ConnectAppendStartRsp {
	tb.Helper()
	rsp, err := p.ConnectAppendStart(tb.Context(), in(p, frontend.ConnectAppendStartReq{AppendTokenValue: secret, LoadedMs: 1}))
	if err != nil {
		tb.Fatal(err)
	}
	return rsp.Body
}

func (p *page) appendFinishWith(tb testing.TB, options string) (frontend.ConnectAppendFinishRsp, error) {
	tb.Helper()
	manual := frontend.ConnectAppendFinishReqCompletionTypeManual
	rsp, err := p.ConnectAppendFinish(
		tb.Context(),
		in(p, frontend.ConnectAppendFinishReq{AttestationResponse: p.device.Create(tb, options), CompletionType: &manual}),
	)
	return rsp.Body, err
}

// enrolled creates a passkey of whom an identifier names, over Connect, and returns the user.
func (p *page) enrolled(tb testing.TB, identifier string) ident.UserID {
	tb.Helper()
	p.appendInit(tb)
	start := p.appendStartWith(tb, p.secret(tb, rest.ConnectTokenTypePasskeyAppend, identifier))
	p.device.Options.UserHandle = nil
	if _, err := p.appendFinishWith(tb, start.AttestationOptions); err != nil {
		tb.Fatal(err)
	}
	user := p.owner(tb, identifier)
	p.device.Options.UserHandle = p.Account(tb, user).UserHandle
	return user
}

// owner returns the user of the project who has an identifier.
func (p *page) owner(tb testing.TB, identifier string) ident.UserID {
	tb.Helper()
	var found ident.UserID
	err := p.Accounts.All(tb.Context(), p.Project.ID, func(a account.Account) bool {
		for _, id := range a.Identifiers {
			if strings.EqualFold(id.Value, identifier) {
				found = a.ID
			}
		}
		return found == ""
	})
	if err != nil || found == "" {
		tb.Fatalf("nobody has %s: %v", identifier, err)
	}
	return found
}

// userWith creates a user with an identifier.
func userWith(
	tb testing.TB, st *ceremonytest.Stack, kind account.IdentifierType, value string, status account.IdentifierStatus,
) ident.UserID {
	tb.Helper()
	user := st.NewUser(tb)
	_, err := st.CreateIdentifier(tb.Context(), service.ForUser[rest.IdentifierCreateReq]{
		Project: st.Project.ID, User: user, Body: rest.IdentifierCreateReq{
			IdentifierType: rest.IdentifierType(kind), IdentifierValue: value, Status: rest.IdentifierStatus(status),
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return user
}

// wantNoProcess checks that err is the fault that clients begin anew at.
func wantNoProcess(tb testing.TB, err error) {
	tb.Helper()
	if err == nil {
		tb.Fatal("no error")
	}
	if f := fault.As(err); f.Type != fault.TypeProcessNotAvailable || f.Status != 404 {
		tb.Fatalf("got %v", err)
	}
}

func deleteUser(tb testing.TB, st *ceremonytest.Stack, user ident.UserID) {
	tb.Helper()
	if _, err := st.DeleteUser(tb.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user}); err != nil {
		tb.Fatal(err)
	}
}

func disable(tb testing.TB, st *ceremonytest.Stack, user ident.UserID) {
	tb.Helper()
	disabled := rest.UserStatusDisabled
	_, err := st.UpdateUser(tb.Context(), service.ForUser[rest.UserUpdateReq]{
		Project: st.Project.ID, User: user, Body: rest.UserUpdateReq{Status: &disabled},
	})
	if err != nil {
		tb.Fatal(err)
	}
}

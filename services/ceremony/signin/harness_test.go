package signin_test

import (
	"context"
	"testing"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// browser is a client in the middle of a sign-up or login, with the answers that it got.
type browser struct {
	*ceremonytest.Stack
	token   string
	body    frontend.BlockBody
	init    frontend.ProcessInitRsp
	cookies *service.Cookies
}

// meeting changes how the project meets browsers.
func meeting(st *ceremonytest.Stack, change func(*project.Frontend)) *ceremonytest.Stack {
	change(&st.Project.Frontend)
	st.Projects.Set(st.Project)
	return st
}

func visitOf(st *ceremonytest.Stack, token string) service.Visit {
	return service.Visit{Project: st.Project.ID, Process: token, RemoteAddress: "127.0.0.1", UserAgent: "Mozilla/5.0 (Macintosh)"}
}

// begin begins a process.
func begin(tb testing.TB, st *ceremonytest.Stack, change ...func(*frontend.ProcessInitReq)) *browser {
	tb.Helper()
	var req frontend.ProcessInitReq
	for _, c := range change {
		c(&req)
	}
	rsp, err := st.ProcessInit(tb.Context(), service.ForVisit[frontend.ProcessInitReq]{Visit: visitOf(st, ""), Body: req})
	if err != nil {
		tb.Fatal(err)
	}
	return &browser{Stack: st, token: rsp.Body.Token, body: rsp.Body.ProcessResponse.BlockBody, init: rsp.Body}
}

type signInCall[T any] func(context.Context, service.ForVisit[T]) (service.Answered[frontend.ProcessResponse], error)

// try makes a call and keeps its answer, if it is one.
func try[T any](tb testing.TB, b *browser, call signInCall[T], body T) error {
	tb.Helper()
	rsp, err := call(tb.Context(), service.ForVisit[T]{Visit: visitOf(b.Stack, b.token), Body: body})
	if err == nil {
		b.body, b.cookies = rsp.Body.BlockBody, rsp.Cookies
	}
	return err
}

// do makes a call that must lead to a block.
func do[T any](tb testing.TB, b *browser, call signInCall[T], body T, want frontend.BlockType) {
	tb.Helper()
	if err := try(tb, b, call, body); err != nil {
		tb.Fatal(err)
	}
	b.at(tb, want)
}

func (b *browser) at(tb testing.TB, want frontend.BlockType) {
	tb.Helper()
	if b.body.Block != want {
		raw, _ := b.body.Data.MarshalJSON()
		tb.Fatalf("at block %s, want %s: %s", b.body.Block, want, raw)
	}
}

func (b *browser) signUp(tb testing.TB, want frontend.BlockType, identifiers ...frontend.LoginIdentifier) {
	tb.Helper()
	do(tb, b, b.SignupInit, frontend.SignupInitReq{Identifiers: identifiers}, want)
}

func (b *browser) logIn(tb testing.TB, value string, want frontend.BlockType) {
	tb.Helper()
	do(tb, b, b.LoginInit, frontend.LoginInitReq{IdentifierValue: value}, want)
}

func (b *browser) skip(tb testing.TB, want frontend.BlockType) {
	tb.Helper()
	do(tb, b, b.BlockSkip, service.Empty{}, want)
}

func (b *browser) code(tb testing.TB, value string, want frontend.BlockType) {
	tb.Helper()
	do(tb, b, b.IdentifierVerifyFinish, frontend.IdentifierVerifyFinishReq{
		Code: value, IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailOtp,
	}, want)
}

// append creates the passkey that the block asks for.
func (b *browser) append(tb testing.TB, d *authenticator.Device) {
	tb.Helper()
	do(tb, b, b.PasskeyAppendStart, frontend.PasskeyStartReq{}, frontend.BlockTypePasskeyAppend)
	do(
		tb, b, b.PasskeyAppendFinish, frontend.PasskeyFinishReq{SignedChallenge: d.Create(tb, b.creation(tb).Challenge)},
		frontend.BlockTypePasskeyAppended,
	)
}

// verify logs in with the passkey that the block asks for.
func (b *browser) verify(tb testing.TB, d *authenticator.Device, want frontend.BlockType) {
	tb.Helper()
	do(tb, b, b.PasskeyLoginStart, frontend.PasskeyLoginStartReq{}, frontend.BlockTypePasskeyVerify)
	do(tb, b, b.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: d.Get(tb, b.request(tb).Challenge)}, want)
}

func dataOf[T any](tb testing.TB, as func() (T, error)) T {
	tb.Helper()
	data, err := as()
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func (b *browser) creation(tb testing.TB) frontend.BlockPasskeyAppend {
	tb.Helper()
	return dataOf(tb, b.body.Data.AsBlockPasskeyAppend)
}

func (b *browser) request(tb testing.TB) frontend.BlockPasskeyVerify {
	tb.Helper()
	return dataOf(tb, b.body.Data.AsBlockPasskeyVerify)
}

func (b *browser) verification(tb testing.TB) frontend.BlockVerifyIdentifier {
	tb.Helper()
	return dataOf(tb, b.body.Data.AsBlockVerifyIdentifier)
}

func (b *browser) session(tb testing.TB) frontend.BlockCompleted {
	tb.Helper()
	b.at(tb, frontend.BlockTypeCompleted)
	return dataOf(tb, b.body.Data.AsBlockCompleted)
}

// whose returns who a session is of.
func whose(tb testing.TB, st *ceremonytest.Stack, token string) frontend.MeRsp {
	tb.Helper()
	v := visitOf(st, "")
	v.Token = token
	me, err := st.CurrentUserGet(tb.Context(), service.ForVisit[service.Empty]{Visit: v})
	if err != nil {
		tb.Fatal(err)
	}
	return me
}

// wantGone checks that a process is not there any more.
func wantGone(tb testing.TB, err error) {
	tb.Helper()
	if err == nil || string(fault.As(err).Type) != "process_not_available" {
		tb.Errorf("got %v, want process_not_available", err)
	}
}

func wantPlace(tb testing.TB, err error) {
	tb.Helper()
	ceremonytest.WantField(tb, err, 400, "process", "the process is not at a block that this call belongs to")
}

func emailOf(value string) frontend.LoginIdentifier {
	return frontend.LoginIdentifier{Type: rest.IdentifierTypeEmail, Identifier: value}
}

func usernameOf(value string) frontend.LoginIdentifier {
	return frontend.LoginIdentifier{Type: rest.IdentifierTypeUsername, Identifier: value}
}

func userNamed(tb testing.TB, st *ceremonytest.Stack, id string) ident.UserID {
	tb.Helper()
	user, err := ident.ParseUserID(id)
	if err != nil {
		tb.Fatal(err)
	}
	return user
}

// verifying makes the project verify email addresses, by code or link, before a sign-up is complete.
func verifying(link bool) func(*project.Frontend) {
	return func(f *project.Frontend) {
		f.Identifiers = []project.IdentifierRule{
			{Type: account.IdentifierTypeEmail, Verify: project.VerifySignUp, Link: link}, {Type: account.IdentifierTypeUsername},
		}
	}
}

// noAppend makes the policy offer no passkeys.
func noAppend(_ service.AppendQuestion, v *service.AppendVerdict) { v.Allow = false }

// member signs a user up with a passkey and returns the ID.
func member(tb testing.TB, st *ceremonytest.Stack, d *authenticator.Device, identifiers ...frontend.LoginIdentifier) ident.UserID {
	tb.Helper()
	b := begin(tb, st)
	b.signUp(tb, frontend.BlockTypePasskeyAppend, identifiers...)
	b.append(tb, d)
	b.skip(tb, frontend.BlockTypeCompleted)
	id := userNamed(tb, st, whose(tb, st, b.session(tb).SessionToken).ID)
	d.Options.UserHandle = st.Account(tb, id).UserHandle
	return id
}

// sessionsOf counts the sessions of a user.
func sessionsOf(tb testing.TB, st *ceremonytest.Stack, user ident.UserID) int {
	tb.Helper()
	lister, err := st.Buckets.SessionIDs.ListKeysFiltered(tb.Context(), string(st.Project.ID)+"."+string(user)+".*")
	if err != nil {
		tb.Fatal(err)
	}
	n := 0
	for range lister.Keys() {
		n++
	}
	return n
}

// problem returns the code of a problem, or "".
func problem(e *frontend.RequestError) string {
	if e == nil {
		return ""
	}
	return e.Code
}

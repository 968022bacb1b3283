package registrations_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

func passkeyCode(
	tb testing.TB, st *ceremonytest.Stack, user ident.UserID, body service.PasskeyCodeRequest,
) (service.PasskeyCodeCreated, error) {
	tb.Helper()
	return st.CreatePasskeyCode(tb.Context(), service.ForUser[service.PasskeyCodeRequest]{Project: st.Project.ID, User: user, Body: body})
}

func TestACodeRegistersOnePasskey(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NamedUser(t, account.IdentifierStatusVerified)
	made, err := passkeyCode(t, st, user, service.PasskeyCodeRequest{})
	if err != nil || made.Code == nil || len(made.Code.Code) != 40 || made.ChangedMs != ceremonytest.Started.UnixMilli() ||
		made.CreatedMs != ceremonytest.Started.UnixMilli() {
		t.Fatalf("got %+v, %v", made, err)
	}
	if told := st.Events.OfType(event.PasskeyCode); len(told) != 1 || told[0].User != user {
		t.Errorf("told: %+v", told)
	}
	with := func(id, text string) service.PasskeyRegistration {
		return service.PasskeyRegistration{Code: &service.PasskeyCode{ID: id, Code: text}}
	}
	other := st.NewUser(t)
	_, err = register(t, st, other, with(made.Code.ID, made.Code.Code))
	wantReason(t, err, 400, service.ReasonCodeInvalid)
	_, err = register(t, st, user, with(made.Code.ID, ceremonytest.Wrong(made.Code.Code)))
	wantReason(t, err, 400, service.ReasonCodeInvalid)
	if _, err := ceremonytest.CheckCode(t.Context(), st, st, user, made.Code.ID, made.Code.Code); err == nil {
		t.Error("it verifies an identifier")
	}
	refuse(t, st, nil)
	_, err = register(t, st, user, with(made.Code.ID, made.Code.Code))
	wantReason(t, err, 412, service.ReasonDenied)
	st.Decision.OnAppend = nil
	if _, err := register(t, st, user, with(made.Code.ID, made.Code.Code)); err != nil {
		t.Errorf("a refusal of the policy has spent it: %v", err)
	}
	_, err = register(t, st, user, with(made.Code.ID, made.Code.Code))
	wantReason(t, err, 400, service.ReasonCodeInvalid)

	late, err := passkeyCode(t, st, user, service.PasskeyCodeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	st.Clock.Advance(time.Hour)
	_, err = register(t, st, user, with(late.Code.ID, late.Code.Code))
	wantReason(t, err, 400, service.ReasonCodeInvalid)
}

func TestACodeThatVerifiesAnIdentifierRegistersNothing(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NamedUser(t, account.IdentifierStatusPending)
	sent, err := st.NewCode(t, user, ceremonytest.CodeTo(rest.ChallengeTypeEmailLink, ceremonytest.Email))
	if err != nil {
		t.Fatal(err)
	}
	_, err = register(t, st, user, service.PasskeyRegistration{Code: &service.PasskeyCode{ID: sent.ChallengeID, Code: sent.Value}})
	wantReason(t, err, 400, service.ReasonCodeInvalid)
}

func TestALinkIsSentToTheVerifiedAddress(t *testing.T) {
	t.Parallel()
	const all = "?userID=$U&orgID=$P&codeID=$I&code=$C"
	for name, c := range map[string]struct{ template, want string }{
		"without a template": {"", authenticator.Origin + "/" + all},
		"with all there is": {
			authenticator.Origin + "/in?u={{.UserID}}&o={{.OrgID}}&i={{.CodeID}}&c={{.Code}}",
			authenticator.Origin + "/in?u=$U&o=$P&i=$I&c=$C",
		},
		"with the code alone":  {authenticator.Origin + "/{{ .Code }}#{{.CodeID}}", authenticator.Origin + "/$C#$I"},
		"with nothing at all":  {authenticator.Origin + "/passkey", authenticator.Origin + "/passkey"},
		"with trimming braces": {authenticator.Origin + "/a {{- .Code -}} b", authenticator.Origin + "/a$Cb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user := st.NamedUser(t, account.IdentifierStatusVerified)
			made, err := passkeyCode(t, st, user, service.PasskeyCodeRequest{Send: true, URLTemplate: c.template})
			if err != nil || made.Code != nil {
				t.Fatalf("got %+v, %v", made, err)
			}
			m := st.Delivery.Last()
			want := strings.NewReplacer("$U", string(user), "$P", string(st.Project.ID), "$I", string(m.ID), "$C", m.Value).Replace(c.want)
			if m.Link != want || m.To != ceremonytest.Email || m.Purpose != "passkey-registration" || m.Lifetime != time.Hour {
				t.Errorf("got %+v, want the link %s", m, want)
			}
			if _, err := register(
				t, st, user, service.PasskeyRegistration{Code: &service.PasskeyCode{ID: string(m.ID), Code: m.Value}},
			); err != nil {
				t.Errorf("the code of the link: %v", err)
			}
		})
	}
}

func TestALinkGoesToThePrimaryAddress(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NamedUser(t, account.IdentifierStatusVerified)
	for value, status := range map[string]account.IdentifierStatus{
		"first@example.com": account.IdentifierStatusPrimary,
		"other@example.com": account.IdentifierStatusVerified,
	} {
		if _, err := st.CreateIdentifier(t.Context(), service.ForUser[rest.IdentifierCreateReq]{
			Project: st.Project.ID, User: user, Body: rest.IdentifierCreateReq{
				IdentifierType: rest.IdentifierTypeEmail, IdentifierValue: value, Status: rest.IdentifierStatus(status),
			},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := passkeyCode(t, st, user, service.PasskeyCodeRequest{Send: true}); err != nil || st.Delivery.Last().To != "first@example.com" {
		t.Errorf("sent to %q: %v", st.Delivery.Last().To, err)
	}
}

func TestALinkThatCannotBeSentIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		template string
		status   account.IdentifierStatus
		want     int
		reason   string
	}{
		"to an address that is not verified": {"", account.IdentifierStatusPending, 412, service.ReasonUserNoEmail},
		"with open braces":                   {authenticator.Origin + "/{{.Code", "", 400, service.ReasonTemplate},
		"with another field":                 {authenticator.Origin + "/{{.Secret}}", "", 400, service.ReasonTemplate},
		"with a function":                    {authenticator.Origin + "/{{printf .Code}}", "", 400, service.ReasonTemplate},
		"with a pipe":                        {authenticator.Origin + "/{{.Code | .UserID}}", "", 400, service.ReasonTemplate},
		"with a condition":                   {authenticator.Origin + "/{{if .Code}}x{{end}}", "", 400, service.ReasonTemplate},
		"with a definition":                  {`{{define "a"}}{{end}}` + authenticator.Origin, "", 400, service.ReasonTemplate},
		"with a field of a field":            {authenticator.Origin + "/{{.Code.UserID}}", "", 400, service.ReasonTemplate},
		"with a variable":                    {authenticator.Origin + "/{{$x := .Code}}", "", 400, service.ReasonTemplate},
		"with a comment alone":               {"{{/* x */}}", "", 400, service.ReasonTemplate},
		"to another page":                    {"https://evil.example/{{.Code}}", "", 400, service.ReasonTemplate},
		"to a page that a code names":        {"https://{{.Code}}.example.com/", "", 400, service.ReasonTemplate},
		"with a user":                        {"https://a@login.example.com/{{.Code}}", "", 400, service.ReasonTemplate},
		"to a script":                        {"javascript:alert('{{.Code}}')", "", 400, service.ReasonTemplate},
		"to nowhere":                         {"/{{.Code}}", "", 400, service.ReasonTemplate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			if c.status == "" {
				c.status = account.IdentifierStatusVerified
			}
			user := st.NamedUser(t, c.status)
			_, err := passkeyCode(t, st, user, service.PasskeyCodeRequest{Send: true, URLTemplate: c.template})
			wantReason(t, err, c.want, c.reason)
			if len(st.Delivery.Messages) != 0 || len(st.Events.OfType(event.PasskeyCode)) != 0 {
				t.Error("something was sent")
			}
		})
	}
	st := ceremonytest.New(t)
	_, err := passkeyCode(t, st, "usr-1", service.PasskeyCodeRequest{})
	wantReason(t, err, 404, service.ReasonUserUnknown)
	user := st.NewUser(t)
	disable(t, st, &user)
	_, err = passkeyCode(t, st, user, service.PasskeyCodeRequest{})
	wantReason(t, err, 412, service.ReasonUserInactive)
}

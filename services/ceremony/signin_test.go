package ceremony_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	fe "github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/service"
)

func TestAUserSignsUpAndLogsInWithAPasskey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		identifier fe.LoginIdentifier
		status     fe.IdentifierStatus
	}{
		"with an email address that is not verified": {emailOf("ada@example.com"), "pending"},
		"with a user name":                           {usernameOf("ada"), "primary"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, d := newStack(t), phone()
			b := st.begin(t, func(r *fe.ProcessInitReq) { r.PreferredBlock = ptr(fe.BlockTypeSignupInit) })
			b.at(t, fe.BlockTypeSignupInit)
			b.signUp(t, fe.BlockTypePasskeyAppend, c.identifier)
			b.append(t, d)
			b.skip(t, fe.BlockTypeCompleted)
			done := b.session(t)
			want := &fe.PasskeyOperation{
				OperationType: "append", IdentifierValue: c.identifier.Identifier, IdentifierType: c.identifier.Type, CeremonyType: "local",
				AAGUIDDetails: fe.AAGUIDDetails{Name: "Apple Passwords"},
			}
			if diff := cmp.Diff(want, done.PasskeyOperation); diff != "" {
				t.Error(diff)
			}
			me := st.me(t, done.SessionToken)
			wantMe := []fe.Identifier{{ID: me.Identifiers[0].ID, Type: c.identifier.Type, Value: c.identifier.Identifier, Status: c.status}}
			if diff := cmp.Diff(wantMe, me.Identifiers); diff != "" {
				t.Error(diff)
			}
			if b.cookies == nil || b.cookies.SessionToken != done.SessionToken || b.cookies.RefreshToken == "" || done.RefreshToken != nil {
				t.Errorf("cookies: %+v", b.cookies)
			}
			wantGone(t, try(t, b, b.ProcessComplete, service.Empty{}))

			again := st.begin(t)
			again.at(t, fe.BlockTypeLoginInit)
			again.logIn(t, c.identifier.Identifier, fe.BlockTypePasskeyVerify)
			st.decision.append = func(_ service.AppendQuestion, v *service.AppendVerdict) { v.Allow = false }
			again.verify(t, d, fe.BlockTypeCompleted)
			if got := st.me(t, again.session(t).SessionToken); got.ID != me.ID {
				t.Errorf("logged in as %s, want %s", got.ID, me.ID)
			}
			if op := again.session(t).PasskeyOperation; op == nil || op.OperationType != "verify" || op.IdentifierValue != c.identifier.Identifier {
				t.Errorf("operation: %+v", op)
			}
			if len(st.get(t, st.userNamed(t, me.ID)).Credentials) != 1 || st.get(t, st.userNamed(t, me.ID)).SignUpUntilMs != 0 {
				t.Error("the account is not complete")
			}
		})
	}
}

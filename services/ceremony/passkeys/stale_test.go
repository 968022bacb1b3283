package passkeys_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// stamps gives the account a stamp, as the event log does.
type stamps struct{ now string }

func (s *stamps) AccountChanged(context.Context, ident.ProjectID, ident.UserID) (string, error) {
	return s.now, nil
}

func (s *stamps) AccountGone(context.Context, ident.ProjectID, ident.UserID) error { return nil }

func (s *stamps) AccountUncertain(context.Context, ident.ProjectID, ident.UserID) {}

func (s *stamps) AccountVouched(context.Context, ident.ProjectID, ident.UserID, string) bool {
	return false
}

func (s *stamps) AccountUsed(context.Context, ident.ProjectID, ident.UserID, string) string {
	return ""
}

func TestADecisionThatFindsTheAccountOutOfDateIsAskedAgainWithTheAccountOfTheStore(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	stamp := &stamps{}
	near, err := account.Open(account.Deps{Bucket: b.Accounts, Changes: stamp, Metrics: prometheus.NewRegistry()}, 10)
	if err != nil {
		t.Fatal(err)
	}
	st := ceremonytest.NewWith(t, b, near)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	judge := func(stamp string, q service.Question, v *service.Verdict) {
		v.AccountStamp = stamp
		if q.AccountStamp != "" && q.AccountStamp != stamp {
			*v = service.Verdict{Stale: true, AccountStamp: stamp}
		}
	}
	now := "a.1"
	st.Decision.OnLogin = func(q service.LoginQuestion, v *service.LoginVerdict) { judge(now, q.Question, &v.Verdict) }
	st.Decision.OnAppend = func(q service.AppendQuestion, v *service.AppendVerdict) { judge(now, q.Question, &v.Verdict) }
	for range 3 {
		st.BeginLogin(t, user, d)
	}
	if got := st.Decision.Last().AccountStamp; got != "a.1" {
		t.Fatalf("the third start asked with stamp %q", got)
	}

	// Another process changes the account, and the decision service knows.
	other := account.NewStore(b.Accounts)
	for _, start := range []func() int32{
		func() int32 { return st.BeginLogin(t, user, d).CredentialCount },
		func() int32 { return st.BeginAppend(t, user, d).CredentialCount },
	} {
		if _, err := other.Update(t.Context(), st.Project.ID, user, func(a *account.Account) error {
			another := a.Credentials[0]
			another.ID = ident.NewCredentialID()
			a.Credentials = append(a.Credentials, another)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		now += "1"
		asked := len(st.Decision.Asked)
		want := int32(len(st.Account(t, user).Credentials))
		if got := start(); got != want {
			t.Errorf("started with %d passkeys of %d", got, want)
		}
		if questions := st.Decision.Asked[asked:]; len(questions) != 2 || questions[0].AccountStamp == "" || questions[1].AccountStamp != "" {
			t.Errorf("asked %d times", len(questions))
		}
		if got := start(); got != want || st.Decision.Last().AccountStamp != now {
			t.Errorf("then started with %d passkeys of %d and stamp %q", got, want, st.Decision.Last().AccountStamp)
		}
	}

	if err := other.Delete(t.Context(), st.Project.ID, user); err != nil {
		t.Fatal(err)
	}
	now = "b.1"
	if _, err := st.LoginStart(t.Context(), st.LoginStartReq(user, d)); err == nil {
		t.Error("a deleted user started a login")
	}
}

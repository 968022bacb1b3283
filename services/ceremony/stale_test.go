package ceremony_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// stamps gives the account a stamp, as the event log does.
type stamps struct{ now string }

func (s *stamps) AccountChanged(context.Context, ident.ProjectID, ident.UserID) (string, error) {
	return s.now, nil
}

func (s *stamps) AccountGone(context.Context, ident.ProjectID, ident.UserID) error { return nil }

func (s *stamps) AccountUncertain(context.Context, ident.ProjectID, ident.UserID) {}

func TestADecisionThatFindsTheAccountOutOfDateIsAskedAgainWithTheAccountOfTheStore(t *testing.T) {
	t.Parallel()
	b := openBuckets(t)
	stamp := &stamps{}
	near, err := account.Open(account.Deps{Bucket: b.accounts, Changes: stamp, Metrics: prometheus.NewRegistry()}, 10)
	if err != nil {
		t.Fatal(err)
	}
	st := newStackWith(t, b, near)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	judge := func(stamp string, q service.Question, v *service.Verdict) {
		v.AccountStamp = stamp
		if q.AccountStamp != "" && q.AccountStamp != stamp {
			*v = service.Verdict{Stale: true, AccountStamp: stamp}
		}
	}
	now := "a.1"
	st.decision.login = func(q service.LoginQuestion, v *service.LoginVerdict) { judge(now, q.Question, &v.Verdict) }
	st.decision.append = func(q service.AppendQuestion, v *service.AppendVerdict) { judge(now, q.Question, &v.Verdict) }
	for range 3 {
		st.loginStart(t, user, d)
	}
	if got := st.decision.last().AccountStamp; got != "a.1" {
		t.Fatalf("the third start asked with stamp %q", got)
	}

	// Another process changes the account, and the decision service knows.
	other := account.NewStore(b.accounts)
	for _, start := range []func() int32{
		func() int32 { return st.loginStart(t, user, d).CredentialCount },
		func() int32 { return st.appendStart(t, user, d).CredentialCount },
	} {
		if _, err := other.Update(t.Context(), st.project.ID, user, func(a *account.Account) error {
			another := a.Credentials[0]
			another.ID = ident.NewCredentialID()
			a.Credentials = append(a.Credentials, another)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		now += "1"
		asked := len(st.decision.asked)
		want := int32(len(st.get(t, user).Credentials))
		if got := start(); got != want {
			t.Errorf("started with %d passkeys of %d", got, want)
		}
		if questions := st.decision.asked[asked:]; len(questions) != 2 || questions[0].AccountStamp == "" || questions[1].AccountStamp != "" {
			t.Errorf("asked %d times", len(questions))
		}
		if got := start(); got != want || st.decision.last().AccountStamp != now {
			t.Errorf("then started with %d passkeys of %d and stamp %q", got, want, st.decision.last().AccountStamp)
		}
	}

	if err := other.Delete(t.Context(), st.project.ID, user); err != nil {
		t.Fatal(err)
	}
	now = "b.1"
	if _, err := st.LoginStart(t.Context(), st.loginStartReq(user, d)); err == nil {
		t.Error("a deleted user started a login")
	}
}

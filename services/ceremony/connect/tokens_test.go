package connect_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/faulty"
	"github.com/keyward/keyward/services/ceremony/internal/connecttoken"
)

func tokenReq(project ident.ProjectID, kind rest.ConnectTokenType) service.ForProject[rest.ConnectTokenCreateReq] {
	name := "Ada"
	return service.ForProject[rest.ConnectTokenCreateReq]{Project: project, Body: rest.ConnectTokenCreateReq{
		Type: kind, Data: rest.ConnectTokenData{Identifier: "ada@example.com", DisplayName: &name},
	}}
}

func connectToken(tb testing.TB, st *ceremonytest.Stack, kind rest.ConnectTokenType) rest.ConnectToken {
	tb.Helper()
	made, err := st.CreateConnectToken(tb.Context(), tokenReq(st.Project.ID, kind))
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

func patchToken(st *ceremonytest.Stack, id string, status rest.ConnectTokenStatus) error {
	_, err := st.UpdateConnectToken(context.Background(), service.ForProject[patch.Token]{
		Project: st.Project.ID, Body: patch.Token{ID: ident.ConnectTokenID(id), Status: status},
	})
	return err
}

func TestTheSecretOfAConnectTokenIsShownOnceAndNotKept(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	made := connectToken(t, st, rest.ConnectTokenTypePasskeyAppend)
	if made.Secret == nil || !regexp.MustCompile(`^ctk1_[A-Za-z0-9]{30}$`).MatchString(*made.Secret) ||
		!regexp.MustCompile(`^ctk-[0-9]{1,19}$`).MatchString(made.ID) {
		t.Fatalf("%+v", made)
	}
	secret := *made.Secret
	made.Secret = nil
	name := "Ada"
	want := rest.ConnectToken{
		ID:                 made.ID,
		TokenType:          rest.ConnectTokenTypePasskeyAppend,
		ConnectTokenStatus: rest.ConnectTokenStatusInitial,
		Expires:            ceremonytest.Started.Unix() + 3600,
		Data:               rest.ConnectTokenData{Identifier: "ada@example.com", DisplayName: &name},
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Error(diff)
	}
	entry, err := st.Buckets.Tokens.Get(t.Context(), string(st.Project.ID)+"."+made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if stored := string(
		entry.Value(),
	); strings.Contains(stored, secret) || strings.Contains(stored, strings.TrimPrefix(secret, "ctk1_")) ||
		strings.Contains(st.Log.String(), secret) {
		t.Errorf("the secret is kept: %s", stored)
	}
}

func TestAConnectTokenIsChecked(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	blank, seconds := " ", int32(0)
	cases := map[string]struct {
		change         func(*rest.ConnectTokenCreateReq)
		field, message string
	}{
		"without a name to show": {func(r *rest.ConnectTokenCreateReq) { r.Data.DisplayName = nil }, "data.displayName", "cannot be blank"},
		"with a blank name":      {func(r *rest.ConnectTokenCreateReq) { r.Data.DisplayName = &blank }, "data.displayName", "cannot be blank"},
		"without an identifier":  {func(r *rest.ConnectTokenCreateReq) { r.Data.Identifier = "" }, "data.identifier", "cannot be blank"},
		"without a type":         {func(r *rest.ConnectTokenCreateReq) { r.Type = "" }, "type", "cannot be blank"},
		"of an unknown type":     {func(r *rest.ConnectTokenCreateReq) { r.Type = "passkey" }, "type", "must be a valid value"},
		"that would never live": {
			func(r *rest.ConnectTokenCreateReq) { r.MaxLifetimeInSeconds = &seconds }, "maxLifetimeInSeconds",
			"must be between 1 and 86400",
		},
		"that would live forever": {
			func(r *rest.ConnectTokenCreateReq) { forever := int32(86401); r.MaxLifetimeInSeconds = &forever },
			"maxLifetimeInSeconds", "must be between 1 and 86400",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			req := tokenReq(st.Project.ID, rest.ConnectTokenTypePasskeyAppend)
			c.change(&req.Body)
			_, err := st.CreateConnectToken(t.Context(), req)
			ceremonytest.WantField(t, err, 400, c.field, c.message)
		})
	}
	for _, kind := range []rest.ConnectTokenType{
		rest.ConnectTokenTypePasskeyDelete, rest.ConnectTokenTypePasskeyList, rest.ConnectTokenTypePasskeyLogin,
	} {
		req := tokenReq(st.Project.ID, kind)
		req.Body.Data.DisplayName = nil
		lifetime := int32(60)
		req.Body.MaxLifetimeInSeconds = &lifetime
		if made, err := st.CreateConnectToken(
			t.Context(), req,
		); err != nil || made.Data.DisplayName != nil ||
			made.Expires != ceremonytest.Started.Unix()+60 {
			t.Errorf("%s: %+v, %v", kind, made, err)
		}
	}
}

func TestTheStatusOfAConnectTokenOnlyMovesOn(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	id := connectToken(t, st, rest.ConnectTokenTypePasskeyLogin).ID
	for _, status := range []rest.ConnectTokenStatus{
		rest.ConnectTokenStatusInitial, rest.ConnectTokenStatusConsumed, rest.ConnectTokenStatusConsumed,
	} {
		if err := patchToken(st, id, status); err != nil {
			t.Errorf("to %s: %v", status, err)
		}
	}
	ceremonytest.WantField(t, patchToken(st, id, rest.ConnectTokenStatusInitial), 400, "status", "cannot go back from consumed to initial")
	ceremonytest.WantField(t, patchToken(st, id, "spent"), 400, "status", "must be a valid value")

	deletion := service.ForProject[ident.ConnectTokenID]{Project: st.Project.ID, Body: ident.ConnectTokenID(id)}
	elsewhere := deletion
	elsewhere.Project = ident.NewProjectID()
	_, err := st.DeleteConnectToken(t.Context(), elsewhere)
	ceremonytest.WantField(t, err, 400, "connectTokenID", "does not exist")
	if _, err := st.DeleteConnectToken(t.Context(), deletion); err != nil {
		t.Fatal(err)
	}
	_, err = st.DeleteConnectToken(t.Context(), deletion)
	ceremonytest.WantField(t, err, 400, "connectTokenID", "does not exist")
	ceremonytest.WantField(t, patchToken(st, id, rest.ConnectTokenStatusConsumed), 400, "connectTokenID", "does not exist")
	ceremonytest.WantField(t, patchToken(st, "ctk-1.*", rest.ConnectTokenStatusConsumed), 400, "connectTokenID", "does not exist")
}

func TestARepeatedCreationFindsTheConnectToken(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	ctx := reqctx.WithSeed(t.Context(), ident.NewSeed())
	req := tokenReq(st.Project.ID, rest.ConnectTokenTypePasskeyLogin)
	first, err := st.CreateConnectToken(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	st.Clock.Advance(time.Second)
	again, err := st.CreateConnectToken(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error(diff)
	}
	// The seed is stored with the answers of calls; the secret must not follow from it alone.
	elsewhere := ceremonytest.New(t)
	other, err := elsewhere.CreateConnectToken(ctx, tokenReq(elsewhere.Project.ID, rest.ConnectTokenTypePasskeyLogin))
	if err != nil || *other.Secret == *first.Secret {
		t.Errorf("another project's secret is the same: %v", err)
	}
}

func TestAConnectTokenIsRedeemedOnce(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	store := connecttoken.NewStore(st.Buckets.Tokens)
	made := connectToken(t, st, rest.ConnectTokenTypePasskeyList)
	redeem := func(project ident.ProjectID, secret string, kind rest.ConnectTokenType, now time.Time) error {
		_, err := store.Redeem(t.Context(), project, secret, kind, now)
		return err
	}
	refused := map[string]struct {
		err  error
		want error
	}{
		"another secret": {
			redeem(st.Project.ID, "ctk1_"+ident.Alphanumeric(30), rest.ConnectTokenTypePasskeyList, ceremonytest.Started),
			connecttoken.ErrUnknown,
		},
		"no secret": {redeem(st.Project.ID, "", rest.ConnectTokenTypePasskeyList, ceremonytest.Started), connecttoken.ErrUnknown},
		"the ID":    {redeem(st.Project.ID, made.ID, rest.ConnectTokenTypePasskeyList, ceremonytest.Started), connecttoken.ErrUnknown},
		"another project": {
			redeem(ident.NewProjectID(), *made.Secret, rest.ConnectTokenTypePasskeyList, ceremonytest.Started),
			connecttoken.ErrUnknown,
		},
		"another purpose": {
			redeem(st.Project.ID, *made.Secret, rest.ConnectTokenTypePasskeyDelete, ceremonytest.Started), connecttoken.ErrType,
		},
		"after it's expired": {
			redeem(st.Project.ID, *made.Secret, rest.ConnectTokenTypePasskeyList, ceremonytest.Started.Add(time.Hour)),
			connecttoken.ErrExpired,
		},
	}
	for name, c := range refused {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	var (
		wait      sync.WaitGroup
		succeeded atomic.Int32
	)
	for range 20 {
		wait.Go(func() {
			token, err := store.Redeem(context.Background(), st.Project.ID, *made.Secret, rest.ConnectTokenTypePasskeyList, ceremonytest.Started)
			switch {
			case err == nil && string(token.ID) == made.ID && token.Identifier == "ada@example.com":
				succeeded.Add(1)
			case !errors.Is(err, connecttoken.ErrUsed):
				t.Errorf("%+v, %v", token, err)
			}
		})
	}
	wait.Wait()
	if succeeded.Load() != 1 {
		t.Errorf("%d redemptions succeeded", succeeded.Load())
	}
	ceremonytest.WantField(
		t, patchToken(st, made.ID, rest.ConnectTokenStatusInitial), 400, "status", "cannot go back from consumed to initial",
	)
}

func TestConnectTokensAreNotAcknowledgedWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	tokens := &faulty.Bucket{KeyValue: b.Tokens}
	b.Tokens = tokens
	st := ceremonytest.NewOn(t, b)
	id := connectToken(t, st, rest.ConnectTokenTypePasskeyLogin).ID
	calls := map[string]func() error{
		"creation": func() error {
			tokens.FailCreates(1)
			_, err := st.CreateConnectToken(t.Context(), tokenReq(st.Project.ID, rest.ConnectTokenTypePasskeyLogin))
			return err
		},
		"change": func() error {
			tokens.FailUpdates(1)
			return patchToken(st, id, rest.ConnectTokenStatusConsumed)
		},
		"deletion": func() error {
			tokens.FailPurges(1)
			_, err := st.DeleteConnectToken(t.Context(), service.ForProject[ident.ConnectTokenID]{
				Project: st.Project.ID, Body: ident.ConnectTokenID(id),
			})
			return err
		},
	}
	for name, call := range calls {
		if f := fault.As(call()); f.Status != 503 {
			t.Errorf("%s: %v", name, f)
		}
	}
}

package ceremony_test

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
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/connecttoken"
)

func tokenReq(project ident.ProjectID, kind rest.ConnectTokenType) service.ForProject[rest.ConnectTokenCreateReq] {
	name := "Ada"
	return service.ForProject[rest.ConnectTokenCreateReq]{Project: project, Body: rest.ConnectTokenCreateReq{
		Type: kind, Data: rest.ConnectTokenData{Identifier: "ada@example.com", DisplayName: &name},
	}}
}

func (st *stack) connectToken(tb testing.TB, kind rest.ConnectTokenType) rest.ConnectToken {
	tb.Helper()
	made, err := st.CreateConnectToken(tb.Context(), tokenReq(st.project.ID, kind))
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

func (st *stack) patchToken(id string, status rest.ConnectTokenStatus) error {
	_, err := st.UpdateConnectToken(context.Background(), service.ForProject[service.TokenPatch]{
		Project: st.project.ID, Body: service.TokenPatch{ID: ident.ConnectTokenID(id), Status: status},
	})
	return err
}

func TestTheSecretOfAConnectTokenIsShownOnceAndNotKept(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	made := st.connectToken(t, rest.ConnectTokenTypePasskeyAppend)
	if made.Secret == nil || !regexp.MustCompile(`^ctk1_[A-Za-z0-9]{30}$`).MatchString(*made.Secret) || !regexp.MustCompile(`^ctk-[0-9]{1,19}$`).MatchString(made.ID) {
		t.Fatalf("%+v", made)
	}
	secret := *made.Secret
	made.Secret = nil
	name := "Ada"
	want := rest.ConnectToken{
		ID: made.ID, TokenType: rest.ConnectTokenTypePasskeyAppend, ConnectTokenStatus: rest.ConnectTokenStatusInitial, Expires: started.Unix() + 3600,
		Data: rest.ConnectTokenData{Identifier: "ada@example.com", DisplayName: &name},
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Error(diff)
	}
	entry, err := st.buckets.tokens.Get(t.Context(), string(st.project.ID)+"."+made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if stored := string(entry.Value()); strings.Contains(stored, secret) || strings.Contains(stored, strings.TrimPrefix(secret, "ctk1_")) || strings.Contains(st.log.String(), secret) {
		t.Errorf("the secret is kept: %s", stored)
	}
}

func TestAConnectTokenIsChecked(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	blank, seconds := " ", int32(0)
	cases := map[string]struct {
		change         func(*rest.ConnectTokenCreateReq)
		field, message string
	}{
		"without a name to show":  {func(r *rest.ConnectTokenCreateReq) { r.Data.DisplayName = nil }, "data.displayName", "cannot be blank"},
		"with a blank name":       {func(r *rest.ConnectTokenCreateReq) { r.Data.DisplayName = &blank }, "data.displayName", "cannot be blank"},
		"without an identifier":   {func(r *rest.ConnectTokenCreateReq) { r.Data.Identifier = "" }, "data.identifier", "cannot be blank"},
		"without a type":          {func(r *rest.ConnectTokenCreateReq) { r.Type = "" }, "type", "cannot be blank"},
		"of an unknown type":      {func(r *rest.ConnectTokenCreateReq) { r.Type = "passkey" }, "type", "must be one of passkey-append, passkey-delete, passkey-list, passkey-login"},
		"that would never live":   {func(r *rest.ConnectTokenCreateReq) { r.MaxLifetimeInSeconds = &seconds }, "maxLifetimeInSeconds", "must be between 1 and 86400"},
		"that would live forever": {func(r *rest.ConnectTokenCreateReq) { forever := int32(86401); r.MaxLifetimeInSeconds = &forever }, "maxLifetimeInSeconds", "must be between 1 and 86400"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			req := tokenReq(st.project.ID, rest.ConnectTokenTypePasskeyAppend)
			c.change(&req.Body)
			_, err := st.CreateConnectToken(t.Context(), req)
			wantField(t, err, 400, c.field, c.message)
		})
	}
	for _, kind := range []rest.ConnectTokenType{rest.ConnectTokenTypePasskeyDelete, rest.ConnectTokenTypePasskeyList, rest.ConnectTokenTypePasskeyLogin} {
		req := tokenReq(st.project.ID, kind)
		req.Body.Data.DisplayName = nil
		lifetime := int32(60)
		req.Body.MaxLifetimeInSeconds = &lifetime
		if made, err := st.CreateConnectToken(t.Context(), req); err != nil || made.Data.DisplayName != nil || made.Expires != started.Unix()+60 {
			t.Errorf("%s: %+v, %v", kind, made, err)
		}
	}
}

func TestTheStatusOfAConnectTokenOnlyMovesOn(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	id := st.connectToken(t, rest.ConnectTokenTypePasskeyLogin).ID
	for _, status := range []rest.ConnectTokenStatus{rest.ConnectTokenStatusInitial, rest.ConnectTokenStatusConsumed, rest.ConnectTokenStatusConsumed} {
		if err := st.patchToken(id, status); err != nil {
			t.Errorf("to %s: %v", status, err)
		}
	}
	wantField(t, st.patchToken(id, rest.ConnectTokenStatusInitial), 400, "status", "cannot go back from consumed to initial")
	wantField(t, st.patchToken(id, "spent"), 400, "status", "must be one of initial, consumed")

	deletion := service.ForProject[ident.ConnectTokenID]{Project: st.project.ID, Body: ident.ConnectTokenID(id)}
	elsewhere := deletion
	elsewhere.Project = ident.NewProjectID()
	_, err := st.DeleteConnectToken(t.Context(), elsewhere)
	wantField(t, err, 400, "connectTokenID", "does not exist")
	if _, err := st.DeleteConnectToken(t.Context(), deletion); err != nil {
		t.Fatal(err)
	}
	_, err = st.DeleteConnectToken(t.Context(), deletion)
	wantField(t, err, 400, "connectTokenID", "does not exist")
	wantField(t, st.patchToken(id, rest.ConnectTokenStatusConsumed), 400, "connectTokenID", "does not exist")
	wantField(t, st.patchToken("ctk-1.*", rest.ConnectTokenStatusConsumed), 400, "connectTokenID", "does not exist")
}

func TestARepeatedCreationFindsTheConnectToken(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	ctx := reqctx.WithSeed(t.Context(), ident.NewSeed())
	req := tokenReq(st.project.ID, rest.ConnectTokenTypePasskeyLogin)
	first, err := st.CreateConnectToken(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	st.clock.advance(time.Second)
	again, err := st.CreateConnectToken(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error(diff)
	}
	// The seed is stored with the answers of calls; the secret must not follow from it alone.
	elsewhere := newStack(t)
	other, err := elsewhere.CreateConnectToken(ctx, tokenReq(elsewhere.project.ID, rest.ConnectTokenTypePasskeyLogin))
	if err != nil || *other.Secret == *first.Secret {
		t.Errorf("another project's secret is the same: %v", err)
	}
}

func TestAConnectTokenIsRedeemedOnce(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	store := connecttoken.NewStore(st.buckets.tokens)
	made := st.connectToken(t, rest.ConnectTokenTypePasskeyList)
	redeem := func(project ident.ProjectID, secret string, kind rest.ConnectTokenType, now time.Time) error {
		_, err := store.Redeem(t.Context(), project, secret, kind, now)
		return err
	}
	refused := map[string]struct {
		err  error
		want error
	}{
		"another secret":     {redeem(st.project.ID, "ctk1_"+ident.Alphanumeric(30), rest.ConnectTokenTypePasskeyList, started), connecttoken.ErrUnknown},
		"no secret":          {redeem(st.project.ID, "", rest.ConnectTokenTypePasskeyList, started), connecttoken.ErrUnknown},
		"the ID":             {redeem(st.project.ID, made.ID, rest.ConnectTokenTypePasskeyList, started), connecttoken.ErrUnknown},
		"another project":    {redeem(ident.NewProjectID(), *made.Secret, rest.ConnectTokenTypePasskeyList, started), connecttoken.ErrUnknown},
		"another purpose":    {redeem(st.project.ID, *made.Secret, rest.ConnectTokenTypePasskeyDelete, started), connecttoken.ErrType},
		"after it's expired": {redeem(st.project.ID, *made.Secret, rest.ConnectTokenTypePasskeyList, started.Add(time.Hour)), connecttoken.ErrExpired},
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
			token, err := store.Redeem(context.Background(), st.project.ID, *made.Secret, rest.ConnectTokenTypePasskeyList, started)
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
	wantField(t, st.patchToken(made.ID, rest.ConnectTokenStatusInitial), 400, "status", "cannot go back from consumed to initial")
}

func TestConnectTokensAreNotAcknowledgedWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	b := openBuckets(t)
	tokens := &faulty{KeyValue: b.tokens}
	b.tokens = tokens
	st := newStackOn(t, b)
	id := st.connectToken(t, rest.ConnectTokenTypePasskeyLogin).ID
	calls := map[string]func() error{
		"creation": func() error {
			tokens.failCreates(1)
			_, err := st.CreateConnectToken(t.Context(), tokenReq(st.project.ID, rest.ConnectTokenTypePasskeyLogin))
			return err
		},
		"change": func() error {
			tokens.failUpdates(1)
			return st.patchToken(id, rest.ConnectTokenStatusConsumed)
		},
		"deletion": func() error {
			tokens.failPurges(1)
			_, err := st.DeleteConnectToken(t.Context(), service.ForProject[ident.ConnectTokenID]{Project: st.project.ID, Body: ident.ConnectTokenID(id)})
			return err
		},
	}
	for name, call := range calls {
		if f := fault.As(call()); f.Status != 503 {
			t.Errorf("%s: %v", name, f)
		}
	}
}

package operators_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/operators"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ttl = 5 * time.Minute

// world is a bucket of operators, with two instances of the gateway at it.
type world struct {
	*testing.T
	bucket      jetstream.KeyValue
	store       *operator.Store
	here, there *operators.Ceremonies
	now         time.Time
	mu          sync.Mutex // guards told
	told        []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	w := &world{T: t, now: time.UnixMilli(1_800_000_000_000)}
	if w.bucket, err = kv.Open(t.Context(), b.JS, bus.OperatorsBucket); err != nil {
		t.Fatal(err)
	}
	w.store, w.here = w.instance()
	_, w.there = w.instance()
	return w
}

// OperatorChanged notes what security events would tell.
func (w *world) OperatorChanged(_ context.Context, before, after *operator.Operator) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range audit.OperatorChanges(before, after) {
		w.told = append(w.told, string(e.Type))
	}
}

func (w *world) instance() (*operator.Store, *operators.Ceremonies) {
	w.Helper()
	s, err := operator.NewStore(w.Context(), w.bucket, slog.New(slog.DiscardHandler))
	if err != nil {
		w.Fatal(err)
	}
	s.TellTo(w)
	return s, operators.New(operators.Deps{
		Store: s, Console: operator.Console{URL: authenticator.Origin, RPID: authenticator.RPID}, ChallengeTTL: ttl,
		Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
	})
}

func (w *world) operator(name string) operator.Operator {
	w.Helper()
	o, _, err := operator.New(operator.Wanted{Name: name, Role: operator.Author, By: "keyward operator create"}, w.now)
	if err == nil {
		err = w.store.Create(w.Context(), o)
	}
	if err != nil {
		w.Fatal(err)
	}
	return o
}

// add adds a passkey of a device, which says from then on whose it is.
func (w *world) add(of operator.Operator, d *authenticator.Device) operator.Passkey {
	w.Helper()
	p, err := w.here.Add(w.Context(), of, "my key", w.created(of, d))
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func (w *world) created(of operator.Operator, d *authenticator.Device) string {
	w.Helper()
	options, err := w.here.AddOptions(w.Context(), of)
	if err != nil {
		w.Fatal(err)
	}
	for _, part := range []string{`"residentKey":"required"`, `"userVerification":"required"`, `"rp":{"name":"Keyward console"`} {
		if !strings.Contains(options.JSON, part) {
			w.Errorf("the options lack %s: %s", part, options.JSON)
		}
	}
	d.Options.UserHandle = []byte(of.ID)
	return d.Create(w, options.JSON)
}

func (w *world) asked() string {
	w.Helper()
	options, err := w.here.SignInOptions(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return options.JSON
}

func TestAPasskeySignsItsOperatorInOnWhateverInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, d := w.operator("Ada"), authenticator.SecurityKey()
	p := w.add(ada, d)
	for range 2 {
		by, err := w.there.SignIn(t.Context(), d.Get(t, w.asked()))
		if err != nil || by.ID != ada.ID || by.Role != operator.Author || by.With != p.ID {
			t.Fatalf("%+v, %v", by, err)
		}
	}
	stored, err := w.store.Find(t.Context(), ada.ID)
	if err != nil || len(stored.Passkeys) != 1 || stored.Passkeys[0].Name != "my key" {
		t.Fatalf("%+v, %v", stored, err)
	}
	text, _, err := w.store.Open(t.Context(), operator.Operator{ID: ada.ID, Name: "Ada", Role: ada.Role, With: p.ID}, time.Hour, w.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Resume(t.Context(), text, w.now); err != nil {
		t.Fatal(err)
	}
	if err := w.store.RemovePasskey(t.Context(), ada.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Resume(t.Context(), text, w.now); !errors.Is(err, operator.ErrSessionOver) {
		t.Errorf("the session that it began goes on without it: %v", err)
	}
	if _, err := w.there.SignIn(t.Context(), d.Get(t, w.asked())); !fault.Unauthenticated(err) {
		t.Errorf("it signs in after it was removed: %v", err)
	}
	if err := w.store.RemovePasskey(t.Context(), ada.ID, p.ID); !errors.Is(err, operator.ErrNoPasskey) {
		t.Errorf("it is removed twice: %v", err)
	}
	want := "[operator-created operator-passkey-added operator-signed-in operator-passkey-removed]"
	if got := fmt.Sprint(w.told); got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}

func TestARevokedOperatorsPasskeyIsDeadAtOnceOnEveryInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, d := w.operator("Ada"), authenticator.Phone()
	w.add(ada, d)
	if _, err := w.there.SignIn(t.Context(), d.Get(t, w.asked())); err != nil {
		t.Fatal(err)
	}
	answer := d.Get(t, w.asked())
	if _, err := w.store.Revoke(t.Context(), ada.ID, w.now); err != nil {
		t.Fatal(err)
	}
	// Nothing has told the other instance yet: it follows nothing.
	for name, at := range map[string]*operators.Ceremonies{"here": w.here, "there": w.there} {
		if by, err := at.SignIn(t.Context(), answer); !fault.Unauthenticated(err) {
			t.Errorf("%s it signs in %+v, %v", name, by, err)
		}
	}
}

func TestACopiedPasskeySignsNobodyIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, d := w.operator("Ada"), authenticator.SecurityKey()
	w.add(ada, d)
	d.Key.Counter = 10
	clone := *d
	if _, err := w.here.SignIn(t.Context(), d.Get(t, w.asked())); err != nil {
		t.Fatal(err)
	}
	if _, err := w.there.SignIn(t.Context(), clone.Get(t, w.asked())); !errors.Is(err, operator.ErrCopied) {
		t.Errorf("the copy: %v", err)
	}
	if _, err := w.here.SignIn(t.Context(), d.Get(t, w.asked())); !errors.Is(err, operator.ErrCopied) {
		t.Errorf("which of the two is right nobody knows: %v", err)
	}
	if got := fmt.Sprint(w.told); got != "[operator-created operator-passkey-added operator-passkey-copied]" {
		t.Errorf("told %s", got)
	}
}

// rewritten changes the client data, which the signature is over.
func rewritten(w *world, answer string, change func(map[string]any)) string {
	return authenticator.Edit(w, answer, func(_, response map[string]any) {
		raw, err := base64.RawURLEncoding.DecodeString(response["clientDataJSON"].(string))
		var data map[string]any
		if err == nil {
			err = json.Unmarshal(raw, &data)
		}
		if err != nil {
			w.Fatal(err)
		}
		change(data)
		if raw, err = json.Marshal(data); err != nil {
			w.Fatal(err)
		}
		response["clientDataJSON"] = base64.RawURLEncoding.EncodeToString(raw)
	})
}

func TestAnAttackOnASignInIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, bob := w.operator("Ada"), w.operator("Bob")
	d, bobs := authenticator.Phone(), authenticator.Phone()
	w.add(ada, d)
	w.add(bob, bobs)
	replayed := d.Get(t, w.asked())
	if _, err := w.here.SignIn(t.Context(), replayed); err != nil {
		t.Fatal(err)
	}
	if by, err := w.there.SignIn(t.Context(), replayed); !errors.Is(err, operator.ErrSpent) {
		t.Errorf("a replayed answer signs in %v, %v", by, err)
	}
	late := d.Get(t, w.asked())
	w.now = w.now.Add(ttl)
	for name, c := range map[string]struct {
		answer func() string
		why    string
	}{
		"an answer that is late":   {func() string { return late }, "too late"},
		"at another origin":        {func() string { e := *d; e.Origin += ".evil.net"; return e.Get(t, w.asked()) }, "origin"},
		"at a neighbouring origin": {func() string { e := *d; e.Origin = "https://shop.example.com"; return e.Get(t, w.asked()) }, "origin"},
		"for another RP":           {func() string { e := *d; e.RPID = "evil.net"; return e.Get(t, w.asked()) }, "RP ID"},
		"without user verification": {func() string {
			e := *d
			e.Options.UserNotVerified = true
			return e.Get(t, w.asked())
		}, "verif"},
		"without presence": {func() string {
			e := *d
			e.Options.UserNotPresent = true
			return e.Get(t, w.asked())
		}, "presen"},
		"another operator's credential": {func() string {
			e := *bobs
			e.Options.UserHandle = []byte(ada.ID)
			return e.Get(t, w.asked())
		}, "none of an operator's"},
		"another's key under the right ID": {func() string {
			e := *d
			e.Key.Key = bobs.Key.Key
			return e.Get(t, w.asked())
		}, "signature"},
		"nobody's handle": {func() string {
			e := *d
			e.Options.UserHandle = []byte("opr-1")
			return e.Get(t, w.asked())
		}, "none of an operator's"},
		"a handle of something else": {func() string {
			e := *d
			e.Options.UserHandle = []byte("*")
			return e.Get(t, w.asked())
		}, "none of an operator's"},
		"a challenge of its own": {func() string {
			return rewritten(w, d.Get(t, w.asked()), func(data map[string]any) { data["challenge"] = "AAAA" })
		}, "no challenge that was given out"},
		"a challenge that lasts for longer": {func() string {
			answer := d.Get(t, w.asked())
			return rewritten(w, answer, func(data map[string]any) {
				raw, err := base64.RawURLEncoding.DecodeString(data["challenge"].(string))
				if err != nil {
					t.Fatal(err)
				}
				raw[16] ^= 1
				data["challenge"] = base64.RawURLEncoding.EncodeToString(raw)
			})
		}, "no challenge that was given out"},
		"a challenge for a creation": {func() string {
			options, err := w.here.AddOptions(t.Context(), ada)
			if err != nil {
				t.Fatal(err)
			}
			challenge := authenticator.ChallengeIn(t, options.JSON)
			return d.Get(t, `{"publicKey":{"challenge":"`+challenge+`","rpId":"`+authenticator.RPID+`"}}`)
		}, "no challenge that was given out"},
		"no answer":  {func() string { return "{}" }, "type"},
		"a creation": {func() string { return w.created(ada, authenticator.Phone()) }, "authenticatorData"},
	} {
		by, err := w.here.SignIn(t.Context(), c.answer())
		if err == nil || fault.OfServer(err) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s signs in %v: %v, want %s", name, by, err, c.why)
		}
	}
	if _, err := w.here.SignIn(t.Context(), d.Get(t, w.asked())); err != nil {
		t.Errorf("the right one, after all that: %v", err)
	}
}

func TestAnAttackOnACreationIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, bob := w.operator("Ada"), w.operator("Bob")
	device := authenticator.Phone()
	replayed := w.created(ada, device)
	if _, err := w.here.Add(t.Context(), ada, "one", replayed); err != nil {
		t.Fatal(err)
	}
	changed := func(change func(*authenticator.Device)) func() string {
		return func() string {
			e := authenticator.Phone()
			change(e)
			return w.created(ada, e)
		}
	}
	for name, c := range map[string]struct {
		of     operator.Operator
		name   string
		answer func() string
		why    string
	}{
		"another's challenge":   {bob, "x", changed(func(*authenticator.Device) {}), "no challenge that was given out"},
		"a replayed answer":     {ada, "x", func() string { return replayed }, "already"},
		"at another origin":     {ada, "x", changed(func(d *authenticator.Device) { d.Origin = "https://evil.net" }), "origin"},
		"for another RP":        {ada, "x", changed(func(d *authenticator.Device) { d.RPID = "evil.net" }), "RP ID"},
		"without verification":  {ada, "x", changed(func(d *authenticator.Device) { d.Options.UserNotVerified = true }), "verif"},
		"without a name":        {ada, " ", changed(func(*authenticator.Device) {}), "name"},
		"with a name of lines":  {ada, "a\nb", changed(func(*authenticator.Device) {}), "name"},
		"of a passkey there is": {bob, "x", func() string { return w.created(bob, device) }, "already"},
		"with a sign-in":        {ada, "x", func() string { return device.Get(t, w.asked()) }, "attestationObject"},
	} {
		_, err := w.here.Add(t.Context(), c.of, c.name, c.answer())
		if err == nil || fault.OfServer(err) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("a creation %s: %v, want %s", name, err, c.why)
		}
	}
	for range 9 {
		w.add(ada, authenticator.Phone())
	}
	_, err := w.here.Add(t.Context(), ada, "x", w.created(ada, authenticator.Phone()))
	if err == nil || !strings.Contains(err.Error(), "10 passkeys") {
		t.Errorf("the eleventh: %v", err)
	}
}

// Of answers to one challenge that come at the same moment, to whatever instances, one is taken.
func TestAChallengeIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, d := w.operator("Ada"), authenticator.Phone()
	w.add(ada, d)
	answer := d.Get(t, w.asked())
	var wait sync.WaitGroup
	taken := make(chan error, 8)
	for i := range cap(taken) {
		at := w.here
		if i%2 == 0 {
			at = w.there
		}
		wait.Go(func() {
			_, err := at.SignIn(t.Context(), answer)
			taken <- err
		})
	}
	wait.Wait()
	close(taken)
	signedIn := 0
	for err := range taken {
		switch {
		case err == nil:
			signedIn++
		case !errors.Is(err, operator.ErrSpent):
			t.Error(err)
		}
	}
	if signedIn != 1 {
		t.Errorf("it signs in %d times", signedIn)
	}
}

// Whom an identity provider knows has a record for the passkey alone, and no token.
func TestSomebodyWhomAProviderKnowsAddsAPasskey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	member := operator.Member{Issuer: "https://idp.example.com", Group: "security", SaidMs: w.now.UnixMilli()}
	eve := operator.Operator{ID: ident.NewOperatorID(), Name: "Eve", Role: operator.Viewer, Outside: true, Member: &member}
	d := authenticator.Phone()
	p := w.add(eve, d)
	by, err := w.there.SignIn(t.Context(), d.Get(t, w.asked()))
	if err != nil || by.ID != eve.ID || !by.Outside || *by.Member != member || by.With != p.ID {
		t.Fatalf("%+v, %v", by, err)
	}
	text, _, err := w.store.Open(t.Context(), by, time.Hour, w.now)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := w.store.Resume(t.Context(), text, w.now); err != nil || got.ID != eve.ID || *got.Member != member {
		t.Errorf("the session is of %+v, %v", got, err)
	}
	later := member
	later.SaidMs++
	eve.Role, eve.Member = operator.Admin, &later
	if err := w.store.Remember(t.Context(), eve); err != nil {
		t.Fatal(err)
	}
	if by, err = w.here.SignIn(t.Context(), d.Get(t, w.asked())); err != nil || by.Role != operator.Admin || *by.Member != later {
		t.Errorf("what the provider said last is %+v, %v", by, err)
	}
	if err := w.store.Remember(t.Context(), operator.Operator{ID: "opr-2", Member: &member}); err != nil {
		t.Errorf("of whom there is no record: %v", err)
	}
	token := (operator.Token{ID: eve.ID, Secret: strings.Repeat("A", 26)}).Text()
	if _, err := w.store.Authenticate(t.Context(), token, w.now); !errors.Is(err, operator.ErrWrong) {
		t.Errorf("a token: %v", err)
	}
	if _, err := w.store.Revoke(t.Context(), eve.ID, w.now); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Resume(t.Context(), text, w.now); !errors.Is(err, operator.ErrSessionOver) {
		t.Errorf("the session outlives the record: %v", err)
	}
	forgotten := eve
	forgotten.ID, forgotten.Member = ident.NewOperatorID(), nil
	if _, err := w.here.Add(t.Context(), forgotten, "x", w.created(forgotten, authenticator.Phone())); !fault.Unauthenticated(err) {
		t.Errorf("in a session that does not say what the provider said: %v", err)
	}
}

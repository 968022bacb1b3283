package signing_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/ceremony/signing"
)

var storage *bus.Bus

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "signing")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.SyncInterval = dir, time.Minute
	storage, err = bus.Open(context.Background(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	storage.Close()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

const maxAge = 90 * 24 * time.Hour

var started = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// clock is the time of a test, with the bucket of all its instances: maintenance by one test's clock must not age another's keys.
type clock struct {
	kv jetstream.KeyValue

	mu   sync.Mutex
	now  time.Time
	told []audit.Event
}

// Add implements signing.Audit.
func (c *clock) Add(_ context.Context, events ...audit.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, events...)
}

func newClock(tb testing.TB) *clock {
	tb.Helper()
	kv, err := storage.JS.CreateKeyValue(tb.Context(), jetstream.KeyValueConfig{Bucket: "keys-" + ident.Alphanumeric(20)})
	if err != nil {
		tb.Fatal(err)
	}
	return &clock{kv: kv, now: started}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func open(tb testing.TB, c *clock) *signing.Store {
	tb.Helper()
	s, err := signing.Open(tb.Context(), signing.Deps{
		Bucket: c.kv, MaxAge: maxAge, Now: c.Now, Log: slog.New(slog.DiscardHandler), Audit: c,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// running is an instance that follows what the others do.
func running(t *testing.T, c *clock) *signing.Store {
	t.Helper()
	s := open(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wait.Wait()
	})
	return s
}

func sign(tb testing.TB, s *signing.Store, project ident.ProjectID) string {
	tb.Helper()
	token, err := s.Sign(tb.Context(), project, map[string]any{"sub": "usr-1"})
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func verifies(tb testing.TB, s *signing.Store, project ident.ProjectID, token string) bool {
	tb.Helper()
	payload, err := s.Verify(tb.Context(), project, token)
	switch {
	case err == nil:
		if string(payload) != `{"sub":"usr-1"}` {
			tb.Errorf("payload: %s", payload)
		}
		return true
	case errors.Is(err, signing.ErrSignature):
		return false
	default:
		tb.Fatal(err)
		return false
	}
}

func keySet(tb testing.TB, s *signing.Store, project ident.ProjectID) jwk.Set {
	tb.Helper()
	raw, err := s.Public(tb.Context(), project)
	if err != nil {
		tb.Fatal(err)
	}
	set, err := jwk.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

func states(tb testing.TB, s *signing.Store, project ident.ProjectID, now time.Time) []signing.State {
	tb.Helper()
	keys, err := s.List(tb.Context(), project)
	if err != nil {
		tb.Fatal(err)
	}
	var all []signing.State
	for i := range keys {
		all = append(all, keys.StateOf(i, now))
	}
	return all
}

// keyID returns the kid of a token.
func keyID(tb testing.TB, token string) string {
	tb.Helper()
	message, err := jws.Parse([]byte(token))
	if err != nil {
		tb.Fatal(err)
	}
	id, _ := message.Signatures()[0].ProtectedHeaders().KeyID()
	return id
}

func TestTheKeySetHoldsPublicPartsOnly(t *testing.T) {
	t.Parallel()
	s, project := open(t, newClock(t)), ident.NewProjectID()
	token := sign(t, s, project)
	raw, err := s.Public(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(raw, &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%s: %v", raw, err)
	}
	key := set.Keys[0]
	if len(key["n"]) != 342 || key["kid"] != keyID(t, token) || !strings.HasPrefix(key["kid"], "pki-") {
		t.Errorf("key: %v", key)
	}
	delete(key, "n")
	delete(key, "kid")
	if diff := cmp.Diff(map[string]string{"kty": "RSA", "e": "AQAB", "alg": "RS256", "use": "sig"}, key); diff != "" {
		t.Error(diff)
	}
	keys, err := s.List(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprintf("%v", keys), fmt.Sprintf("%+v", keys[0]), fmt.Sprintf("%x", keys[0].Private),
		fmt.Sprintf("%s", keys[0].Private),
	} {
		if !strings.Contains(text, "********") || len(text) > 300 {
			t.Errorf("a private key prints: %s", text)
		}
	}
}

func TestInstancesThatStartAtOnceAgreeOnTheFirstKey(t *testing.T) {
	t.Parallel()
	c, project := newClock(t), ident.NewProjectID()
	var (
		wait   sync.WaitGroup
		mu     sync.Mutex
		tokens []string
	)
	instances := []*signing.Store{open(t, c), open(t, c), open(t, c)}
	for _, s := range instances {
		for range 4 {
			wait.Go(func() {
				token := sign(t, s, project)
				mu.Lock()
				defer mu.Unlock()
				tokens = append(tokens, token)
			})
		}
	}
	wait.Wait()
	if n := len(states(t, instances[0], project, started)); n != 1 {
		t.Errorf("there are %d keys", n)
	}
	for _, s := range instances {
		for _, token := range tokens {
			if !verifies(t, s, project, token) {
				t.Errorf("a token does not verify: %s", token)
			}
		}
	}
}

func TestKeysChangeByTheirAge(t *testing.T) {
	t.Parallel()
	c, project := newClock(t), ident.NewProjectID()
	s := open(t, c)
	first := sign(t, s, project)
	// Another instance, which keeps what it has read and follows nobody.
	other := open(t, c)

	steps := []struct {
		name    string
		after   time.Duration
		states  []signing.State
		signer  string // the key that signs: first or second
		accepts bool   // tokens of the first key
	}{
		{"before its time", maxAge - signing.Lead - time.Minute, []signing.State{signing.Active}, "first", true},
		{"the next key is published an hour before it signs", time.Minute, []signing.State{signing.Active, signing.Next}, "first", true},
		{"until then the first signs", signing.Lead - time.Minute, []signing.State{signing.Active, signing.Next}, "first", true},
		{"then the second", time.Minute, []signing.State{signing.Retired, signing.Active}, "second", true},
		{
			"the first is published while its tokens may live", signing.MaxLifetime,
			[]signing.State{signing.Retired, signing.Active}, "second", true,
		},
		{"and then gone", time.Hour, []signing.State{signing.Active}, "second", false},
	}
	var second string
	for _, step := range steps {
		c.advance(step.after)
		s.Maintain(t.Context())
		if diff := cmp.Diff(step.states, states(t, s, project, c.Now())); diff != "" {
			t.Fatalf("%s: %s", step.name, diff)
		}
		if n := keySet(t, s, project).Len(); n != len(step.states) {
			t.Errorf("%s: %d keys are published", step.name, n)
		}
		token := sign(t, s, project)
		if step.signer == "second" && second == "" {
			second = keyID(t, token)
		}
		if want := map[string]string{"first": keyID(t, first), "second": second}[step.signer]; keyID(t, token) != want {
			t.Errorf("%s: signed by %s, not the %s, %s", step.name, keyID(t, token), step.signer, want)
		}
		for name, instance := range map[string]*signing.Store{"this": s, "the other": other} {
			if !verifies(t, instance, project, token) {
				t.Errorf("%s: %s instance does not know the key that signs", step.name, name)
			}
			if verifies(t, instance, project, first) != step.accepts {
				t.Errorf("%s: %s instance accepts a token of the first key: %v", step.name, name, !step.accepts)
			}
		}
	}
	if second == keyID(t, first) {
		t.Error("there was no second key")
	}
	want := []audit.Event{
		{Type: audit.SigningKeyCreated, Project: project, SigningKey: ident.KeyID(keyID(t, first))},
		{Type: audit.SigningKeyRotated, Project: project, SigningKey: ident.KeyID(second)},
	}
	if diff := cmp.Diff(want, c.told); diff != "" {
		t.Errorf("it is told as %s", diff)
	}
}

func TestAKeyIsRotatedByHand(t *testing.T) {
	t.Parallel()
	c, project := newClock(t), ident.NewProjectID()
	s, other := open(t, c), running(t, c)
	first := sign(t, s, project)

	if keys, err := s.Rotate(t.Context(), project, false); err != nil || len(keys) != 2 || keys.StateOf(1, c.Now()) != signing.Next {
		t.Fatalf("rotated: %v, %v", keys, err)
	}
	if keys, err := s.Rotate(t.Context(), project, false); err != nil || len(keys) != 2 {
		t.Errorf("rotated again: %v, %v", keys, err)
	}
	if token := sign(t, s, project); keyID(t, token) != keyID(t, first) {
		t.Error("the next key signs before its time")
	}
	keys, err := s.Rotate(t.Context(), project, true)
	if err != nil || len(keys) != 2 {
		t.Fatalf("rotated at once: %v, %v", keys, err)
	}
	if token := sign(
		t, s, project,
	); keyID(t, token) != string(keys[1].ID) || !verifies(t, other, project, token) ||
		!verifies(t, other, project, first) {
		t.Error("the key that was published already does not sign, or a token does not verify")
	}
	for keyID(t, sign(t, other, project)) != string(keys[1].ID) {
		if t.Context().Err() != nil {
			t.Fatal("the other instance did not follow")
		}
	}

	for range 14 {
		if _, err := s.Rotate(t.Context(), project, true); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Rotate(t.Context(), project, true); !errors.Is(err, signing.ErrTooMany) {
		t.Errorf("the seventeenth key: %v", err)
	}
}

func TestKeysOutliveTheProcess(t *testing.T) {
	t.Parallel()
	c, project := newClock(t), ident.NewProjectID()
	token := sign(t, open(t, c), project)
	again := open(t, c)
	if !verifies(t, again, project, token) || keyID(t, sign(t, again, project)) != keyID(t, token) {
		t.Error("the key is lost")
	}
}

func TestKeysOfADeletedProjectAreForgotten(t *testing.T) {
	t.Parallel()
	c, project := newClock(t), ident.NewProjectID()
	s := running(t, c)
	token := sign(t, s, project)
	if err := c.kv.Purge(t.Context(), string(project)); err != nil {
		t.Fatal(err)
	}
	for verifies(t, s, project, token) {
		if t.Context().Err() != nil {
			t.Fatal("the key is still accepted")
		}
	}
	if other := sign(t, s, project); keyID(t, other) == keyID(t, token) || !verifies(t, s, project, other) {
		t.Error("a new key was not made")
	}
}

func TestAKeyThatSomebodyElseMayHaveIsRemoved(t *testing.T) {
	t.Parallel()
	c, project := newClock(t), ident.NewProjectID()
	s, other := open(t, c), running(t, c)
	token := sign(t, s, project)
	leaked := ident.KeyID(keyID(t, token))
	if err := s.Remove(t.Context(), project, leaked); !errors.Is(err, signing.ErrActiveKey) {
		t.Errorf("removing the key that signs: %v", err)
	}
	if _, err := s.Rotate(t.Context(), project, true); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), project, leaked); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), project, leaked); !errors.Is(err, signing.ErrUnknownKey) {
		t.Errorf("removing it again: %v", err)
	}
	if verifies(t, s, project, token) {
		t.Error("what it signed is still accepted")
	}
	for verifies(t, other, project, token) {
		if t.Context().Err() != nil {
			t.Fatal("another instance still accepts what it signed")
		}
	}
	if _, found := keySet(t, s, project).LookupKeyID(string(leaked)); found || !verifies(t, s, project, sign(t, s, project)) {
		t.Error("the key is still published, or its successor does not sign")
	}
}

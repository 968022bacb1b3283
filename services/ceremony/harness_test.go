package ceremony_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony"
	"github.com/keyward/keyward/services/ceremony/signing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// storage is one embedded NATS for all tests of the package; each test has projects of its own. lists is one read model of it.
var (
	storage *bus.Bus
	lists   *ceremony.Lists
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	dir, err := os.MkdirTemp("", "ceremony")
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
	stop, err := runLists()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	stop()
	storage.Close()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// runLists opens the read model; stop ends it.
func runLists() (stop func(), err error) {
	lists, err = ceremony.OpenLists(ceremony.ListsDeps{
		JetStream: storage.JS, Now: time.Now, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = lists.Run(ctx)
	}()
	return func() {
		cancel()
		<-ended
		_ = lists.Close()
	}, nil
}

const (
	origin  = "https://login.example.com"
	rpID    = "example.com"
	process = "prc-1"
)

var started = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// stack is the service with everything around it.
type stack struct {
	*ceremony.Service
	project  project.Project
	projects *projects
	accounts *account.Store
	decision *decision
	events   *events
	clock    *clock
	delivery *courier
	buckets  buckets
	signing  *signing.Store
	keys     *keyring.Store
	log      *syncBuffer
	registry *prometheus.Registry
}

type buckets struct{ accounts, challenges, marks, index, names, sessions, sessionIDs, tokens, codes, spent, processes, keys, roots jetstream.KeyValue }

func openBuckets(tb testing.TB) buckets {
	tb.Helper()
	return openBucketsOf(tb, storage)
}

func openBucketsOf(tb testing.TB, storage *bus.Bus) buckets {
	tb.Helper()
	open := func(name string) jetstream.KeyValue {
		kv, err := storage.Bucket(tb.Context(), name)
		if err != nil {
			tb.Fatal(err)
		}
		return kv
	}
	return buckets{
		accounts: open(bus.AccountsBucket), challenges: open(bus.ChallengesBucket), marks: open(bus.MarksBucket), index: open(bus.CredentialsBucket),
		names:    open(bus.IdentifiersBucket),
		sessions: open(bus.SessionsBucket), sessionIDs: open(bus.SessionIndexBucket), tokens: open(bus.TokensBucket), codes: open(bus.CodesBucket), spent: open(bus.SpentBucket), processes: open(bus.ProcessesBucket), keys: open(bus.KeysBucket),
		roots: open(bus.ProjectKeysBucket),
	}
}

func newStack(tb testing.TB) *stack {
	tb.Helper()
	return newStackOn(tb, openBuckets(tb))
}

func newStackOn(tb testing.TB, b buckets) *stack {
	tb.Helper()
	return newStackWith(tb, b, account.NewStore(b.accounts))
}

func newStackWith(tb testing.TB, b buckets, accounts *account.Store) *stack {
	tb.Helper()
	offers, err := eventlog.NewLog(tb.Context(), storage.JS)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := project.New(ident.NewProjectID(), "Shop", rpID, "Shop", []string{origin, "android:apk-key-hash:AAAA"}, project.NewSecret(), started)
	if err != nil {
		tb.Fatal(err)
	}
	// Nothing has to be verified, unless a test says so.
	p.Frontend.Identifiers = []project.IdentifierRule{{Type: account.IdentifierTypeEmail}, {Type: account.IdentifierTypeUsername}}
	st := &stack{
		project:  p,
		projects: &projects{known: map[ident.ProjectID]project.Project{p.ID: p}},
		accounts: accounts,
		decision: &decision{},
		events:   &events{offers: offers},
		clock:    &clock{now: started},
		delivery: &courier{},
		buckets:  b,
		log:      &syncBuffer{},
		registry: prometheus.NewRegistry(),
	}
	st.signing, err = signing.Open(tb.Context(), signing.Deps{
		Bucket: b.keys, MaxAge: ceremony.DefaultConfig().SigningKeyMaxAge, Now: st.clock.Now, Log: slog.New(slog.NewJSONHandler(st.log, nil)),
	})
	if err != nil {
		tb.Fatal(err)
	}
	st.keys, err = keyring.Open(tb.Context(), keyring.Deps{
		Bucket: b.roots, Keep: ceremony.DefaultConfig().HandleMaxAge, Now: st.clock.Now, Log: slog.New(slog.NewJSONHandler(st.log, nil)),
	})
	if err != nil {
		tb.Fatal(err)
	}
	if st.project.Ring, err = st.keys.Lookup(p.ID); err != nil {
		tb.Fatal(err)
	}
	st.Service, err = ceremony.New(ceremony.DefaultConfig(), st.deps(b))
	if err != nil {
		tb.Fatal(err)
	}
	return st
}

// deps is everything around the service, with the buckets given.
func (st *stack) deps(b buckets) ceremony.Deps {
	return ceremony.Deps{
		Projects: st.projects, Keys: st.keys, Accounts: st.accounts, Challenges: b.challenges, Marks: b.marks, Index: b.index, Names: b.names,
		Sessions: b.sessions, SessionIDs: b.sessionIDs, Tokens: b.tokens, Codes: b.codes, Delivery: st.delivery, Spent: b.spent, Processes: b.processes, Signing: st.signing, Events: st.events, Offers: st.events, Positions: st.events, Lists: lists, Decision: st.decision,
		AAGUIDs: names{}, ChallengeMaxAge: bus.DefaultConfig().ChallengeMaxAge, Now: st.clock.Now, Log: slog.New(slog.NewJSONHandler(st.log, nil)), Metrics: st.registry,
	}
}

// The calls, in short.

func (st *stack) user(tb testing.TB) ident.UserID {
	tb.Helper()
	u, err := st.CreateUser(tb.Context(), service.ForProject[rest.UserCreateReq]{Project: st.project.ID, Body: rest.UserCreateReq{Status: rest.UserStatusActive}})
	if err != nil {
		tb.Fatal(err)
	}
	return ident.UserID(u.UserID)
}

func (st *stack) appendStart(tb testing.TB, user ident.UserID, d *device) rest.PasskeyAppendStartRsp {
	tb.Helper()
	rsp, err := st.AppendStart(tb.Context(), service.ForProject[rest.PasskeyAppendStartReq]{Project: st.project.ID, Body: rest.PasskeyAppendStartReq{
		UserID: string(user), ProcessID: process, Username: "ada@example.com", ClientInformation: d.client(),
	}})
	if err != nil {
		tb.Fatal(err)
	}
	if rsp.Body.NewClientEnvHandle != nil {
		d.handle = *rsp.Body.NewClientEnvHandle
	}
	return rsp.Body
}

func (st *stack) appendFinish(tb testing.TB, user ident.UserID, d *device, answer string) (rest.PasskeyData, error) {
	tb.Helper()
	rsp, err := st.AppendFinish(tb.Context(), service.ForProject[rest.PasskeyAppendFinishReq]{Project: st.project.ID, Body: rest.PasskeyAppendFinishReq{
		UserID: string(user), ProcessID: process, AttestationResponse: answer, ClientInformation: d.client(),
	}})
	return rsp.PasskeyData, err
}

func (st *stack) enroll(tb testing.TB, user ident.UserID, d *device) rest.PasskeyData {
	tb.Helper()
	start := st.appendStart(tb, user, d)
	d.options.UserHandle = nil
	data, err := st.appendFinish(tb, user, d, d.create(tb, start.AttestationOptions))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func (st *stack) loginStart(tb testing.TB, user ident.UserID, d *device) rest.PasskeyLoginStartRsp {
	tb.Helper()
	rsp, err := st.LoginStart(tb.Context(), st.loginStartReq(user, d))
	if err != nil {
		tb.Fatal(err)
	}
	return rsp.Body
}

func (st *stack) loginStartReq(user ident.UserID, d *device) service.ForProject[rest.PasskeyLoginStartReq] {
	return service.ForProject[rest.PasskeyLoginStartReq]{Project: st.project.ID, Body: rest.PasskeyLoginStartReq{
		UserID: string(user), ProcessID: process, CrossDeviceAuthenticationStrategy: rest.CrossDeviceAuthenticationStrategyStandard, ClientInformation: d.client(),
	}}
}

func (st *stack) loginFinish(tb testing.TB, user ident.UserID, d *device, answer string) (rest.PasskeyData, error) {
	tb.Helper()
	rsp, err := st.LoginFinish(tb.Context(), st.loginFinishReq(user, d, answer))
	return rsp.PasskeyData, err
}

func (st *stack) loginFinishReq(user ident.UserID, d *device, answer string) service.ForProject[rest.PasskeyLoginFinishReq] {
	return service.ForProject[rest.PasskeyLoginFinishReq]{Project: st.project.ID, Body: rest.PasskeyLoginFinishReq{
		UserID: string(user), ProcessID: process, AssertionResponse: answer, ClientInformation: d.client(),
	}}
}

func (st *stack) mediationStart(tb testing.TB, d *device) rest.PasskeyMediationStartRsp {
	tb.Helper()
	id := process
	rsp, err := st.MediationStart(tb.Context(), service.ForProject[rest.PasskeyMediationStartReq]{Project: st.project.ID, Body: rest.PasskeyMediationStartReq{
		ProcessID: &id, ClientInformation: d.client(),
	}})
	if err != nil {
		tb.Fatal(err)
	}
	return rsp.Body
}

func (st *stack) mediationFinish(tb testing.TB, d *device, answer string) (rest.PasskeyMediationFinishRsp, error) {
	tb.Helper()
	return st.MediationFinish(tb.Context(), service.ForProject[rest.PasskeyMediationFinishReq]{Project: st.project.ID, Body: rest.PasskeyMediationFinishReq{
		ProcessID: process, AssertionResponse: answer, ClientInformation: d.client(),
	}})
}

func (st *stack) get(tb testing.TB, user ident.UserID) account.Account {
	tb.Helper()
	a, _, err := st.accounts.Get(tb.Context(), st.project.ID, user)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func (st *stack) challenges(tb testing.TB, user ident.UserID, filter ...string) []rest.PasskeyChallenge {
	tb.Helper()
	list, err := st.ListChallenges(tb.Context(), service.ForUser[service.List]{Project: st.project.ID, User: user, Body: service.List{Filter: filter}})
	if err != nil {
		tb.Fatal(err)
	}
	return list.PasskeyChallenges
}

// patiently does what clients do with a 503, which a busy machine has reason to answer: it calls again a while later.
func patiently[T any](tb testing.TB, call func() (T, error)) (T, error) {
	tb.Helper()
	for {
		answer, err := call()
		var f *fault.Fault
		if !errors.As(err, &f) || f.Status != http.StatusServiceUnavailable {
			return answer, err
		}
		select {
		case <-tb.Context().Done():
			return answer, err
		case <-time.After(f.RetryAfter):
		}
	}
}

// wantField checks that err is a fault of one field, with the status and message wanted.
func wantField(tb testing.TB, err error, status int, field, message string) {
	tb.Helper()
	var f *fault.Fault
	if !errors.As(err, &f) {
		tb.Fatalf("got %v, want a fault of %s: %s", err, field, message)
	}
	want := []fault.FieldError{{Field: field, Message: message}}
	if diff := cmp.Diff(want, f.Validation); diff != "" || f.Status != status {
		tb.Errorf("status %d, %s", f.Status, diff)
	}
}

// golden compares v as JSON with a file, IDs, challenges and handles aside.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw) + "\n"
	text = regexp.MustCompile(`(usr|cre|was|env|pke)-\d+`).ReplaceAllString(text, "$1-N")
	text = regexp.MustCompile(`ceh1_[A-Za-z0-9_-]+`).ReplaceAllString(text, "ceh1_HANDLE")
	text = regexp.MustCompile(`(\\?"(?:challenge|value|credentialID)\\?": ?\\?")[A-Za-z0-9_-]+`).ReplaceAllString(text, "${1}BYTES")
	text = regexp.MustCompile(`(\\"(?:type\\":\\"public-key\\",\\"id)\\":\\")[A-Za-z0-9_-]+`).ReplaceAllString(text, "${1}BYTES")
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(text, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// syncBuffer is a log that several goroutines may write to.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

package ceremony_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// storage is one embedded NATS for all tests of the package; each test has projects of its own.
var storage *bus.Bus

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
	code := m.Run()
	storage.Close()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
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
	buckets  buckets
	log      *syncBuffer
}

type buckets struct{ accounts, challenges, index jetstream.KeyValue }

func openBuckets(tb testing.TB) buckets {
	tb.Helper()
	open := func(name string) jetstream.KeyValue {
		kv, err := storage.Bucket(tb.Context(), name)
		if err != nil {
			tb.Fatal(err)
		}
		return kv
	}
	return buckets{accounts: open(bus.AccountsBucket), challenges: open(bus.ChallengesBucket), index: open(bus.CredentialsBucket)}
}

func newStack(tb testing.TB) *stack {
	tb.Helper()
	return newStackOn(tb, openBuckets(tb))
}

func newStackOn(tb testing.TB, b buckets) *stack {
	tb.Helper()
	p, err := project.New(ident.NewProjectID(), "Shop", rpID, "Shop", []string{origin, "android:apk-key-hash:AAAA"}, project.NewSecret(), started)
	if err != nil {
		tb.Fatal(err)
	}
	st := &stack{
		project:  p,
		projects: &projects{known: map[ident.ProjectID]project.Project{p.ID: p}},
		accounts: account.NewStore(b.accounts),
		decision: &decision{},
		events:   &events{},
		clock:    &clock{now: started},
		buckets:  b,
		log:      &syncBuffer{},
	}
	st.Service, err = ceremony.New(ceremony.DefaultConfig(), ceremony.Deps{
		Projects: st.projects, Accounts: st.accounts, Challenges: b.challenges, Index: b.index, Events: st.events, Offers: st.events, Decision: st.decision,
		AAGUIDs: names{}, Now: st.clock.Now, Log: slog.New(slog.NewJSONHandler(st.log, nil)), Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return st
}

// projects is the registry of projects.
type projects struct {
	mu    sync.Mutex
	known map[ident.ProjectID]project.Project
}

func (p *projects) Lookup(id ident.ProjectID) (project.Project, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, ok := p.known[id]
	return found, ok
}

func (p *projects) set(changed project.Project) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[changed.ID] = changed
}

type clock struct {
	mu  sync.Mutex
	now time.Time
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

// names knows one AAGUID.
type names struct{}

const phoneAAGUID = "fbfc3007-154e-4ecc-8c0b-6e020557d7bd"

func (names) Name(aaguid string) string {
	if aaguid == phoneAAGUID {
		return "Apple Passwords"
	}
	return ""
}

// decision allows everything, unless a test says otherwise, and remembers what it was asked.
type decision struct {
	mu        sync.Mutex
	login     func(service.LoginQuestion, *service.LoginVerdict)
	append    func(service.AppendQuestion, *service.AppendVerdict)
	mediation func(service.Question, *service.Verdict)
	err       error
	asked     []service.Question
}

func verdict(rule string, tag rest.DecisionTag) service.Verdict {
	return service.Verdict{
		Decision: "dec-4693224802260150919", PolicyRevision: "rev-1", Rule: rule, Allow: true, Tag: tag,
		OS: "macOS", OSVersion: "15", Browser: "Safari", BrowserVersion: "18",
	}
}

func (d *decision) Login(_ context.Context, q service.LoginQuestion) (service.LoginVerdict, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, q.Question)
	v := service.LoginVerdict{Verdict: verdict("L9", rest.DecisionTagUserPlatformPkHighConfidence), Route: event.Local, Hints: []string{"client-device"}}
	if q.Account != nil {
		for _, c := range q.Account.Credentials {
			v.AllowCredentials = append(v.AllowCredentials, c.ID)
		}
	}
	if d.login != nil {
		d.login(q, &v)
	}
	return v, d.err
}

func (d *decision) Append(_ context.Context, q service.AppendQuestion) (service.AppendVerdict, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, q.Question)
	v := service.AppendVerdict{
		Verdict: verdict("A13", rest.DecisionTagProcessPkLoginNotOffered), Kind: event.KindDefault, Variant: rest.AppendVariantDefault,
		Attachment: "platform", Hints: []string{"client-device"}, UserVerification: "required",
	}
	if q.Account != nil {
		for _, c := range q.Account.Credentials {
			v.ExcludeCredentials = append(v.ExcludeCredentials, c.ID)
		}
	}
	if d.append != nil {
		d.append(q, &v)
	}
	return v, d.err
}

func (d *decision) Mediation(_ context.Context, q service.Question) (service.Verdict, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, q)
	v := verdict("M1", "")
	if d.mediation != nil {
		d.mediation(q, &v)
	}
	return v, d.err
}

func (d *decision) last() service.Question {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[len(d.asked)-1]
}

// events is a log in memory, with failures on demand.
type events struct {
	mu       sync.Mutex
	log      []event.Event
	failures int // how many calls to come find the log unavailable
	calls    int
	erased   []ident.UserID
	onErase  func()
}

func (e *events) fail() error {
	e.calls++
	if e.failures > 0 {
		e.failures--
		return fault.Unavailable(time.Second, "the log is away")
	}
	return nil
}

func (e *events) Append(_ context.Context, added event.Event) (service.Empty, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.fail(); err != nil {
		return service.Empty{}, err
	}
	e.log = append(e.log, added)
	return service.Empty{}, nil
}

func (e *events) PublishOffer(ctx context.Context, offer event.Event) error {
	_, err := e.Append(ctx, offer)
	return err
}

func (e *events) Erase(_ context.Context, req service.ForUser[service.Empty]) (service.Empty, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.onErase != nil {
		e.onErase()
	}
	if err := e.fail(); err != nil {
		return service.Empty{}, err
	}
	e.erased = append(e.erased, req.User)
	return service.Empty{}, nil
}

var errElsewhere = errors.New("ceremonies do not call this")

func (e *events) Create(context.Context, service.ForUser[rest.PasskeyEventCreateReq]) (rest.PasskeyEvent, error) {
	return rest.PasskeyEvent{}, errElsewhere
}

func (e *events) List(context.Context, service.ForUser[service.EventList]) (rest.PasskeyEventList, error) {
	return rest.PasskeyEventList{}, errElsewhere
}

func (e *events) Delete(context.Context, service.ForUser[ident.EventID]) (service.Empty, error) {
	return service.Empty{}, errElsewhere
}

func (e *events) all() []event.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]event.Event(nil), e.log...)
}

func (e *events) ofType(t event.Type) []event.Event {
	var found []event.Event
	for _, candidate := range e.all() {
		if candidate.Type == t {
			found = append(found, candidate)
		}
	}
	return found
}

func (e *events) failNext(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failures = n
}

// device is an authenticator and the browser around it.
type device struct {
	origin, rpID string
	options      virtualwebauthn.AuthenticatorOptions
	aaguid       [16]byte
	attachment   string // empty: the browser says nothing
	transports   []string
	counting     bool
	handle       string // client environment handle
	key          virtualwebauthn.Credential
}

func phone() *device {
	return &device{
		origin: origin, rpID: rpID, attachment: "platform", transports: []string{"internal", "hybrid"},
		options: virtualwebauthn.AuthenticatorOptions{BackupEligible: true, BackupState: true},
		aaguid:  [16]byte{0xfb, 0xfc, 0x30, 0x07, 0x15, 0x4e, 0x4e, 0xcc, 0x8c, 0x0b, 0x6e, 0x02, 0x05, 0x57, 0xd7, 0xbd},
		key:     newKey(),
	}
}

// newKey draws until both coordinates fill their 32 bytes: the library leaves out leading zeros, which RFC 9053 §7.1.1 forbids and one key in 128 has.
func newKey() virtualwebauthn.Credential {
	const fullLength = 77 // bytes of a COSE key on P-256
	for {
		key := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
		if len(key.Key.AttestationData()) == fullLength {
			return key
		}
	}
}

func securityKey() *device {
	d := phone()
	d.attachment, d.transports, d.counting = "cross-platform", []string{"usb", "nfc"}, true
	d.options = virtualwebauthn.AuthenticatorOptions{}
	return d
}

func (d *device) signer() virtualwebauthn.Authenticator {
	return virtualwebauthn.Authenticator{Options: d.options, Aaguid: d.aaguid}
}

func (d *device) create(tb testing.TB, options string) string {
	tb.Helper()
	parsed, err := virtualwebauthn.ParseAttestationOptions(options)
	if err != nil {
		tb.Fatalf("creation options %q: %v", options, err)
	}
	answer := virtualwebauthn.CreateAttestationResponse(virtualwebauthn.RelyingParty{ID: d.rpID, Origin: d.origin}, d.signer(), d.key, *parsed)
	return edit(tb, answer, func(credential, response map[string]any) {
		d.browser(credential)
		if d.transports != nil {
			response["transports"] = d.transports
		}
	})
}

func (d *device) get(tb testing.TB, options string) string {
	tb.Helper()
	parsed, err := virtualwebauthn.ParseAssertionOptions(options)
	if err != nil {
		tb.Fatalf("request options %q: %v", options, err)
	}
	if d.counting {
		d.key.Counter++
	}
	answer := virtualwebauthn.CreateAssertionResponse(virtualwebauthn.RelyingParty{ID: d.rpID, Origin: d.origin}, d.signer(), d.key, *parsed)
	return edit(tb, answer, func(credential, _ map[string]any) { d.browser(credential) })
}

func (d *device) browser(credential map[string]any) {
	if d.attachment != "" {
		credential["authenticatorAttachment"] = d.attachment
	}
	credential["clientExtensionResults"] = map[string]any{"credProps": map[string]any{"rk": true}}
}

// edit changes the JSON of a PublicKeyCredential.
func edit(tb testing.TB, answer string, change func(credential, response map[string]any)) string {
	tb.Helper()
	var credential map[string]any
	if err := json.Unmarshal([]byte(answer), &credential); err != nil {
		tb.Fatal(err)
	}
	change(credential, credential["response"].(map[string]any))
	raw, err := json.Marshal(credential)
	if err != nil {
		tb.Fatal(err)
	}
	return string(raw)
}

// flip changes one byte of a member in base64url.
func flip(tb testing.TB, response map[string]any, member string, at int) {
	tb.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(response[member].(string))
	if err != nil {
		tb.Fatal(err)
	}
	raw[(at+len(raw))%len(raw)] ^= 1
	response[member] = base64.RawURLEncoding.EncodeToString(raw)
}

func (d *device) client() rest.ClientInformation {
	c := rest.ClientInformation{RemoteAddress: "127.0.0.1", UserAgent: "Mozilla/5.0"}
	if d.handle != "" {
		c.ClientEnvHandle = &d.handle
	}
	return c
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

// wantField checks that err is a fault of one field, with the status and message wanted.
func wantField(tb testing.TB, err error, status int, field, message string) {
	tb.Helper()
	var f *fault.Fault
	if !errors.As(err, &f) {
		tb.Fatalf("got %v, want a fault of %s: %s", err, field, message)
	}
	want := []rest.FieldError{{Field: field, Message: message}}
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

package replay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/sighting"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/replay"
)

// Storing an object may leave this goroutine of the client behind.
const forgotten = "github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(forgotten)) }

// soakVariable names the environment variable with the number of decisions that the long test records.
const soakVariable = "KEYWARD_REPLAY_DECISIONS"

func decisions(t *testing.T) int {
	t.Helper()
	text, ok := os.LookupEnv(soakVariable)
	if !ok {
		return 500
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s must be a number above 0, not %q", soakVariable, text)
	}
	return n
}

// logged reads histories from the log, as a store without a cache does.
type logged struct{ log *eventlog.Log }

func (l logged) Read(ctx context.Context, project ident.ProjectID, user ident.UserID, _ string) (event.Reading, error) {
	events, _, err := l.log.Read(ctx, project, user, 1)
	return event.Reading{Events: event.NewSet(events)}, err
}

func (l logged) Offers(ctx context.Context, project ident.ProjectID, user ident.UserID, _ ...string) ([]event.Event, error) {
	return l.log.Offers(ctx, project, user)
}

// happen appends a random part of a user's history to the log, in which now and then an event is deleted. The IDs of all parts are
// different.
func happen(t *testing.T, log *eventlog.Log, random *rand.Rand, user ident.UserID, part string) {
	t.Helper()
	types := []event.Type{
		event.LoginCompleted,
		event.LoginError,
		event.LoginExplicitAbort,
		event.AppendOffered,
		event.AppendExplicitAbort,
		event.AppendExplicitAbort,
		event.AppendCompleted,
	}
	routes := []event.Route{event.Local, event.CDA, event.SecurityKey}
	for _, project := range []ident.ProjectID{"pro-1", "pro-2"} {
		var last ident.EventID
		for n := range random.IntN(6) {
			e := event.Event{
				ID: ident.EventID(fmt.Sprintf("pke-%s%d%s", strings.TrimPrefix(string(user), "usr-"), n, part)), Project: project, User: user,
				Type: types[random.IntN(len(types))], CreatedMs: time.Now().Add(-time.Duration(random.IntN(60*24)) * time.Hour).UnixMilli(),
				Process: "process-" + strconv.Itoa(random.IntN(20)), Environment: "env-1", Challenge: "c" + part + strconv.Itoa(n),
				Ceremony: ident.ChallengeID("was-" + part + strconv.Itoa(n)), Route: routes[random.IntN(len(routes))],
				Credential: "cre-" + strconv.Itoa(random.IntN(3)), Kind: event.KindDefault,
			}
			e.ID += ident.EventID(strings.TrimPrefix(string(project), "pro-"))
			if last != "" && random.IntN(5) == 0 {
				e = event.Event{ID: e.ID, Project: project, User: user, Type: event.Deleted, Deletes: last, CreatedMs: time.Now().UnixMilli()}
			}
			if _, err := log.Append(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			last = e.ID
		}
	}
}

func flip(random *rand.Rand) *bool {
	value := random.IntN(2) == 0
	if random.IntN(4) == 0 {
		return nil
	}
	return &value
}

func pick[T any](random *rand.Rand, of ...T) T { return of[random.IntN(len(of))] }

func question(random *rand.Rand, n int) service.Question {
	q := service.Question{
		Project: pick[ident.ProjectID](
			random, "pro-1", "pro-2",
		),
		Process:      "process-" + strconv.Itoa(random.IntN(20)),
		LookupFailed: random.IntN(30) == 0,
		Client: rest.ClientInformation{
			RemoteAddress: "203.0.113.10",
			UserAgent:     "Mozilla/5.0 (X11; Linux x86_64)",
			UserVerifyingPlatformAuthenticatorAvailable: flip(
				random,
			),
			ConditionalMediationAvailable: flip(random),
			BluetoothAvailable:            flip(random),
			PrivateMode:                   flip(random),
			ParsedDeviceInfo: &rest.ParsedDeviceInfo{
				BrowserName: pick(random, "Chrome", "Safari", "Firefox", "Edge"), BrowserVersion: strconv.Itoa(100 + random.IntN(30)),
				OSName: pick(random, "macOS", "Windows", "Android", "iOS", "Linux"), OSVersion: strconv.Itoa(8 + random.IntN(12)),
			},
			ClientCapabilities: &rest.ClientCapabilities{ConditionalCreate: flip(random), HybridTransport: flip(random)},
		},
	}
	q.Sighted = sighting.NewNamer([]byte(q.Project), sighting.Version{}).Name("", "env-1", q.Client.RemoteAddress)
	private := q.Client.PrivateMode != nil && *q.Client.PrivateMode
	q.Environment = pick(
		random, service.Environment{}, service.Environment{Rejected: true}, service.Environment{ID: "env-1", Known: !private},
		service.Environment{ID: "env-1", Known: !private}, service.Environment{ID: "env-1", Known: !private},
	)
	if random.IntN(15) == 0 {
		return q
	}
	q.Account = &account.Account{
		Project: q.Project, ID: ident.UserID("usr-" + strconv.Itoa(n)),
		Status: pick(random, account.StatusActive, account.StatusActive, account.StatusActive, account.StatusDisabled),
	}
	for c := range random.IntN(4) {
		q.Account.Credentials = append(q.Account.Credentials, account.Credential{
			ID:           ident.CredentialID("cre-" + strconv.Itoa(c)),
			CredentialID: fmt.Appendf(nil, "credential %d", c),
			AAGUID: pick(
				random, "fbfc3007-154e-4ecc-8c0b-6e020557d7bd", "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4",
				"08987058-cadc-4b81-b6e1-30de50dcbe96", "00000000-0000-0000-0000-000000000000",
			),
			Transports: pick(
				random, []string{"internal", "hybrid"}, []string{"internal"}, []string{"usb", "nfc"},
			),
			BackupEligible: random.IntN(2) == 0,
			CreatedOS:      pick(random, "macOS", "Windows", "Android", "iOS"),
			CreatedMs:      time.Now().Add(-100 * 24 * time.Hour).UnixMilli(),
		})
	}
	deletedMs := time.Now().Add(-24 * time.Hour).UnixMilli()
	if n%2 == 0 {
		q.Account.Deleted = append(q.Account.Deleted, account.Tombstone{ID: "cre-8", CredentialID: []byte("was here"), DeletedMs: deletedMs})
	}
	if n%3 == 0 { // a creation that was given up
		q.Account.Deleted = append(q.Account.Deleted, account.Tombstone{ID: "cre-9", DeletedMs: deletedMs})
	}
	return q
}

func ask(ctx context.Context, svc service.Decision, random *rand.Rand, n int) (ident.DecisionID, string, error) {
	q := question(random, n)
	switch random.IntN(7) {
	case 6:
		if q.Account == nil || len(q.Account.Credentials) == 0 {
			break
		}
		v, err := judge(ctx, svc, random, q, n)
		if err == nil && v.Risk == nil {
			err = errors.New("nobody judged")
		}
		if err != nil {
			return "", "", err
		}
		return v.Decision, v.Risk.Rule, nil
	case 5:
		v, err := svc.Rollout(ctx, service.RolloutQuestion{
			Question:   q,
			Action:     pick(random, service.RolloutLogin, service.RolloutAppend, service.RolloutManage),
			Identifier: pick(random, "", "ada@example.com"),
		})
		return v.Decision, v.Rule, err
	case 0:
		v, err := svc.Mediation(ctx, q)
		return v.Decision, v.Rule, err
	case 1, 2:
		v, err := svc.Append(
			ctx,
			service.AppendQuestion{
				Question: q, Flags: rest.PasskeyIntelFlags{AskForAutoAppend: flip(random), AskForConditionalCreate: flip(random)},
			},
		)
		return v.Decision, v.Rule, err
	}
	v, err := svc.Login(ctx, service.LoginQuestion{Question: q, Strategy: pick(random, rest.CrossDeviceAuthenticationStrategyStandard,
		rest.CrossDeviceAuthenticationStrategyMinimize, rest.CrossDeviceAuthenticationStrategyMaximize)})
	return v.Decision, v.Rule, err
}

// judge asks about the end of a ceremony, or about what is none.
func judge(ctx context.Context, svc service.Decision, random *rand.Rand, q service.Question, n int) (service.Verdict, error) {
	f := finish(random, q)
	if n%3 != 0 {
		return svc.Finish(ctx, f)
	}
	q.Context = json.RawMessage(`{"externalScore": ` + strconv.Itoa(n%100) + `, "trustedDevice": true, "channel": "web"}`)
	return svc.Evaluate(ctx, service.EvaluateQuestion{Question: q, Action: "payment"})
}

// finish is about an answer of one of the account's passkeys, to a login or at its creation.
func finish(random *rand.Rand, q service.Question) service.FinishQuestion {
	f := service.FinishQuestion{Question: q, Passkey: pick(random, q.Account.Credentials...), UV: random.IntN(2) == 0}
	if random.IntN(3) == 0 {
		f.Conditional = random.IntN(2) == 0
		return f
	}
	f.Login = &service.FinishedLogin{
		Route:         pick(random, event.Local, event.CDA, event.SecurityKey),
		Counter:       pick(random, service.CounterNone, service.CounterOK, service.CounterRegressed, service.CounterReset),
		BackupChanged: random.IntN(4) == 0,
	}
	return f
}

func openBus(t *testing.T) *bus.Bus {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.SyncInterval = t.TempDir(), time.Minute
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// made is a recorded decision.
type made struct {
	id  ident.DecisionID
	row string
}

// record makes decisions with the bundle in dir and returns them when all are on the stream.
func record(t *testing.T, js jetstream.JetStream, dir string, n int, seed uint64) []made {
	t.Helper()
	return recordAs(t, js, dir, n, seed, address.Truncated)
}

// recordAs keeps of addresses what a form says.
func recordAs(t *testing.T, js jetstream.JetStream, dir string, n int, seed uint64, addresses address.Form) []made {
	t.Helper()
	cfg := decision.DefaultConfig()
	cfg.PoliciesDir, cfg.RecordQueue, cfg.DrainTimeout = dir, n+1, time.Minute
	// What is slow on a busy machine is not the policy.
	cfg.EvalTimeout = time.Minute
	log, err := eventlog.NewLog(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	svc, err := decision.New(
		cfg,
		decision.Deps{
			Events: logged{log}, JS: js, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
			Addresses: addresses,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := svc.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	random := rand.New(rand.NewPCG(seed, 7))
	all := make([]made, 0, n)
	for i := range n {
		user := ident.UserID("usr-" + strconv.Itoa(i))
		happen(t, log, random, user, strconv.FormatUint(seed, 10)+"1")
		id, row, err := ask(t.Context(), svc, random, i)
		if err != nil {
			t.Fatal(err)
		}
		// What comes after a decision has no part in it.
		happen(t, log, random, user, strconv.FormatUint(seed, 10)+"2")
		all = append(all, made{id, row})
	}
	stop()
	running.Wait()
	return all
}

// policyDir returns a directory with the default bundle without its tests and other values of some parameters.
func policyDir(t *testing.T, parameters map[string]any) string {
	t.Helper()
	dir := policiestest.Dir(t, policiestest.Files(t))
	name := filepath.Join(dir, "data.json")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var data map[string]map[string]map[string]any
	if err := json.Unmarshal(raw, &data); err != nil {
		t.Fatal(err)
	}
	for key, value := range parameters {
		data["keyward"]["parameters"][key] = value
	}
	if raw, err = json.Marshal(data); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func load(t *testing.T, dir string) *explain.Policy {
	t.Helper()
	policy, err := explain.Load(t.Context(), os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func TestRecordedDecisionsAreTheSameUnderTheirOwnRevisionAndDifferUnderAnother(t *testing.T) {
	n := decisions(t)
	b := openBus(t)
	js := b.JS
	// Not the bundle of the binary, so that it can only come from the archive.
	record(t, js, policyDir(t, map[string]any{"positiveSeconds": 15552001}), n, 1)
	records := replay.NewRecords(js)

	own, err := records.Replay(t.Context(), replay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if own.Decisions != n || own.Same != n || own.Different != 0 || own.Skipped != 0 || len(own.Missing) != 0 || len(own.Changes) != 0 {
		t.Errorf("replay with the same revision: %+v", own)
	}
	t.Logf("%d decisions evaluated again with their own revision: %d differences", own.Decisions, own.Different)

	candidate := load(t, policyDir(t, map[string]any{"streakThreshold": 1}))
	other, err := records.Replay(t.Context(), replay.Options{Candidate: candidate, Examples: 2})
	if err != nil {
		t.Fatal(err)
	}
	if other.Decisions != n || other.Same+other.Different != n || other.Different == 0 || len(other.NotJudged) != 0 ||
		other.Candidate != candidate.Revision() {
		t.Errorf("replay with another revision: %+v", other)
	}
	if own.Risk.Same == 0 || own.Risk.Different != 0 || other.Risk.Same+other.Risk.Different != own.Risk.Same {
		t.Errorf("judged for risk again: %+v, with another revision %+v", own.Risk, other.Risk)
	}
	total := 0
	for _, change := range other.Changes {
		total += change.Count
		if len(change.Examples) == 0 || len(change.Examples) > 2 || len(change.Examples) > change.Count {
			t.Errorf("%d examples of %d", len(change.Examples), change.Count)
		}
		for _, example := range change.Examples {
			if example.Was["rule"] != change.From || example.Is["rule"] != change.To {
				t.Errorf("example %+v of %s -> %s", example, change.From, change.To)
			}
		}
	}
	if total != other.Different {
		t.Errorf("%d changes are listed, %d were counted", total, other.Different)
	}
}

func TestWhatIsJudgedOfRiskIsReplayedBesideWhatIsDecided(t *testing.T) {
	b := openBus(t)
	const n = 100
	record(t, b.JS, policyDir(t, map[string]any{"positiveSeconds": 15552001}), n, 7)
	graver := map[string]any{}
	for _, reason := range []string{
		"bot", "deceptive-agent", "fresh-account", "incomplete", "new-environment", "new-network", "private-window",
	} {
		graver[reason] = 4
	}
	parameters := map[string]any{"positiveSeconds": 15552001, "risk": map[string]any{"severities": graver}}
	summary, err := replay.NewRecords(b.JS).Replay(t.Context(), replay.Options{Candidate: load(t, policyDir(t, parameters))})
	if err != nil {
		t.Fatal(err)
	}
	if summary.Different == 0 || summary.Risk.Different == 0 || summary.Risk.Same == 0 {
		t.Fatalf("%+v", summary)
	}
	// Of what is decided, judged ends of ceremonies alone.
	for _, change := range slices.Concat(summary.Changes, summary.Risk.Changes) {
		if change.Action != "risk" || change.To != "R1" || len(change.Examples) == 0 || change.Examples[0].Is["action"] != "deny" {
			t.Errorf("%+v", change)
		}
	}
}

func TestASelectionIsReplayed(t *testing.T) {
	b := openBus(t)
	record(t, b.JS, "", 300, 2)
	records := replay.NewRecords(b.JS)
	count := func(opts replay.Options) int {
		t.Helper()
		summary, err := records.Replay(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		return summary.Decisions
	}
	sum := 0
	for _, action := range explain.Actions() {
		n := count(replay.Options{Selection: replay.Selection{Action: action}})
		if n == 0 || n == 300 {
			t.Errorf("%d decisions about %s", n, action)
		}
		sum += n
	}
	if sum != 300 {
		t.Errorf("%d decisions about anything", sum)
	}
	mine, theirs := count(
		replay.Options{Selection: replay.Selection{Project: "pro-1"}},
	), count(
		replay.Options{Selection: replay.Selection{Project: "pro-2"}},
	)
	if mine == 0 || theirs == 0 || mine+theirs != 300 {
		t.Errorf("%d and %d decisions of the projects", mine, theirs)
	}
	if n := count(replay.Options{Limit: 40}); n != 40 {
		t.Errorf("%d decisions, want 40", n)
	}
	if n := count(replay.Options{Selection: replay.Selection{Since: time.Now().Add(time.Hour)}}); n != 0 {
		t.Errorf("%d decisions of the future", n)
	}
	if n := count(replay.Options{Selection: replay.Selection{Since: time.Now().Add(-time.Hour)}}); n != 300 {
		t.Errorf("%d decisions of the last hour", n)
	}
}

func TestARecordIsFoundByItsIDAndExplainedWithTheRevisionThatMadeIt(t *testing.T) {
	b := openBus(t)
	first := record(t, b.JS, policyDir(t, map[string]any{"streakThreshold": 1}), 100, 3)
	second := record(t, b.JS, policyDir(t, map[string]any{"streakThreshold": 3}), 100, 3)
	records := replay.NewRecords(b.JS)
	for _, want := range []made{first[0], first[50], first[99], second[0], second[99]} {
		found, err := records.Find(t.Context(), want.id)
		if err != nil {
			t.Fatal(err)
		}
		if found.ID != want.id || found.Rule != want.row {
			t.Errorf("found %s %s, want %s %s", found.ID, found.Rule, want.id, want.row)
		}
		policy, err := records.Policy(t.Context(), found.PolicyHash)
		if err != nil {
			t.Fatal(err)
		}
		e, err := policy.Explain(t.Context(), found.Action, found.Project, found.Facts)
		if err != nil {
			t.Fatal(err)
		}
		if e.Row.Name != want.row || e.Row.Tag != string(found.Tag) || e.Revision != found.PolicyRevision {
			t.Errorf("explained as %s of %s, want %s of %s", e.Row.Name, e.Revision, want.row, found.PolicyRevision)
		}
	}
}

func TestARecordThatCannotBeHadSaysWhy(t *testing.T) {
	b := openBus(t)
	records := replay.NewRecords(b.JS)
	now := time.Now()
	for name, id := range map[string]ident.DecisionID{
		"on an empty stream": ident.NewDecisionID(now),
		"and long ago":       ident.NewDecisionID(now.Add(-time.Hour)),
	} {
		if _, err := records.Find(t.Context(), id); !errors.Is(err, replay.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	all := record(t, b.JS, "", 20, 4)
	for name, id := range map[string]ident.DecisionID{
		"made now": ident.NewDecisionID(now), "made before the first record": ident.NewDecisionID(now.Add(-time.Hour)),
		"to be made": ident.NewDecisionID(now.Add(time.Hour)),
	} {
		if _, err := records.Find(t.Context(), id); !errors.Is(err, replay.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := records.Find(t.Context(), "dec-7"); !errors.Is(err, replay.ErrUntimely) {
		t.Errorf("an ID without time: %v", err)
	}
	stream, err := b.JS.Stream(t.Context(), bus.DecisionsStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeKeep(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := records.Find(t.Context(), ident.NewDecisionID(now.Add(-time.Hour))); !errors.Is(err, replay.ErrEvicted) {
		t.Errorf("made before the oldest record that is left: %v", err)
	}
	if _, err := records.Find(t.Context(), all[19].id); err != nil {
		t.Errorf("the one that is left: %v", err)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := records.Find(t.Context(), all[19].id); !errors.Is(err, replay.ErrEvicted) {
		t.Errorf("after the last has gone: %v", err)
	}
}

func TestADecisionOfARevisionThatIsNotArchivedIsLeftOut(t *testing.T) {
	b := openBus(t)
	record(t, b.JS, policyDir(t, map[string]any{"streakThreshold": 4}), 50, 5)
	store, err := b.JS.ObjectStore(t.Context(), bus.PoliciesBucket)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := store.List(t.Context())
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	if err := store.Delete(t.Context(), kept[0].Name); err != nil {
		t.Fatal(err)
	}
	records := replay.NewRecords(b.JS)
	if _, err := records.Policy(t.Context(), kept[0].Name); !errors.Is(err, replay.ErrNotArchived) {
		t.Errorf("got %v", err)
	}
	summary, err := records.Replay(t.Context(), replay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if summary.Decisions != 0 || summary.Missing[kept[0].Name] != 50 {
		t.Errorf("summary %+v", summary)
	}
}

func TestAReplayEndsWithItsContext(t *testing.T) {
	b := openBus(t)
	record(t, b.JS, "", 50, 6)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := replay.NewRecords(b.JS).Replay(ctx, replay.Options{Progress: func(done int, _ uint64) {
		if done == 10 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

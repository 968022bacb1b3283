package trial_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/service/remote"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/trial"
)

// Storing an object may leave this goroutine of the client behind.
const forgotten = "github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(forgotten)) }

// declined is the history of a user who said "not now" once.
type declined struct{}

func (declined) Read(context.Context, ident.ProjectID, ident.UserID, string) (event.Reading, error) {
	at := time.Now().Add(-time.Hour).UnixMilli()
	made := func(id string, kind event.Type) event.Event {
		return event.Event{
			ID: ident.EventID(id), Project: "pro-1", User: "usr-1", Type: kind, CreatedMs: at, Process: "p", Environment: "env-1",
			Challenge: "c", Ceremony: "was-1", Kind: event.KindDefault,
		}
	}
	events := []event.Event{made("pke-1", event.AppendOffered), made("pke-2", event.AppendExplicitAbort)}
	return event.Reading{Events: event.NewSet(events)}, nil
}

func (declined) Offers(context.Context, ident.ProjectID, ident.UserID, ...string) ([]event.Event, error) {
	return nil, nil
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

// running is a decision service that records.
func running(t *testing.T, b *bus.Bus, change func(*decision.Config)) *decision.Service {
	t.Helper()
	cfg := decision.DefaultConfig()
	cfg.EvalTimeout = time.Minute // what is slow on a busy machine is not the policy
	if change != nil {
		change(&cfg)
	}
	svc, err := decision.New(
		cfg,
		decision.Deps{Events: declined{}, JS: b.JS, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()},
	)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return svc
}

// appendStart asks whether a Mac may make a passkey.
func appendStart(
	t *testing.T, svc service.Decision, privateMode bool, passkeys ...account.Credential,
) service.AppendVerdict {
	t.Helper()
	yes := true
	verdict, err := svc.Append(t.Context(), service.AppendQuestion{Question: service.Question{
		Project:     "pro-1",
		Account:     &account.Account{Project: "pro-1", ID: "usr-1", Status: account.StatusActive, Credentials: passkeys},
		Process:     "visit",
		Environment: service.Environment{ID: "env-1", Known: true},
		Client: rest.ClientInformation{
			RemoteAddress: "203.0.113.10",
			UserAgent:     "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
			UserVerifyingPlatformAuthenticatorAvailable: &yes, PrivateMode: &privateMode,
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return verdict
}

// explained waits for the record as the page does: a decision that is not there yet is asked for again.
func explained(t *testing.T, svc service.Explanations, id ident.DecisionID) frontend.TrialDecision {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-again.C {
		d, err := svc.ExplainDecision(t.Context(), service.ForProject[ident.DecisionID]{Project: "pro-1", Body: id})
		if err == nil {
			return d
		}
		if f := fault.As(err); f.Status != http.StatusNotFound || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestADecisionIsExplainedByItsRecordAlsoOverTheBus(t *testing.T) {
	t.Parallel()
	b := openBus(t)
	svc := running(t, b, nil)
	table := remote.DecisionMethods(svc, trial.New(b.JS), svc)
	server, err := rpc.Serve(b.Conn, table, rpc.Options{Version: "0.0.0", Concurrency: 8}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close(context.Background())
	client := remote.NewDecisionClient(b.Conn, rpc.Within(30*time.Second))

	hello := account.Credential{
		ID: "cre-1", AAGUID: "08987058-cadc-4b81-b6e1-30de50dcbe96", Transports: []string{"internal"}, CreatedOS: "Windows 11",
	}
	verdict := appendStart(t, svc, true, hello)
	if verdict.Allow {
		t.Fatalf("a passkey is offered in a private window: %+v", verdict)
	}
	d := explained(t, client, verdict.Decision)
	if d.DecisionID != string(verdict.Decision) || d.Allow || d.Row != verdict.Rule || d.Tag != string(verdict.Tag) ||
		d.Action != frontend.TrialDecisionActionAppend ||
		d.PolicyRevision != verdict.PolicyRevision {
		t.Errorf("explained %+v, decided %+v", d, verdict)
	}
	if d.Title != "A private window forgets passkeys" || !strings.Contains(d.Reason, "client.privateMode is true") ||
		time.Since(time.UnixMilli(d.CreatedMs)) > time.Hour {
		t.Errorf("the words: %q, %q, made at %d", d.Title, d.Reason, d.CreatedMs)
	}
	if d.Story == nil || !slices.Equal(*d.Story, []string{"The window is private"}) {
		t.Errorf("the story: %v", d.Story)
	}
	if d.Client == nil || !strings.HasPrefix(d.Client.System, "macOS (user agent; version unknown") ||
		d.Client.Browser != "Safari 18.1 (user agent)" {
		t.Errorf("the client: %+v", d.Client)
	}
	last := d.Rows[len(d.Rows)-1]
	if last.Row != d.Row || last.Outcome != frontend.TrialRowOutcomeAnswered || len(d.Rows) < 2 {
		t.Errorf("rows: %+v", d.Rows)
	}
	for _, row := range d.Rows[:len(d.Rows)-1] {
		if row.Outcome != frontend.TrialRowOutcomePassed || row.Why == "" || row.Story == nil {
			t.Errorf("a row above: %+v", row)
		}
	}
	if first := d.Facts[0]; first.Path != "client.privateMode" || first.Value != "true" || first.Title == "" {
		t.Errorf("the fact that settled it: %+v", first)
	}
	seen := map[string]bool{}
	for _, fact := range d.Facts {
		if seen[fact.Path] {
			t.Errorf("the fact %s is there twice", fact.Path)
		}
		seen[fact.Path] = true
	}
	if d.Passkeys == nil || len(*d.Passkeys) != 1 {
		t.Fatalf("the passkeys of the account: %+v", d.Passkeys)
	}
	provider := "Windows Hello"
	want := frontend.TrialPasskey{
		CredentialID: "cre-1",
		Kind:         "a passkey of one Windows device",
		Provider:     &provider,
		Where:        "out of reach from here",
		Why:          (*d.Passkeys)[0].Why,

		LocalReason: new("other-os"), ByPhoneReason: new("never-on-a-phone"),
	}
	if got := (*d.Passkeys)[0]; !reflect.DeepEqual(got, want) || !strings.Contains(got.Why, "macOS") {
		t.Errorf("the passkey: %+v, want %+v", got, want)
	}
	if d.HistoryData["defaultCount"] != 1.0 || d.HistoryData["defaultCooldown"] == nil {
		t.Errorf("history: %v", d.HistoryData)
	}
}

func TestADecisionOfAnotherProjectAndOneThatIsNotThereAreNotFound(t *testing.T) {
	t.Parallel()
	b := openBus(t)
	svc := running(t, b, nil)
	explanations := trial.New(b.JS)
	verdict := appendStart(t, svc, false)
	if d := explained(t, explanations, verdict.Decision); !d.Allow {
		t.Errorf("explained %+v", d)
	}
	for name, req := range map[string]service.ForProject[ident.DecisionID]{
		"of another project":      {Project: "pro-2", Body: verdict.Decision},
		"never made":              {Project: "pro-1", Body: ident.NewDecisionID(time.Now())},
		"of an ID without a time": {Project: "pro-1", Body: "dec-7"},
	} {
		if _, err := explanations.ExplainDecision(t.Context(), req); fault.As(err).Status != http.StatusNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.Close()
	_, err := explanations.ExplainDecision(t.Context(), service.ForProject[ident.DecisionID]{Project: "pro-1", Body: verdict.Decision})
	if fault.As(err).Status != http.StatusServiceUnavailable {
		t.Errorf("without a store: %v", err)
	}
}

func TestADecisionIsExplainedWithTheRevisionThatMadeIt(t *testing.T) {
	t.Parallel()
	b := openBus(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, policies.Bundle); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "append", "append.rego")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(raw), "A private window forgets passkeys", "Our own words")
	if changed == string(raw) {
		t.Fatal("the title is not in the bundle")
	}
	if err := os.Chmod(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	edited := running(t, b, func(c *decision.Config) { c.PoliciesDir = dir })
	explanations := trial.New(b.JS)
	if d := explained(t, explanations, appendStart(t, edited, true).Decision); d.Title != "Our own words" {
		t.Errorf("of the edited revision: %q", d.Title)
	}
	own := running(t, b, nil)
	if d := explained(t, explanations, appendStart(t, own, true).Decision); d.Title != "A private window forgets passkeys" {
		t.Errorf("of the binary's own: %q", d.Title)
	}
}

func TestAPolicyThatGaveNoAnswerIsSaidSo(t *testing.T) {
	t.Parallel()
	b := openBus(t)
	svc := running(t, b, nil)
	explanations := trial.New(b.JS)
	verdict := appendStart(t, svc, true)
	explained(t, explanations, verdict.Decision)

	stream, err := b.JS.Stream(t.Context(), bus.DecisionsStream)
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := stream.GetLastMsgForSubject(t.Context(), bus.DecisionsPrefix+".pro-1.usr-1.append")
	if err != nil {
		t.Fatal(err)
	}
	for title, ruled := range map[string]string{
		"The policy failed, and the safe default was answered": `"rule":"default","tag":"default-deny"`,
		"An operator has stopped it":                           `"rule":"switch:no-nudges","tag":"switched-off"`,
	} {
		unanswered := ident.NewDecisionID(time.Now())
		body := regexp.MustCompile(`"answer":.*}$`).ReplaceAll(recorded.Data, []byte(`"answer":null}`))
		body = regexp.MustCompile(`"rule":"[^"]*","tag":"[^"]*"`).ReplaceAll(body, []byte(ruled))
		body = bytes.ReplaceAll(body, []byte(verdict.Decision), []byte(unanswered))
		header := nats.Header{"ce-id": {string(unanswered)}}
		if _, err := b.JS.PublishMsg(t.Context(), &nats.Msg{Subject: recorded.Subject, Header: header, Data: body}); err != nil {
			t.Fatal(err)
		}
		d := explained(t, explanations, unanswered)
		if d.DecisionID != string(unanswered) || d.Title != title || len(d.Rows) != 0 {
			t.Errorf("explained %+v", d)
		}
	}
}

package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/project"
)

func shop(t *testing.T) project.Project {
	t.Helper()
	origins := []string{"https://shop.example"}
	p, err := project.New("pro-7", "Shop", "shop.example", "Shop", origins, "corbado1_secretsecretsecretsecret", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEachChangeOfAProjectIsToldByItsNameAndWhatNobodyDecidedIsNot(t *testing.T) {
	t.Parallel()
	key, text, err := project.NewAPIKey("pro-7", "reader", []string{"users.read"}, 0, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	shown := &audit.Key{ID: key.ID, Name: "reader", Permissions: []string{"users.read"}}
	issuer := project.Issuer{URL: "https://id.example", Audience: "shop"}
	of := func(kind audit.Type, more func(*audit.Event)) audit.Event {
		e := audit.Event{Type: kind, Project: "pro-7"}
		if more != nil {
			more(&e)
		}
		return e
	}
	changed := func(names ...string) []audit.Event {
		return []audit.Event{of(audit.ProjectUpdated, func(e *audit.Event) { e.Changed = names })}
	}
	told := &audit.Issuer{URL: issuer.URL, Audience: issuer.Audience}
	for name, c := range map[string]struct {
		before, after func(*project.Project)
		want          []audit.Event
	}{
		"nothing":                {nil, nil, nil},
		"a salt":                 {nil, func(p *project.Project) { p.IdempotencySalt, p.Legacy = project.NewSalt(), nil }, nil},
		"a name and an origin":   {nil, func(p *project.Project) { p.Name, p.Origins = "x", nil }, changed("name", "origins")},
		"a host of its frontend": {nil, func(p *project.Project) { p.Frontend.Hosts = []string{"a.example"} }, changed("hosts")},
		"its CNAME":              {nil, func(p *project.Project) { p.CNAME = "a.example" }, changed("cname")},
		"its user verification":  {nil, func(p *project.Project) { p.UserVerification = "preferred" }, changed("userVerification")},
		"its pages":              {nil, func(p *project.Project) { p.Frontend.ReauthAge++ }, changed("frontend")},
		"its secret": {
			nil,
			func(p *project.Project) { p.Secret = project.HashSecret(project.NewSecret()) },
			[]audit.Event{of(audit.SecretRotated, nil)},
		},
		"its key of what is counted": {
			nil,
			func(p *project.Project) { p.RotateSightingKey(time.Now()) },
			[]audit.Event{of(audit.RiskKeyRotated, func(e *audit.Event) { e.Version = 2 })},
		},
		"another key": {
			nil,
			func(p *project.Project) { p.Keys = append(p.Keys, key) },
			[]audit.Event{of(audit.KeyCreated, func(e *audit.Event) { e.Key = shown })},
		},
		"a key less": {
			func(p *project.Project) { p.Keys = append(p.Keys, key) },
			nil,
			[]audit.Event{of(audit.KeyRevoked, func(e *audit.Event) { e.Key = shown })},
		},
		"another issuer": {
			nil,
			func(p *project.Project) { p.Issuers = []project.Issuer{issuer} },
			[]audit.Event{of(audit.IssuerAdded, func(e *audit.Event) { e.Issuer = told })},
		},
		"an issuer less": {
			func(p *project.Project) { p.Issuers = []project.Issuer{issuer} },
			nil,
			[]audit.Event{of(audit.IssuerRemoved, func(e *audit.Event) { e.Issuer = told })},
		},
	} {
		base := shop(t)
		before, after := base, base
		if c.before != nil {
			c.before(&before)
		}
		if c.after != nil {
			c.after(&after)
		}
		got := audit.Changes(&before, &after)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		raw, err := json.Marshal(got)
		if err != nil || strings.Contains(string(raw), text) || strings.Contains(string(raw), "salt") {
			t.Errorf("%s: %s, %v", name, raw, err)
		}
	}
	made := shop(t)
	if diff := cmp.Diff([]audit.Event{of(audit.ProjectCreated, nil)}, audit.Changes(nil, &made)); diff != "" {
		t.Errorf("made: %s", diff)
	}
	if diff := cmp.Diff([]audit.Event{of(audit.ProjectDeleted, nil)}, audit.Changes(&made, nil)); diff != "" {
		t.Errorf("deleted: %s", diff)
	}
}

func open(t *testing.T) *bus.Bus {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestAnOperatorIsToldWithoutTheTokenAndItsHash(t *testing.T) {
	t.Parallel()
	o, text, err := operator.New(
		operator.Wanted{Name: "Ada", Role: operator.Approver, By: "keyward operator create"}, time.Now(),
	)
	if err != nil {
		t.Fatal(err)
	}
	shown := &audit.OperatorAccount{ID: o.ID, Name: "Ada", Role: "approver"}
	for name, c := range map[string]struct {
		before, after *operator.Operator
		want          []audit.Event
	}{
		"made":    {nil, &o, []audit.Event{{Type: audit.OperatorCreated, Operator: shown}}},
		"revoked": {&o, nil, []audit.Event{{Type: audit.OperatorRevoked, Operator: shown}}},
		"nothing": {nil, nil, nil},
	} {
		got := audit.OperatorChanges(c.before, c.after)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		raw, err := json.Marshal(got)
		if err != nil || strings.Contains(string(raw), text) || strings.Contains(string(raw), "salt") {
			t.Errorf("%s: %s, %v", name, raw, err)
		}
	}
}

func TestWhatIsRecordedIsInTheStreamAndNobodyTakesItOut(t *testing.T) {
	t.Parallel()
	b := open(t)
	recorder := audit.NewRecorder(b.JS, audit.Actor{Kind: audit.Command, Name: "keyward project rotate-secret"}, time.Now)
	if err := recorder.Record(t.Context(), audit.Event{Type: audit.SecretRotated, Project: "pro-7"}); err != nil {
		t.Fatal(err)
	}
	stream, err := b.Stream(t.Context(), bus.AuditStream)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(t.Context(), "passkey.audit.pro-7.secret-rotated")
	if err != nil {
		t.Fatal(err)
	}
	var e audit.Event
	if err := json.Unmarshal(msg.Data, &e); err != nil || e.Actor.Name != "keyward project rotate-secret" || e.Instance == "" || e.ID == "" {
		t.Errorf("%s: %v", msg.Data, err)
	}
	if err := stream.Purge(t.Context()); err == nil {
		t.Error("the stream can be purged")
	}
	if err := stream.DeleteMsg(t.Context(), msg.Sequence); err == nil {
		t.Error("a message can be deleted")
	}
	if err := b.JS.DeleteStream(t.Context(), bus.AuditStream); err != nil {
		t.Fatal(err)
	}
	told := recorder.Tell()
	told.Add(t.Context(), audit.Event{Type: audit.SecretRotated, Project: "pro-7"})
	if !errors.Is(told.Err(), audit.ErrUnrecorded) {
		t.Errorf("what is not in a stream is told as %v", told.Err())
	}
}

func TestAQueueRecordsWhatItHoldsWhenItEndsAndCountsWhatItHasToDrop(t *testing.T) {
	t.Parallel()
	b := open(t)
	recorder := audit.NewRecorder(b.JS, audit.Actor{Kind: audit.Service, Name: "decision"}, time.Now)
	queue := audit.NewQueue(recorder, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	const dropped = 3
	for range audit.QueueLength + dropped {
		queue.Add(t.Context(), audit.Event{Type: audit.PolicyReplaced, Policy: &audit.Policy{Revision: "1", Content: "1"}})
	}
	if got := testutil.ToFloat64(queue.Lost()); got != dropped {
		t.Errorf("%v are counted as lost", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := queue.Run(ctx); err != nil {
		t.Fatal(err)
	}
	stream, err := b.Stream(t.Context(), bus.AuditStream)
	if err != nil {
		t.Fatal(err)
	}
	var info *jetstream.StreamInfo
	if info, err = stream.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := info.State.Msgs + uint64(testutil.ToFloat64(queue.Lost())); got != audit.QueueLength+dropped || info.State.Msgs == 0 {
		t.Errorf("%d are recorded, %v lost", info.State.Msgs, testutil.ToFloat64(queue.Lost()))
	}
}

func TestAFloodOfRefusalsIsOneEventForEachLimitAndProject(t *testing.T) {
	t.Parallel()
	b := open(t)
	recorder := audit.NewRecorder(b.JS, audit.Actor{Kind: audit.Service, Name: "gateway"}, time.Now)
	queue := audit.NewQueue(recorder, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	for range 10_000 {
		queue.LimitHit("", "rate_limit_address")
		queue.LimitHit("pro-7", "rate_limit_project")
	}
	queue.By(audit.Actor{Kind: audit.Service, Name: "ceremony"}).CodesGuessed("pro-7")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := queue.Run(ctx); err != nil {
		t.Fatal(err)
	}
	stream, err := b.Stream(t.Context(), bus.AuditStream)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 3 {
		t.Errorf("%d messages", n)
	}
	for subject, want := range map[string]audit.Event{
		"passkey.audit._.limit-hit":         {Limit: "rate_limit_address", Count: 10_000},
		"passkey.audit.pro-7.limit-hit":     {Limit: "rate_limit_project", Count: 10_000, Project: "pro-7"},
		"passkey.audit.pro-7.codes-guessed": {Count: 1, Project: "pro-7"},
	} {
		msg, err := stream.GetLastMsgForSubject(t.Context(), subject)
		if err != nil {
			t.Errorf("%s: %v", subject, err)
			continue
		}
		var got audit.Event
		if err := json.Unmarshal(msg.Data, &got); err != nil {
			t.Fatal(err)
		}
		if got.FromMs == 0 || got.ToMs < got.FromMs || got.Limit != want.Limit || got.Count != want.Count || got.Project != want.Project {
			t.Errorf("%s: %s", subject, msg.Data)
		}
	}
}

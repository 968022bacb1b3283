package engine

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/detect"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const entries = 10_000

func defaultEngine(tb testing.TB, opts Options) *Engine {
	tb.Helper()
	e, err := Load(tb.Context(), policies.Bundle, opts)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// busyUser is someone with 3 passkeys and a history of 20 events.
func busyUser() (service.LoginQuestion, Evidence) { return userWith(20) }

func userWith(history int) (service.LoginQuestion, Evidence) {
	yes := true
	acct := &account.Account{Project: "pro-1", ID: "usr-1", Status: rest.UserStatusActive}
	for i := range 3 {
		acct.Credentials = append(acct.Credentials, account.Credential{
			ID: ident.CredentialID("cre-" + strconv.Itoa(i)), CredentialID: fmt.Appendf(nil, "credential %d of this user", i), AAGUID: "fbfc3007-154e-4ecc-8c0b-6e020557d7bd",
			Transports: []string{"internal", "hybrid"}, BackupEligible: true, CreatedOS: "macOS", CreatedMs: noon.Add(-90 * 24 * time.Hour).UnixMilli(),
		})
	}
	types := []event.Type{event.LoginCompleted, event.LoginError, event.AppendOffered, event.AppendExplicitAbort}
	var events []event.Event
	for i := range history {
		n := strconv.Itoa(i)
		e := event.Event{
			ID: ident.EventID("pke-" + n), Project: "pro-1", User: "usr-1", Type: types[i%len(types)], CreatedMs: noon.Add(-time.Duration(i+1) * 36 * time.Hour).UnixMilli(),
			Process: "p" + n, Environment: "env-1", Challenge: "challenge-" + n, Ceremony: ident.ChallengeID("was-" + n),
		}
		switch e.Type {
		case event.LoginCompleted, event.LoginError:
			e.Route, e.Credential = event.Local, "cre-1"
		default:
			e.Kind = event.KindDefault
		}
		events = append(events, e)
	}
	q := service.LoginQuestion{
		Question: service.Question{
			Project: "pro-1", Account: acct, Process: "p", Environment: service.Environment{ID: "env-1", Known: true},
			Client: rest.ClientInformation{
				RemoteAddress: "203.0.113.10",
				UserAgent:     "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
				UserVerifyingPlatformAuthenticatorAvailable: &yes, ConditionalMediationAvailable: &yes, BluetoothAvailable: &yes,
				ClientCapabilities: &rest.ClientCapabilities{
					ConditionalCreate: &yes, ConditionalMediation: &yes, HybridTransport: &yes, PasskeyPlatformAuthenticator: &yes, UserVerifyingPlatformAuthenticator: &yes,
				},
			},
		},
		Strategy: rest.CrossDeviceAuthenticationStrategyStandard,
	}
	return q, Evidence{Events: events, Complete: true, Now: noon}
}

// rows are facts that the first and the last row of the login table answer.
func rows() map[string]*detect.Facts {
	plain := func() *detect.Facts {
		f := &detect.Facts{Complete: true, Account: "active", Strategy: "standard", AccountFacts: &detect.AccountFacts{
			Experiments: detect.Assignments{{Experiment: detect.DeviceLocalPasskey, Arm: detect.Control}},
		}}
		f.Environment.Listed, f.Support.BLE, f.Support.Hybrid = detect.ListedNot, "on", "yes"
		f.Client.OS, f.Client.Browser, f.Client.OSVersion, f.Client.Desktop = "windows", "chrome", 11, true
		return f
	}
	first, last := plain(), plain()
	last.Support.WebAuthn, last.Support.UVPA, last.Credentials.Total = true, true, 1
	return map[string]*detect.Facts{"L1": first, "L13": last}
}

func benchmarkRows(b *testing.B, e *Engine, before func(*detect.Facts, int)) {
	n := 0 // never repeats, since the engine remembers
	for _, rule := range []string{"L1", "L13"} {
		facts := rows()[rule]
		b.Run(rule, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n++
				before(facts, n)
				known, _, err := ask(b.Context(), e, &e.base, login, facts, readLogin)
				if err != nil || known.answer.rule != rule {
					b.Fatalf("rule %+v, error %v", known, err)
				}
			}
		})
	}
}

// BenchmarkDirect evaluates the login table, facts to answer.
func BenchmarkDirect(b *testing.B) {
	benchmarkRows(b, defaultEngine(b, Options{}), func(*detect.Facts, int) {})
}

// BenchmarkMemoHit finds an answer that is known, facts to answer.
func BenchmarkMemoHit(b *testing.B) {
	benchmarkRows(b, defaultEngine(b, Options{MemoEntries: entries}), func(*detect.Facts, int) {})
}

// BenchmarkMemoMiss asks about other facts every time, in a value that the rules only compare with small ones.
func BenchmarkMemoMiss(b *testing.B) {
	benchmarkRows(b, defaultEngine(b, Options{MemoEntries: entries}), func(f *detect.Facts, n int) { f.Pair.SecurityKeyStreak = -n })
}

// BenchmarkFacts turns a request with 3 passkeys and a history into facts: detection and fold.
func BenchmarkFacts(b *testing.B) {
	v := &defaultEngine(b, Options{}).base
	for _, history := range []int{20, 200} {
		q, ev := userWith(history)
		b.Run(fmt.Sprintf("%d events", history), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				in := v.input(q.Question, ev)
				in.Strategy = q.Strategy
				if d := v.knowledge.Login(in); !d.Facts.Pair.Positive || d.Facts.Credentials.Likely != 3 {
					b.Fatalf("%+v", d.Facts)
				}
			}
		})
	}
}

func loginOf(project ident.ProjectID) service.LoginQuestion {
	q, _ := busyUser()
	q.Project = project
	return q
}

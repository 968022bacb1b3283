package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const entries = 10_000

func defaultEngine(tb testing.TB, opts Options) *Engine {
	tb.Helper()
	e, err := Load(tb.Context(), policiestest.Files(tb), opts)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// busyUser is someone with 3 passkeys and a history of 20 events.
func busyUser() (service.LoginQuestion, Evidence) { return userWith(20) }

// userWith comes without the caller's own parse of the device, so that the user agent has to be read.
func userWith(history int) (service.LoginQuestion, Evidence) {
	q := factstest.BusyUser(noon)
	q.Client.ParsedDeviceInfo = nil
	return q, Evidence{Events: event.NewSet(factstest.BusyHistory(noon, history)), Complete: true, Now: noon}
}

// rows are facts that the first and the last row of the login table answer.
func rows() map[string]*facts.Facts {
	plain := func() *facts.Facts {
		f := &facts.Facts{Complete: true, Account: "active", Strategy: "standard", AccountFacts: &facts.AccountFacts{
			Experiments: facts.Assignments{{Experiment: facts.DeviceLocalPasskey, Arm: facts.Control}},
		}}
		f.Environment.Listed, f.Support.BLE, f.Support.Hybrid = facts.ListedNot, "on", "yes"
		f.Client.OS, f.Client.Browser, f.Client.OSVersion, f.Client.Desktop = "windows", "chrome", 11, true
		return f
	}
	first, last := plain(), plain()
	last.Support.WebAuthn, last.Support.UVPA, last.Credentials.Total = true, true, 1
	return map[string]*facts.Facts{"L1": first, "L13": last}
}

func benchmarkRows(b *testing.B, e *Engine, before func(*view)) {
	v := e.base
	for _, rule := range []string{"L1", "L13"} {
		facts := rows()[rule]
		b.Run(rule, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				before(&v)
				known, _, err := ask(b.Context(), e, &v, login, nil, facts, readLogin)
				if err != nil || known.answer.rule != rule {
					b.Fatalf("rule %+v, error %v", known, err)
				}
			}
		})
	}
}

// BenchmarkDirect evaluates the login table, facts to answer.
func BenchmarkDirect(b *testing.B) {
	benchmarkRows(b, defaultEngine(b, Options{}), func(*view) {})
}

// BenchmarkMemoHit finds an answer that is known, facts to answer.
func BenchmarkMemoHit(b *testing.B) {
	benchmarkRows(b, defaultEngine(b, Options{MemoEntries: entries}), func(*view) {})
}

// BenchmarkMemoMiss asks in another project every time: there are not as many facts that rules tell apart.
func BenchmarkMemoMiss(b *testing.B) {
	benchmarkRows(b, defaultEngine(b, Options{MemoEntries: entries}), func(v *view) { v.number++ })
}

// BenchmarkMemoHitRisk finds how the same user's login is judged, of whom most facts are known.
func BenchmarkMemoHitRisk(b *testing.B) {
	e := defaultEngine(b, Options{MemoEntries: entries})
	q, ev := busyUser()
	d := e.base.login(q, ev)
	b.ReportAllocs()
	for b.Loop() {
		if judged := e.judge(b.Context(), &e.base, &d); judged.Err != nil {
			b.Fatal(judged.Err)
		}
	}
}

// BenchmarkFacts turns a request with 3 passkeys and a history into facts: detection and fold.
func BenchmarkFacts(b *testing.B) {
	v := &defaultEngine(b, Options{}).base
	for _, history := range []int{20, 200, 2000} {
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

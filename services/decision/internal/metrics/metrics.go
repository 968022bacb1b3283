// Package metrics counts what is decided, by which policy, and what of that failed. The names of the metrics are an interface to operators.
// It touches the registry that it is given.
package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/shadow"
)

// maxRules bounds the values of the label rule. Rows are named by the policy, and a policy can be wrong.
const (
	maxRules  = 100
	otherRule = "other"
)

// Metrics are counted by any number of goroutines at once.
type Metrics struct {
	decisions      *prometheus.CounterVec
	risks          *prometheus.CounterVec           // by action and level
	durations      map[string]prometheus.Observer   // by action
	memo           map[string][2]prometheus.Counter // by action: misses and hits
	MemoEvictions  prometheus.Counter
	memoPaths      *prometheus.GaugeVec
	PolicyErrors   *prometheus.CounterVec
	LookupFailures prometheus.Counter
	ReloadFailures prometheus.Counter
	Lost           prometheus.Counter
	revision       *prometheus.GaugeVec
	arms           *prometheus.CounterVec // by side and what became of it
	shares         *prometheus.GaugeVec   // of what is tried
	Returned       prometheus.Counter
	shadowed       *prometheus.CounterVec

	mu    sync.RWMutex
	rules map[[2]string]prometheus.Counter // by action and rule
}

// New registers the metrics; memoSize tells how many answers are remembered.
func New(registry prometheus.Registerer, memoSize func() float64) *Metrics {
	factory := promauto.With(registry)
	durations := factory.NewHistogramVec(prometheus.HistogramOpts{
		Name: "keyward_decision_duration_seconds", Help: "Time from question to answer, reads of the history included.",
		Buckets: prometheus.ExponentialBuckets(25e-6, 2, 14),
	}, []string{"action"})
	asked := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "keyward_policy_memo_total",
		Help: "Questions to the policy, by action and by whether the answer was remembered (hit) or the rules were evaluated (miss).",
	}, []string{"action", "result"})
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "keyward_policy_memo_entries", Help: "Answers of the policy that are remembered.",
	}, memoSize)
	byAction, memo := map[string]prometheus.Observer{}, map[string][2]prometheus.Counter{}
	for _, action := range engine.Actions() {
		byAction[action] = durations.WithLabelValues(action)
		memo[action] = [2]prometheus.Counter{asked.WithLabelValues(action, "miss"), asked.WithLabelValues(action, "hit")}
	}
	return &Metrics{
		durations: byAction,
		memo:      memo,
		MemoEvictions: factory.NewCounter(prometheus.CounterOpts{
			Name: "keyward_policy_memo_evictions_total", Help: "Remembered answers that made room for others.",
		}),
		memoPaths: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "keyward_policy_memo_path_info",
			Help: "1 for each value of the facts that the rules of an action read: decisions that agree on all of them share an answer.",
		}, []string{"action", "path"}),
		decisions: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_decisions_total", Help: "Decisions, by action and by the row of the decision table that answered.",
		}, []string{"action", "rule"}),
		risks: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_risks_total",
			Help: "Starts and finishes by how they were judged for risk: what the rules would do, and how much is wrong.",
		}, []string{"action", "level"}),
		PolicyErrors: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_policy_errors_total", Help: "Decisions answered with the safe default because the policy failed, by cause; healthy is 0.",
		}, []string{"action", "cause"}),
		LookupFailures: factory.NewCounter(prometheus.CounterOpts{
			Name: "keyward_decision_lookup_failures_total",
			Help: "Decisions made on incomplete facts because history could not be read; healthy is 0.",
		}),
		ReloadFailures: factory.NewCounter(prometheus.CounterOpts{
			Name: "keyward_policy_reload_failures_total", Help: "Changed policy bundles that were refused; healthy is 0.",
		}),
		Lost: factory.NewCounter(prometheus.CounterOpts{
			Name: "keyward_decisions_lost_total", Help: "Decisions that were not recorded; healthy is 0.",
		}),
		revision: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "keyward_policy_info", Help: "1 for the policy revision that answers.",
		}, []string{"revision"}),
		arms: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_canary_decisions_total",
			Help: "Decisions while a canary was under way, by side, base or canary, and outcome: allowed, denied, or default if the policy failed.",
		}, []string{"side", "outcome"}),
		shares: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "keyward_policy_tried_share",
			Help: "Which share of users a canary judges, and of which share of decisions a shadow is asked; 0 = there is none.",
		}, []string{"by"}),
		Returned: factory.NewCounter(prometheus.CounterOpts{
			Name: "keyward_canary_returns_total", Help: "Canaries that this instance has ended because they passed a bound; healthy is 0.",
		}),
		shadowed: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_shadow_decisions_total",
			Help: "Decisions that a shadow was to judge, by what it answered: same, different or failed; skipped if too many waited.",
		}, []string{"answer"}),
		rules: map[[2]string]prometheus.Counter{},
	}
}

// Tries tells which share of users a canary judges, and of which share of decisions a shadow is asked; 0 = there is none.
func (m *Metrics) Tries(canary, shadow float64) {
	m.shares.WithLabelValues("canary").Set(canary)
	m.shares.WithLabelValues("shadow").Set(shadow)
}

// DecidedBy counts a decision of a side of a canary.
func (m *Metrics) DecidedBy(side event.Side, allow, failed bool) {
	outcome := "denied"
	switch {
	case failed:
		outcome = "default"
	case allow:
		outcome = "allowed"
	}
	m.arms.WithLabelValues(string(side), outcome).Inc()
}

// Shadowed counts what a shadow answered; nil if it was not asked.
func (m *Metrics) Shadowed(other *shadow.Answer) {
	answer := "different"
	switch {
	case other == nil:
		answer = "skipped"
	case other.Failed != "":
		answer = "failed"
	case other.Same:
		answer = "same"
	}
	m.shadowed.WithLabelValues(answer).Inc()
}

// Activated tells which policy answers and, by action, which values of the facts its rules read.
func (m *Metrics) Activated(revision string, reads map[string][]string) {
	m.revision.Reset()
	m.revision.WithLabelValues(revision).Set(1)
	m.memoPaths.Reset()
	for action, paths := range reads {
		for _, path := range paths {
			m.memoPaths.WithLabelValues(action, path).Set(1)
		}
	}
}

// Decided counts a decision.
func (m *Metrics) Decided(action, rule string, memoised bool, took time.Duration) {
	m.counter(action, rule).Inc()
	memo := m.memo[action]
	if memoised {
		memo[1].Inc()
	} else {
		memo[0].Inc()
	}
	m.durations[action].Observe(took.Seconds())
}

// Judged counts how a request was judged for risk. Beside what it asked for that takes a part of the decision's time, which is observed as
// a whole; otherwise it is the decision, and its memo is counted with that.
func (m *Metrics) Judged(r *engine.Risk, beside bool) {
	m.risks.WithLabelValues(string(r.Verdict.Action), string(r.Verdict.Level)).Inc()
	if !beside {
		return
	}
	memo := m.memo[engine.ActionRisk]
	if r.Memoised {
		memo[1].Inc()
	} else {
		memo[0].Inc()
	}
}

func (m *Metrics) counter(action, rule string) prometheus.Counter {
	key := [2]string{action, rule}
	m.mu.RLock()
	counter, ok := m.rules[key]
	m.mu.RUnlock()
	if ok {
		return counter
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.rules) >= maxRules {
		return m.decisions.WithLabelValues(action, otherRule)
	}
	counter = m.decisions.WithLabelValues(action, rule)
	m.rules[key] = counter
	return counter
}

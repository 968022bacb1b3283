package decision

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/keyward/keyward/services/decision/internal/engine"
)

// maxRules bounds the values of the label rule. Rows are named by the policy, and a policy can be wrong.
const (
	maxRules  = 100
	otherRule = "other"
)

type metrics struct {
	decisions      *prometheus.CounterVec
	durations      map[string]prometheus.Observer // by action
	policyErrors   *prometheus.CounterVec
	lookupFailures prometheus.Counter
	reloadFailures prometheus.Counter
	lost           prometheus.Counter
	revision       *prometheus.GaugeVec

	mu    sync.RWMutex
	rules map[[2]string]prometheus.Counter // by action and rule
}

func newMetrics(registry prometheus.Registerer) *metrics {
	factory := promauto.With(registry)
	durations := factory.NewHistogramVec(prometheus.HistogramOpts{
		Name: "keyward_decision_duration_seconds", Help: "Time from question to answer, reads of the history included.",
		Buckets: prometheus.ExponentialBuckets(25e-6, 2, 14),
	}, []string{"action"})
	byAction := map[string]prometheus.Observer{}
	for _, action := range []string{engine.ActionLogin, engine.ActionAppend, engine.ActionMediation} {
		byAction[action] = durations.WithLabelValues(action)
	}
	return &metrics{
		durations: byAction,
		decisions: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_decisions_total", Help: "Decisions, by action and by the row of the decision table that answered.",
		}, []string{"action", "rule"}),
		policyErrors: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_policy_errors_total", Help: "Decisions answered with the safe default because the policy failed, by cause; healthy is 0.",
		}, []string{"action", "cause"}),
		lookupFailures: factory.NewCounter(prometheus.CounterOpts{
			Name: "keyward_decision_lookup_failures_total", Help: "Decisions made on incomplete facts because history could not be read; healthy is 0.",
		}),
		reloadFailures: factory.NewCounter(prometheus.CounterOpts{
			Name: "keyward_policy_reload_failures_total", Help: "Changed policy bundles that were refused; healthy is 0.",
		}),
		lost: factory.NewCounter(prometheus.CounterOpts{
			Name: "keyward_decisions_lost_total", Help: "Decisions that were not recorded; healthy is 0.",
		}),
		revision: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "keyward_policy_info", Help: "1 for the policy revision that answers.",
		}, []string{"revision"}),
		rules: map[[2]string]prometheus.Counter{},
	}
}

func (m *metrics) activated(revision string) {
	m.revision.Reset()
	m.revision.WithLabelValues(revision).Set(1)
}

func (m *metrics) decided(action, rule string, took time.Duration) {
	m.counter(action, rule).Inc()
	m.durations[action].Observe(took.Seconds())
}

func (m *metrics) counter(action, rule string) prometheus.Counter {
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

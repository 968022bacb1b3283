package decision_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

// measured returns the values of a metric, by its labels in the order of their names.
func measured(t *testing.T, registry *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			values[strings.Join(labels, " ")] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return values
}

func TestMetricsTellWhatTheMemoBrings(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		off                bool
		miss, hit, entries float64
	}{
		"on":  {false, 2, 3, 4}, // two of logins, two of risk: its rules read how many passkeys there are
		"off": {true, 5, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := prometheus.NewRegistry()
			svc := newService(t, serviceOptions{now: noon, registry: registry, noMemo: tc.off})
			q := factstest.BusyUser(noon)
			for range 3 {
				login(t, svc, q)
			}
			// Another user, device name and process: none of it matters to the rules.
			q.Account.ID, q.Process, q.Client.ParsedDeviceInfo.BrowserVersion = "usr-2", "other", "18.2"
			login(t, svc, q)
			q.Account.Credentials = nil
			login(t, svc, q)
			asked := measured(t, registry, "keyward_policy_memo_total")
			if asked["login miss"] != tc.miss || asked["login hit"] != tc.hit || asked["append miss"] != 0 {
				t.Errorf("asked %v", asked)
			}
			if got := measured(t, registry, "keyward_policy_memo_entries")[""]; got != tc.entries {
				t.Errorf("%v entries", got)
			}
			paths := measured(t, registry, "keyward_policy_memo_path_info")
			if paths["login credentials.total"] != 1 || paths["mediation support.conditionalGet"] != 1 || paths["mediation credentials.total"] != 0 {
				t.Errorf("paths %v", paths)
			}
			if got := testutil.CollectAndCount(registry, "keyward_policy_memo_evictions_total"); got != 1 {
				t.Errorf("%d series of evictions", got)
			}
		})
	}
}

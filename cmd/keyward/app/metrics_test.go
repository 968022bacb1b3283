package app_test

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/cmd/keyward/app"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/redistest"
)

const deploy = "../../../deploy"

// metric is what a process says of one: its help, and by which labels there are several.
type metric struct {
	help   string
	labels []string
}

var (
	described = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "((?:[^"\\]|\\.)*)".*variableLabels: \{([^}]*)\}\}$`)
	named     = regexp.MustCompile(`\b((?:keyward|process|go)_[a-z0-9_]+)\b(?:\{([^}]*)\})?`)
	label     = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`)
	grouped   = regexp.MustCompile(`by \(([^)]*)\)`)
	healthy   = regexp.MustCompile(`(?i)healthy(?: is |: )(?:0|none)`)
)

// metrics are all that processes can tell: with a certificate and metadata of authenticators, one with Redis and one without.
func metrics(t *testing.T) map[string]metric {
	t.Helper()
	all := map[string]metric{}
	for _, redis := range []string{"", redistest.Serve(t)} {
		cfg := configuration(t)
		cfg.Redis.URL, cfg.TLSDev, cfg.NATS.DataDir = settings.Secret(redis), true, filepath.Join(t.TempDir(), "data")
		cfg.Follow(func(key string) bool { return key == "frontend_url" })
		cfg.Decision.Metadata.Source = filepath.Join(t.TempDir(), "blob.jwt") // it has only to be looked for
		a, _ := mustStart(t, cfg, io.Discard)
		found := told(t, a)
		for found["keyward_dependency_state"].help == "" { // it is looked at what a process needs once it runs
			<-time.After(10 * time.Millisecond)
			found = told(t, a)
		}
		maps.Copy(all, found)
	}
	return all
}

func told(t *testing.T, a *app.App) map[string]metric {
	t.Helper()
	found := map[string]metric{}
	for _, one := range a.Metrics() {
		parts := described.FindStringSubmatch(one.String())
		if parts == nil {
			t.Fatalf("%s is described in some other way", one)
		}
		found[parts[1]] = metric{parts[2], strings.FieldsFunc(parts[3], func(r rune) bool { return r == ',' })}
	}
	return found
}

type alert struct {
	Alert, Expr string
	Annotations struct{ Summary, Runbook string }
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var read struct {
		Groups []struct{ Rules []alert }
	}
	readYAML(t, "prometheus/keyward.rules.yaml", &read)
	var all []alert
	for _, group := range read.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// queries are those of the dashboards.
func queries(t *testing.T) []string {
	t.Helper()
	var read struct {
		Dashboards []struct {
			Rows []struct {
				Panels []struct {
					Queries []struct{ Expr string }
				}
			}
		}
	}
	readYAML(t, "grafana/dashboards.yaml", &read)
	var all []string
	for _, board := range read.Dashboards {
		for _, row := range board.Rows {
			for _, panel := range row.Panels {
				for _, query := range panel.Queries {
					all = append(all, query.Expr)
				}
			}
		}
	}
	return all
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deploy, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// reads returns the metrics that a query is about, and says which of them, or of their labels, there are not.
func reads(t *testing.T, all map[string]metric, query string) []string {
	t.Helper()
	known := []string{"job", "instance", "le", "quantile"} // what Prometheus and histograms add
	var found []string
	for _, one := range named.FindAllStringSubmatch(query, -1) {
		name := one[1]
		if _, whole := all[name]; !whole {
			name = regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		}
		m, is := all[name]
		if !is {
			t.Errorf("there is no %s, which is asked for by %s", one[1], query)
			continue
		}
		found = append(found, name)
		known = append(known, m.labels...)
		for _, l := range label.FindAllStringSubmatch(one[2], -1) {
			if !slices.Contains(known, l[1]) {
				t.Errorf("%s has no label %s, which is asked for by %s", name, l[1], query)
			}
		}
	}
	for _, by := range grouped.FindAllStringSubmatch(query, -1) {
		for _, l := range strings.Split(by[1], ",") {
			if l = strings.TrimSpace(l); !slices.Contains(known, l) && l != "version" {
				t.Errorf("no metric has the label %s in %s", l, query)
			}
		}
	}
	return found
}

func TestAlertsAndDashboardsAreAboutWhatAProcessTells(t *testing.T) {
	t.Parallel()
	all := metrics(t)
	alerted, shown := map[string]bool{}, map[string]bool{}
	for _, one := range alerts(t) {
		for _, name := range reads(t, all, one.Expr) {
			alerted[name] = true
		}
	}
	for _, query := range queries(t) {
		for _, name := range reads(t, all, query) {
			shown[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.HasPrefix(name, "keyward_") {
			continue
		}
		if healthy.MatchString(all[name].help) && !alerted[name] {
			t.Errorf("%s is healthy at 0, and no alert is about it", name)
		}
		if !shown[name] && name != "keyward_policy_memo_path_info" { // it is for who writes rules
			t.Errorf("%s is on no dashboard", name)
		}
	}
}

func TestEveryAlertHasARunbookAndATest(t *testing.T) {
	t.Parallel()
	book, err := os.ReadFile("../../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	var headings, names []string
	for line := range strings.Lines(string(book)) {
		if name, is := strings.CutPrefix(strings.TrimSpace(line), "## "); is {
			headings = append(headings, name)
		}
	}
	for _, one := range alerts(t) {
		names = append(names, one.Alert)
		if want := "docs/alerts.md#" + strings.ToLower(one.Alert); one.Annotations.Runbook != want || one.Annotations.Summary == "" {
			t.Errorf("%s has the runbook %s, and should have %s and a summary", one.Alert, one.Annotations.Runbook, want)
		}
	}
	if !slices.Equal(headings, names) {
		t.Errorf("docs/alerts.md tells of\n%v\nand there are\n%v", headings, names)
	}
	var tests struct {
		Tests []struct {
			Name  string
			Cases []struct {
				Alertname string
				Expected  []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	readYAML(t, "prometheus/keyward.rules.test.yaml", &tests)
	fires := map[string]bool{}
	for _, one := range tests.Tests {
		for _, c := range one.Cases {
			fires[c.Alertname] = fires[c.Alertname] || len(c.Expected) > 0
		}
	}
	for _, name := range names {
		if !fires[name] {
			t.Errorf("no test has %s fire", name)
		}
	}
}

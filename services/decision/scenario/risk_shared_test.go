package scenario_test

import (
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/scenario"
)

// each returns the scenarios of a file as files of their own, by name.
func each(t *testing.T, file string) map[string][]byte {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var whole struct {
		Now         string                    `yaml:"now"`
		Clients     map[string]map[string]any `yaml:"clients"`
		Credentials map[string]map[string]any `yaml:"credentials"`
		Lists       map[string]any            `yaml:"lists"`
		Networks    map[string]any            `yaml:"networks"`
		Models      map[string]any            `yaml:"authenticators"`
		Scenarios   []map[string]any          `yaml:"scenarios"`
	}
	if err := yaml.Unmarshal(raw, &whole); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, s := range whole.Scenarios {
		name, _ := s["name"].(string)
		alone, err := yaml.Marshal(map[string]any{
			"now": whole.Now, "clients": whole.Clients, "credentials": whole.Credentials, "lists": whole.Lists,
			"networks": whole.Networks, "authenticators": whole.Models, "scenarios": []any{s},
		})
		if err != nil {
			t.Fatal(err)
		}
		files[name] = alone
	}
	return files
}

func TestSharedScenariosOfRiskPass(t *testing.T) {
	t.Parallel()
	files := each(t, "testdata/risk-scenarios.yaml")
	bundle, err := scenario.Open(t.Context(), policiestest.Files(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range files {
		if failure := fails(t, bundle, file); failure != "" {
			t.Errorf("%s: %s", name, failure)
		}
	}
}

// fails returns why a file cannot be run, or what came instead; empty = it passes.
func fails(t *testing.T, bundle *scenario.Bundle, file []byte) string {
	t.Helper()
	suite, err := scenario.Parse("shared", file)
	if err != nil {
		return err.Error()
	}
	report, err := bundle.Run(t.Context(), suite)
	if err != nil {
		return err.Error()
	}
	if report.Failed == 0 {
		return ""
	}
	var said strings.Builder
	if err := report.WriteText(&said, false); err != nil {
		t.Fatal(err)
	}
	return said.String()
}

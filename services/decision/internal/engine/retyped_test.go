package engine_test

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/engine"
)

// TestABundleOfBeforeIsNotJudgedByAnotherTypeThanItMeans has rules that read whether a backup state has changed as a yes or no.
func TestABundleOfBeforeIsNotJudgedByAnotherTypeThanItMeans(t *testing.T) {
	t.Parallel()
	const before = "\nsevere contains 2 if input.used.backupChanged\n"
	now := "\nsevere contains 2 if input.used.backupChanged == \"state\"\n"
	schema := func(rules string) error {
		files := policiestest.Files(t)
		files["risk/risk.rego"].Data = append(files["risk/risk.rego"].Data, rules+"\nseverities contains n if some n in severe\n"...)
		content := string(files["schemas/risk.jsonschema"].Data)
		if rules == before {
			at := strings.Index(content, `"backupChanged": {`)
			end := at + strings.Index(content[at:], "}")
			content = content[:at] + `"backupChanged": {"type": "boolean"` + content[end:]
			files["schemas/risk.jsonschema"].Data = []byte(content)
		}
		_, err := engine.Load(t.Context(), files, engine.Options{})
		return err
	}
	const told = "schemas/risk.jsonschema:1: input.used.backupChanged is none or state"
	if err := schema(before); err == nil || !strings.Contains(err.Error(), told) {
		t.Errorf("a rule of before: %v", err)
	}
	if err := schema(now); err != nil {
		t.Errorf("a rule of now: %v", err)
	}
}

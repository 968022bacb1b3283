package admit

import (
	"slices"
	"testing"

	"github.com/keyward/keyward/policies/policiestest"
)

func TestWhatCallersMayNotSendAnyMoreIsAdvice(t *testing.T) {
	t.Parallel()
	before, files := policiestest.Dir(t, policiestest.Files(t)), policiestest.Files(t)
	policiestest.Edit(t, files, "schemas/context.jsonschema", `"phone",`, ``)
	r := Report{Revision: "rev-1"}
	if err := r.Against(before, files); err != nil {
		t.Fatal(err)
	}
	want := []string{`Callers that send what the bundle before allows get 400: context.channel: "phone" is no value any more.`}
	if !slices.Equal(r.Advice, want) {
		t.Errorf("advised %q", r.Advice)
	}
	wider := Report{Revision: "rev-1"}
	if err := wider.Against(policiestest.Dir(t, files), policiestest.Files(t)); err != nil || len(wider.Advice) != 0 {
		t.Errorf("of a schema that is wider: %q, %v", wider.Advice, err)
	}
	for name, c := range map[string]struct {
		dir     string
		refused bool
	}{"nothing is compared": {"", false}, "there is no such bundle": {t.TempDir() + "/none", true}} {
		if err := r.Against(c.dir, files); (err != nil) != c.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

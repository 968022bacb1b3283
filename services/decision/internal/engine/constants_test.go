package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/engine"
)

func TestARowThatCanNeverAnswerIsRefusedAtLoadWhetherOrNotItIsReached(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ file, old, replacement, want string }{
		"a tag": {
			"login/login.rego", `deny("L8", "env-blacklisted")`, `deny("L8", "env-blocked")`,
			`"env-blocked": tag must be a decision tag of the wire`,
		},
		"a tag that a helper hands on": {
			"append/append.rego", `offer("A11", "process-pk-login-cross-platform-completed"`, `offer("A11", "nothing-like-it"`,
			`"nothing-like-it": tag`,
		},
		"a tag in the answer itself": {
			"mediation/mediation.rego", `deny("M3", "env-blacklisted")`, `{"rule": "M3", "allow": false, "tag": "odd"}`, `"odd": tag`,
		},
		"a tag of rollout": {
			"rollout/rollout.rego", `deny("R3", "rollout-sampled-out"`, `deny("R3", "user-no-pks"`,
			`"user-no-pks": tag must be a tag of rollout`,
		},
		"a row's name": {
			"login/login.rego", `deny("L8",`, `deny("L8-` + strings.Repeat("x", 40) + `",`,
			`rule must be a name of at most 32 bytes`,
		},
		"a route": {"login/login.rego", `"route": "cda"`, `"route": "hybrid"`, `"hybrid": route must be local, cda or security-key`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := policiestest.Files(t)
			content := string(files[tc.file].Data)
			policiestest.Edit(t, files, tc.file, tc.old, tc.replacement)
			_, err := engine.Load(t.Context(), files, engine.Options{})
			var refused *bundle.Error
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("want %q, got %v", tc.want, err)
			}
			line := 1 + strings.Count(strings.SplitN(content, tc.old, 2)[0], "\n")
			if refused.File != tc.file || refused.Line != line {
				t.Errorf("at %s:%d, want line %d", refused.File, refused.Line, line)
			}
		})
	}
}

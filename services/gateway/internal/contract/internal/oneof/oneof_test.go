package oneof_test

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/services/gateway/internal/contract/internal/oneof"
)

func TestWhatIsMeantIsSaidIfItIsNear(t *testing.T) {
	t.Parallel()
	words := []any{"passed", "failed"}
	for got, want := range map[string]string{
		"Passed":                 "must be one of passed, failed; did you mean passed?",
		"faild":                  "must be one of passed, failed; did you mean failed?",
		"expired-long-since":     "must be one of passed, failed",
		strings.Repeat("x", 999): "must be one of passed, failed",
	} {
		if said := oneof.Say(got, words); said != want {
			t.Errorf("of %.20s it is said: %s", got, said)
		}
	}
	if said := oneof.Say(3.0, []any{1.0, 2.0}); said != "must be one of 1, 2; did you mean 1?" {
		t.Errorf("of a number: %s", said)
	}
}

package bound_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/releasecmd/internal/bound"
)

func TestBoundsAreReadByTheirNames(t *testing.T) {
	t.Parallel()
	b, err := bound.Parse([]string{"errors=3", "completed=0.05", "completed=0.1"})
	if err != nil || *b.Errors != 3 || *b.Completed != 0.1 || b.Allow != nil {
		t.Errorf("%+v, %v", b, err)
	}
	for given, want := range map[string]string{
		"completd=1":    "there is no such bound",
		"errors":        `errors: "" must be a whole number`,
		"errors=0.5":    `errors: "0.5" must be a whole number`,
		"allow=a lot":   `allow: "a lot" must be a number`,
		"settleSeconds": "must be a whole number",
	} {
		_, err := bound.Parse([]string{given})
		if usage := (command.UsageError{}); !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", given, err)
		}
	}
}

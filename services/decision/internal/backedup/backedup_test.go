package backedup_test

import (
	"encoding/json"
	"testing"

	"github.com/keyward/keyward/services/decision/internal/backedup"
)

func TestWhetherABackupStateChangedIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]backedup.Change{
		"true": backedup.State, "false": backedup.Same, `"state"`: backedup.State, `"none"`: backedup.Same,
	} {
		var read backedup.Change
		if err := json.Unmarshal([]byte(written), &read); err != nil || read != want {
			t.Errorf("%s is read as %q: %v", written, read, err)
		}
	}
	if err := json.Unmarshal([]byte("1"), new(backedup.Change)); err == nil {
		t.Error("a number is read")
	}
}

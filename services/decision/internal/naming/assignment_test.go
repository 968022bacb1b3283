package naming_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/services/decision/internal/naming"
)

func TestAssignmentsKeepTheirJSONForm(t *testing.T) {
	t.Parallel()
	given := naming.Assignments{{Experiment: "ardour", Arm: naming.Treatment}, {Experiment: "zeal", Arm: naming.Control}}
	raw, err := json.Marshal(given)
	if err != nil || string(raw) != `{"ardour":"treatment","zeal":"control"}` {
		t.Fatalf("%s, %v", raw, err)
	}
	var back naming.Assignments
	if err := json.Unmarshal(raw, &back); err != nil || !cmp.Equal(given, back) {
		t.Errorf("%v, %v", back, err)
	}
	if raw, err = json.Marshal(naming.Assignments(nil)); err != nil || string(raw) != "{}" {
		t.Errorf("none: %s, %v", raw, err)
	}
	if err := json.Unmarshal([]byte(`["ardour"]`), &back); err == nil {
		t.Error("a list was accepted")
	}
}

package document_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/keyward/keyward/services/decision/internal/document"
)

type shared struct {
	Salt string `json:"salt"`
}

type limits struct {
	shared
	Default struct {
		Count int `json:"count"`
	} `json:"default"`
	Later int `json:"later,omitempty"`
}

func TestADocumentThatDoesNotFitIsRefusedWithThePlace(t *testing.T) {
	t.Parallel()
	type object = map[string]any
	whole := object{"count": 3}
	for name, tc := range map[string]struct {
		space object
		keys  string
		says  string
	}{
		"no document":       {nil, "keyward.limits", "is missing"},
		"a field is absent": {object{"limits": object{"salt": "x"}}, "keyward.limits.default", "missing parameter default"},
		"a field of a field is absent": {
			object{"limits": object{"salt": "x", "default": object{}}}, "keyward.limits.default.count",
			"missing parameter default.count",
		},
		"an embedded field is absent": {object{"limits": object{"default": whole}}, "keyward.limits.salt", "missing parameter salt"},
		"a field is of another kind":  {object{"limits": object{"salt": 1, "default": whole}}, "keyward.limits", "does not fit"},
		"the document is no object":   {object{"limits": "x"}, "keyward.limits", "does not fit"},
		"a value that has no JSON form": {
			object{"limits": object{"salt": make(chan int), "default": whole}}, "keyward.limits", "unsupported type",
		},
	} {
		var into limits
		err := document.Decode(tc.space, "limits", &into)
		var misfit *document.MisfitError
		if !errors.As(err, &misfit) || strings.Join(misfit.Keys, ".") != tc.keys || !strings.Contains(misfit.Message, tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFieldThatBundlesFromBeforeLackMayBeAbsent(t *testing.T) {
	t.Parallel()
	var into limits
	space := map[string]any{"limits": map[string]any{"salt": "x", "default": map[string]any{"count": 3}}}
	if err := document.Decode(space, "limits", &into); err != nil || into.Default.Count != 3 || into.Salt != "x" || into.Later != 0 {
		t.Errorf("%+v, %v", into, err)
	}
}

package scope_test

import (
	"testing"

	"github.com/keyward/keyward/services/gateway/internal/scope"
)

func TestAScopeFitsItsOperation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		said        any
		operators   bool
		path, query []string
		good        bool
	}{
		"not for operators":                     {nil, false, []string{"projectID"}, nil, true},
		"not for operators, with one":           {"shared", false, nil, nil, false},
		"for operators, without one":            {nil, true, nil, nil, false},
		"one that there is not":                 {"some", true, nil, nil, false},
		"a project in the path":                 {"path", true, []string{"projectID", "userID"}, nil, true},
		"a project in the path, not looked at":  {"shared", true, []string{"projectID"}, nil, false},
		"no project in the path":                {"path", true, []string{"userID"}, nil, false},
		"a filter":                              {"filter projectID", true, nil, []string{"filter[]"}, true},
		"a filter of no field":                  {"filter", true, nil, []string{"filter[]"}, false},
		"a filter that it does not take":        {"filter projectID", true, nil, nil, false},
		"a field without a filter":              {"shared projectID", true, nil, []string{"filter[]"}, false},
		"a filter that is said of what answers": {"answer", true, nil, []string{"filter[]"}, true},
	} {
		if err := scope.Of(c.said).Check(c.operators, c.path, c.query); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package releasecmd

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/api/operator"
)

func TestHowFarInstancesAreWithAChange(t *testing.T) {
	t.Parallel()
	instance := func(name string, change int32, more func(*operator.PolicyInstance)) operator.PolicyInstance {
		i := operator.PolicyInstance{Instance: name, Host: "h", Source: operator.PolicyInstanceSourceStore}
		if change > 0 {
			i.Change = &change
		}
		if more != nil {
			more(&i)
		}
		return i
	}
	behind := func(i *operator.PolicyInstance) { i.Behind = true }
	refusing := func(i *operator.PolicyInstance) { i.Behind, i.Refused = true, new("login.rego:7: no") }
	apart := func(i *operator.PolicyInstance) { i.Source, i.Behind = operator.PolicyInstanceSourceDirectory, true }
	idle := func(i *operator.PolicyInstance) { i.Source, i.Behind = operator.PolicyInstanceSourceBinary, true }
	for name, c := range map[string]struct {
		instances []operator.PolicyInstance
		done      bool
		refused   bool
		missing   string
	}{
		"all answer by it":              {[]operator.PolicyInstance{instance("a", 3, nil), instance("b", 3, nil)}, true, false, ""},
		"one has gone on":               {[]operator.PolicyInstance{instance("a", 4, nil), instance("b", 3, nil)}, true, false, ""},
		"one is behind":                 {[]operator.PolicyInstance{instance("a", 3, nil), instance("b", 2, behind)}, false, false, "1 of 2"},
		"one has not heard of it":       {[]operator.PolicyInstance{instance("a", 2, nil)}, false, false, "a on h"},
		"one holds nothing of it yet":   {[]operator.PolicyInstance{instance("a", 0, idle)}, false, false, "a on h"},
		"one refuses it":                {[]operator.PolicyInstance{instance("a", 3, nil), instance("b", 3, refusing)}, false, true, ""},
		"one refused what was before":   {[]operator.PolicyInstance{instance("a", 3, nil), instance("b", 2, refusing)}, false, false, "b on h"},
		"one does not follow the store": {[]operator.PolicyInstance{instance("a", 3, nil), instance("b", 0, apart)}, true, false, ""},
		"none follows the store":        {[]operator.PolicyInstance{instance("b", 0, apart)}, false, false, "policy_source: b on h"},
		"there is none":                 {nil, false, false, "no instance of the decision service"},
	} {
		s := standingOf(operator.PolicyStatus{Instances: c.instances}, 3)
		if s.done() != c.done || (len(s.refused) > 0) != c.refused || c.missing != "" && !strings.Contains(s.missing(), c.missing) {
			t.Errorf("%s: %+v, %q", name, s, s.missing())
		}
		if c.refused && s.refused[0] != "b on h: login.rego:7: no" {
			t.Errorf("%s: %q", name, s.refused)
		}
	}
}

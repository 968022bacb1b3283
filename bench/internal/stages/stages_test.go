package stages

import (
	"strings"
	"testing"
)

func TestEachKindOfCallHasABoundAndAReason(t *testing.T) {
	t.Parallel()
	bounds, err := readBounds()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range kinds {
		if b := bounds[kind.name]; b.Allocations == 0 || b.Messages == 0 || b.Why == "" {
			t.Errorf("%s: %+v", kind.name, b)
		}
	}
	if len(bounds) != len(kinds) {
		t.Errorf("%d bounds of %d kinds of calls", len(bounds), len(kinds))
	}
}

func TestACostIsAnErrorOnceItPassesItsBound(t *testing.T) {
	t.Parallel()
	most := bound{Allocations: 100, Messages: 3, Flushes: 1, Why: "the event"}
	for name, c := range map[string]struct {
		cost counts
		want []string
	}{
		"all within":                      {counts{micros: 1e9, allocations: 100, messages: 3, flushes: 1, trips: 50}, nil},
		"a write of something else":       {counts{flushes: 1.01}, nil},
		"one flush more":                  {counts{flushes: 2}, []string{"2.00 flushes a call, and 1 is the bound: the event"}},
		"more allocations, more messages": {counts{allocations: 101, messages: 4}, []string{"101.00 allocations", "4.00 messages"}},
	} {
		passed := most.passed("call", c.cost)
		if len(passed) != len(c.want) {
			t.Errorf("%s: %v", name, passed)
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(passed[i].Error(), want) {
				t.Errorf("%s: %v, not %q", name, passed[i], want)
			}
		}
	}
}

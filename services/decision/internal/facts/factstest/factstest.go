// Package factstest provides what tests and benchmarks of decisions start from: a user with a history, and random facts for property
// tests. Values come from small sets, so that facts often agree in part.
package factstest

import (
	"encoding/json"
	"reflect"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/services/decision/internal/facts"
)

// texts are the strings that facts are drawn from, among them what has to be escaped in JSON.
var texts = []string{"", "local", "cda", "windows", "é\u2028", "a\"b\\c", "<&>", "\x00\x7f", "none"}

// largest is the largest number in facts.
const largest = 3

// Facts returns a generator of facts in which everything may be absent that can be.
func Facts() *rapid.Generator[*facts.Facts] {
	return rapid.Custom(func(t *rapid.T) *facts.Facts {
		f := &facts.Facts{}
		fill(t, reflect.ValueOf(f).Elem(), func() bool { return true })
		return f
	})
}

// Like returns a generator of facts that differ from the given ones in a few values.
func Like(f *facts.Facts) *rapid.Generator[*facts.Facts] {
	return rapid.Custom(func(t *rapid.T) *facts.Facts {
		const oneIn = 20
		other := &facts.Facts{}
		if err := json.Unmarshal(f.AppendJSON(nil), other); err != nil {
			t.Fatal(err)
		}
		fill(t, reflect.ValueOf(other).Elem(), func() bool { return rapid.IntRange(1, oneIn).Draw(t, "other") == oneIn })
		return other
	})
}

// fill draws the values for which the chance says so.
func fill(t *rapid.T, v reflect.Value, chance func() bool) {
	if arms, ok := v.Addr().Interface().(*facts.Assignments); ok {
		if chance() {
			*arms = assignments(t)
		}
		return
	}
	if labels, ok := v.Addr().Interface().(*facts.Labels); ok {
		if chance() {
			declared := []string{"admin", "staff"}[:rapid.IntRange(0, 2).Draw(t, "declared")]
			*labels = facts.NewLabels(declared, []string{rapid.SampledFrom([]string{"", "admin", "staff"}).Draw(t, "has")})
		}
		return
	}
	if velocity, ok := v.Addr().Interface().(*facts.Velocity); ok {
		if chance() {
			*velocity = counters(t)
		}
		return
	}
	if context, ok := v.Addr().Interface().(*facts.Context); ok {
		if chance() {
			*context = added(t)
		}
		return
	}
	switch kind := v.Kind(); {
	case kind == reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), chance)
		}
		return
	case kind == reflect.Pointer && !v.IsNil():
		fill(t, v.Elem(), chance)
		return
	case !chance():
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int:
		v.SetInt(int64(rapid.IntRange(-1, largest).Draw(t, "int")))
	case reflect.String:
		v.SetString(rapid.SampledFrom(texts).Draw(t, "text"))
	case reflect.Pointer:
		if rapid.IntRange(0, largest).Draw(t, "absent") > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), func() bool { return true })
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), rapid.IntRange(0, 2).Draw(t, "length"), 2))
		for i := range v.Len() {
			fill(t, v.Index(i), func() bool { return true })
		}
	default:
		t.Fatalf("facts hold a %s, which cannot be drawn", v.Type())
	}
}

func counters(t *rapid.T) facts.Velocity {
	drawn := facts.Velocity{Complete: rapid.Bool().Draw(t, "complete")}
	for _, name := range []string{"addressUsers", "userFailures"}[:rapid.IntRange(0, 2).Draw(t, "counters")] {
		drawn.Counters = append(drawn.Counters, facts.Tally{Name: name, Count: rapid.IntRange(0, largest).Draw(t, "count")})
	}
	return drawn
}

func added(t *rapid.T) facts.Context {
	drawn := map[string]any{}
	for _, one := range []struct {
		name  string
		value any
	}{
		{"amountMinor", rapid.IntRange(0, largest).Draw(t, "amount")},
		{"channel", rapid.SampledFrom(texts).Draw(t, "channel")},
		{"device", map[string]any{"managed": rapid.Bool().Draw(t, "managed")}},
		{"tags", rapid.SampledFrom([][]string{{}, {"a"}, {"a", "b"}}).Draw(t, "tags")},
	} {
		if rapid.Bool().Draw(t, one.name) {
			drawn[one.name] = one.value
		}
	}
	raw, err := json.Marshal(drawn)
	var context facts.Context
	if err == nil {
		err = json.Unmarshal(raw, &context)
	}
	if err != nil {
		t.Fatal(err)
	}
	return context
}

func assignments(t *rapid.T) facts.Assignments {
	var drawn facts.Assignments
	for _, name := range []string{"ardour", facts.DeviceLocalPasskey, "zeal"} {
		if rapid.Bool().Draw(t, name) {
			arm := rapid.SampledFrom([]facts.Arm{facts.Treatment, facts.Control}).Draw(t, "arm")
			drawn = append(drawn, facts.Assignment{Experiment: name, Arm: arm})
		}
	}
	return drawn
}

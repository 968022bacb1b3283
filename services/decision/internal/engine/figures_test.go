package engine_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/engine"
)

// figure is a value below data.keyward that teams change without a line of Rego.
type figure struct {
	path   []string
	others []any // that it may have as well
}

func (f figure) String() string { return strings.Join(f.path, ".") }

// To change a figure is what most who have a bundle ever do with it. The tests that come with the bundle are about its rules: one that
// holds for the figures of today alone refuses the bundle of whoever changes them.
func TestAllFiguresOfTheBundleCanBeChangedTogether(t *testing.T) {
	t.Parallel()
	all := figures(t)
	most := 0
	for _, f := range all {
		most = max(most, len(f.others))
	}
	for turn := range most {
		t.Run(fmt.Sprintf("to their value %d", turn+1), func(t *testing.T) {
			t.Parallel()
			changed := map[string]any{}
			for _, f := range all {
				changed[f.String()] = f.others[turn%len(f.others)]
			}
			mustLoad(t, changed, all...)
		})
	}
}

// mustLoad loads the bundle with its tests after the figures have been changed.
func mustLoad(t *testing.T, changed map[string]any, all ...figure) {
	t.Helper()
	files := policiestest.Tested(t)
	data := declaring(t)
	for _, f := range all {
		place := data["keyward"].(map[string]any)
		for _, key := range f.path[:len(f.path)-1] {
			place = place[key].(map[string]any)
		}
		place[f.path[len(f.path)-1]] = changed[f.String()]
	}
	content, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	files["data.json"] = &fstest.MapFile{Data: content}
	if _, err := engine.Load(t.Context(), files, engine.Options{}); err != nil {
		t.Error(err)
	}
}

// declaring returns the bundle's data with the names that the values of figures use.
func declaring(t *testing.T) map[string]any {
	t.Helper()
	content, err := fs.ReadFile(policies.Bundle, "data.json")
	if err != nil {
		t.Fatal(err)
	}
	var data map[string]any
	if err := json.Unmarshal(content, &data); err != nil {
		t.Fatal(err)
	}
	space := data["keyward"].(map[string]any)
	space["lists"] = map[string]any{"tor": map[string]any{"kind": "address", "entries": []string{"198.18.7.0/24"}}}
	space["parameters"].(map[string]any)["labels"] = []any{"staff"}
	return data
}

// figures returns those of parameters, reasons and counters.
func figures(t *testing.T) []figure {
	t.Helper()
	space := declaring(t)["keyward"].(map[string]any)
	found := below(t, []string{"parameters"}, schema(t, "parameters"), space["parameters"])
	for reason, of := range space["reasons"].(map[string]any) {
		severity := figure{path: []string{"reasons", reason, "severity"}}
		for _, other := range []float64{1, 2, 3, 4} {
			if of.(map[string]any)["severity"] != other {
				severity.others = append(severity.others, other)
			}
		}
		found = append(found, severity)
	}
	for counter := range space["velocity"].(map[string]any)["counters"].(map[string]any) {
		found = append(found, figure{path: []string{"velocity", "counters", counter, "seconds"}, others: []any{1800, 7200}})
	}
	return found
}

func schema(t *testing.T, name string) map[string]any {
	t.Helper()
	content, err := fs.ReadFile(policies.Bundle, "schemas/"+name+".jsonschema")
	if err != nil {
		t.Fatal(err)
	}
	var read map[string]any
	if err := json.Unmarshal(content, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

// below returns the figures that a schema describes, of which the value is in the bundle.
func below(t *testing.T, path []string, schema map[string]any, value any) []figure {
	t.Helper()
	members, ok := schema["properties"].(map[string]any)
	if !ok {
		return []figure{{path, others(t, path, schema, value)}}
	}
	var found []figure
	for _, name := range slices.Sorted(maps.Keys(members)) {
		held, _ := value.(map[string]any)
		found = append(found, below(t, append(slices.Clip(path), name), members[name].(map[string]any), held[name])...)
	}
	return found
}

// others returns values that a schema allows beside the one that is there.
func others(t *testing.T, path []string, schema map[string]any, value any) []any {
	t.Helper()
	var all []any
	switch schema["type"] {
	case "boolean":
		all = []any{true, false}
	case "integer":
		all = integers(path, schema)
	case "string":
		all = texts(path, schema)
	case "array":
		all = append(all, []any{})
		for _, item := range others(t, path, schema["items"].(map[string]any), nil) {
			all = append(all, []any{item})
		}
	case "object":
		all = objects(t, path, schema)
	}
	all = slices.DeleteFunc(all, func(other any) bool { return fmt.Sprint(other) == fmt.Sprint(value) })
	if len(all) == 0 {
		t.Fatalf("%v: the test knows no other value", path)
	}
	return all
}

// integers are the bounds, and what is on the steps of hours, kilometres and km/h.
func integers(path []string, schema map[string]any) []any {
	least, _ := schema["minimum"].(float64)
	most, ok := schema["maximum"].(float64)
	if !ok {
		most = 86400
	}
	all := []any{least, most}
	if strings.HasSuffix(path[len(path)-1], "Score") {
		all[1] = float64(100) // 101 is what no score reaches
	}
	step := float64(2)
	switch name := path[len(path)-1]; {
	case strings.HasSuffix(name, "Hours"):
		step = 48
	case strings.HasSuffix(name, "Km"), strings.HasSuffix(name, "Kmh"):
		step = 500
	}
	if least < step && step < most {
		all = append(all, step)
	}
	return all
}

// texts are those that a schema lists, and for each form of the others one.
func texts(path []string, schema map[string]any) []any {
	if listed, ok := schema["enum"].([]any); ok {
		return listed
	}
	switch name := path[len(path)-1]; {
	case strings.HasSuffix(name, "Aaguids"):
		return []any{"2fc0579f-8113-47ea-b116-bb5a8db9202a", "00000000-0000-0000-0000-000000000000"}
	case strings.HasSuffix(name, "Countries"):
		return []any{"DE", "US"}
	case strings.HasSuffix(name, "Lists"):
		return []any{"tor"}
	case name == "blockedAddresses":
		return []any{"198.18.0.0/15"}
	case name == "timeZone":
		return []any{"Europe/Berlin", "Pacific/Kiritimati"}
	case name == "sensitiveActions":
		return []any{"payment", "export-data"}
	case name == "invitations":
		return []any{strings.Repeat("0a", 32)}
	default:
		return []any{"staff"}
	}
}

// objects have one member whose name is free, or the members that they must have.
func objects(t *testing.T, path []string, schema map[string]any) []any {
	t.Helper()
	all := []any{map[string]any{}}
	if members, ok := schema["properties"].(map[string]any); ok {
		whole := map[string]any{}
		for _, name := range schema["required"].([]any) {
			at := append(slices.Clip(path), name.(string))
			whole[name.(string)] = others(t, at, members[name.(string)].(map[string]any), nil)[0]
		}
		return []any{whole}
	}
	name := "staff"
	if path[len(path)-1] == "severities" {
		name = "new-environment"
	}
	for _, value := range others(t, path, schema["additionalProperties"].(map[string]any), nil) {
		all = append(all, map[string]any{name: value})
	}
	return all
}

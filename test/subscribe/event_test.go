package subscribe_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api"
	stored "github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/sdk/event"
)

type schema struct {
	Properties map[string]schema
	Defs       map[string]schema `json:"$defs"`
	Enum       []string
}

func readSchema(t *testing.T, name string) schema {
	t.Helper()
	raw, err := fs.ReadFile(api.Events, name)
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// members returns the names of a struct's members in JSON.
func members[T any]() []string {
	var names []string
	for field := range reflect.TypeFor[T]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return slices.Sorted(slices.Values(names))
}

func keys(properties map[string]schema) []string { return slices.Sorted(maps.Keys(properties)) }

func TestTheClientsEventsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	base := readSchema(t, "events/base/event.json")
	carried := maps.Clone(base.Properties)
	var types []string
	for _, kind := range stored.Types() {
		types = append(types, string(kind))
		maps.Copy(carried, readSchema(t, "events/"+string(kind)+".json").Properties)
	}
	delete(carried, "pending") // the server's own
	var known []string
	for _, kind := range event.Types() {
		known = append(known, string(kind))
		if kind.Observed() != stored.Type(kind).Observed() {
			t.Errorf("%s: observed %t", kind, kind.Observed())
		}
	}
	for what, pair := range map[string][2][]string{
		"types":      {types, known},
		"events":     {keys(carried), members[event.Event]()},
		"auth":       {keys(base.Defs["auth"].Properties), members[event.Auth]()},
		"clients":    {keys(base.Defs["client"].Properties), members[event.Client]()},
		"judgements": {keys(base.Defs["risk"].Properties), members[event.Risk]()},
		"feedback":   {keys(base.Defs["feedback"].Properties), members[event.Feedback]()},
		"routes":     {base.Defs["route"].Enum, {string(event.Local), string(event.CDA), string(event.SecurityKey)}},
		"kinds": {base.Defs["kind"].Enum, {
			string(event.KindDefault), string(event.KindAfterError), string(event.KindAfterHybrid), string(event.KindAuto),
			string(event.KindConditionalCreate),
		}},
	} {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}

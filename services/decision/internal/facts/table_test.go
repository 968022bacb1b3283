package facts_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

func TestInputsThatShareTheirPartsAreTheSame(t *testing.T) {
	t.Parallel()
	inputs := facts.NewInputs()
	rapid.Check(t, func(t *rapid.T) {
		first := factstest.Facts().Draw(t, "facts")
		for _, f := range append(rapid.SliceOfN(factstest.Like(first), 1, 5).Draw(t, "others"), first) {
			if want, got := f.Value(), inputs.Value(f); want.Compare(got) != 0 || want.Hash() != got.Hash() {
				t.Fatalf("got  %s\nwant %s", got, want)
			}
		}
	})
}

func TestTheTableWritesFactsAsEncodingJSONDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := factstest.Facts().Draw(t, "facts")
		want, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.AppendJSON(nil); !bytes.Equal(got, want) {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
		value, err := ast.ValueFromReader(bytes.NewReader(want))
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Value(); got.Compare(value) != 0 {
			t.Fatalf("got  %s\nwant %s", got, value)
		}
		var back facts.Facts
		if err := json.Unmarshal(want, &back); err != nil {
			t.Fatal(err)
		}
		if again := back.AppendJSON(nil); !bytes.Equal(again, want) {
			t.Fatalf("decoded and written again: %s\nwant %s", again, want)
		}
	})
}

// schemaPaths lists the leaves that a schema allows.
func schemaPaths(t *testing.T, name string) []string {
	t.Helper()
	raw, err := fs.ReadFile(policies.Bundle, "schemas/"+name+".jsonschema")
	if err != nil {
		t.Fatal(err)
	}
	type schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	var walk func(raw json.RawMessage, at string) []string
	walk = func(raw json.RawMessage, at string) []string {
		var s schema
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
		if len(s.Properties) == 0 || at == "experiments" || at == "user.labels" || at == "velocity" {
			return []string{at}
		}
		var paths []string
		for _, property := range slices.Sorted(maps.Keys(s.Properties)) {
			paths = append(paths, walk(s.Properties[property], strings.TrimPrefix(at+"."+property, "."))...)
		}
		return paths
	}
	return walk(raw, "")
}

func TestTheSchemasDescribeWhatTheTableHolds(t *testing.T) {
	t.Parallel()
	described := map[string]bool{}
	for _, name := range []string{"login", "append", "mediation", "rollout", "risk"} {
		for _, path := range schemaPaths(t, name) {
			described[path] = true
		}
	}
	want := slices.Sorted(maps.Keys(described))
	got := slices.Sorted(slices.Values(facts.NewProjection([][]string{{}}).Paths()))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("schemas (-), table (+)\n%s", diff)
	}
}

// cut keeps of a document what the paths name.
func cut(document map[string]any, paths [][]string) map[string]any {
	kept := map[string]any{}
	for _, path := range paths {
		from, to := document, kept
		for i, name := range path {
			value, there := from[name]
			if !there {
				break
			}
			inner, isObject := value.(map[string]any)
			if !isObject || i == len(path)-1 {
				to[name] = value
				break
			}
			if to[name] == nil {
				to[name] = map[string]any{}
			}
			from, to = inner, to[name].(map[string]any)
		}
	}
	return kept
}

func TestAProjectionTellsFactsApartThatDifferOnItsPaths(t *testing.T) {
	t.Parallel()
	every := facts.NewProjection([][]string{{}}).Paths()
	generate := rapid.SliceOfN(rapid.SampledFrom(every), 1, 4)
	document := func(t *rapid.T, f *facts.Facts) map[string]any {
		var d map[string]any
		if err := json.Unmarshal(f.AppendJSON(nil), &d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	rapid.Check(t, func(t *rapid.T) {
		var paths [][]string
		for _, path := range generate.Draw(t, "paths") {
			names := strings.Split(path, ".")
			if path == "experiments" && rapid.Bool().Draw(t, "one experiment") {
				names = append(names, "zeal")
			}
			if path == "user.labels" && rapid.Bool().Draw(t, "one label") {
				names = append(names, "staff")
			}
			if path == "velocity" && rapid.Bool().Draw(t, "one counter") {
				names = append(names, rapid.SampledFrom([]string{"userFailures", "complete"}).Draw(t, "counter"))
			}
			paths = append(paths, names[:rapid.IntRange(1, len(names)).Draw(t, "depth")])
		}
		projection := facts.NewProjection(paths)
		a, b := factstest.Facts().Draw(t, "a"), factstest.Facts().Draw(t, "b")
		same := bytes.Equal(projection.Append(nil, a), projection.Append(nil, b))
		if agree := cmp.Equal(cut(document(t, a), paths), cut(document(t, b), paths)); same != agree {
			t.Fatalf("paths %v: same bytes %t, same values %t", projection.Paths(), same, agree)
		}
	})
}

func TestAProjectionKnowsItsPaths(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		paths [][]string
		want  []string
	}{
		"a value": {[][]string{{"pair", "positive"}}, []string{"pair.positive"}},
		"a group": {[][]string{{"cda"}}, []string{"cda.client", "cda.remoteHigh", "cda.remoteLow", "cda.route"}},
		"a group and a value in it": {
			[][]string{{"blacklist"}, {"blacklist", "login"}},
			[]string{"blacklist.login", "blacklist.appendAfterHybrid", "blacklist.appendAfterError"},
		},
		"one arm":            {[][]string{{"experiments", "zeal"}}, []string{"experiments.zeal"}},
		"all arms":           {[][]string{{"experiments"}, {"experiments", "zeal"}}, []string{"experiments"}},
		"what no facts have": {[][]string{{"weather"}, {"pair", "weather"}, {"complete", "deeper"}}, []string{"complete"}},
		"a value of whichever passkey": {
			[][]string{{"credentials", "items", facts.EachItem, "aaguid"}, {"credentials", "items", facts.EachItem, "class"}},
			[]string{"credentials.items[].aaguid", "credentials.items[].class"},
		},
		"passkeys as a whole":             {[][]string{{"credentials", "items"}}, []string{"credentials.items"}},
		"nothing, of a policy that reads": {nil, nil},
	} {
		if diff := cmp.Diff(tc.want, facts.NewProjection(tc.paths).Paths()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

package providers_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/providers"
)

const (
	keeper = "0ea242b4-43c4-4a1b-8b17-dd6d0b6baec6"
	new1   = "11111111-2222-3333-4444-555555555555"
)

var keys = []string{"keyward", "aaguids"}

const file = `{
  "keyward": {
    "parameters": {"default": {"count": 3}},
    "aaguids": {
      "0ea242b4-43c4-4a1b-8b17-dd6d0b6baec6": {"class": "password-manager",  "name": "Keeper", "note": 12345678901234567890},
      "ffffffff-0000-0000-0000-000000000001": {"class": "security-key", "name": "Ours"}
    },
    "more": [1,  2]
  }
}
`

func mustRead(t *testing.T, list string) providers.List {
	t.Helper()
	read, err := providers.Read([]byte(list))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestAPublishedListBringsNamesAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		list, want string
		update     providers.Update
	}{
		"what the bundle has already leaves its file as it is written": {
			`{"0EA242B4-43c4-4a1b-8b17-dd6d0b6baec6": {"name": "Keeper", "icon_dark": "data:image/svg+xml;base64,AAAA"}}`,
			file,
			providers.Update{Added: []providers.Change{}, Renamed: []providers.Change{}, Same: 1, Kept: 1},
		},
		"a new name leaves class and what else the bundle says": {
			`{"` + keeper + `": {"name": "Keeper & Co"}}`,
			strings.Replace(
				file, `{"class": "password-manager",  "name": "Keeper", "note"`,
				`{"class": "password-manager", "name": "Keeper & Co", "note"`, 1,
			),
			providers.Update{
				Added: []providers.Change{}, Kept: 1,
				Renamed: []providers.Change{{AAGUID: keeper, Name: "Keeper & Co", Before: "Keeper", Class: "password-manager"}},
			},
		},
		"a new provider is of the class given": {
			`{"` + new1 + `": {"name": "New \"One\""}}`,
			strings.Replace(
				file, "      \"ffffffff",
				"      \""+new1+"\": {\"class\": \"unknown-provider\", \"name\": \"New \\\"One\\\"\"},\n      \"ffffffff", 1,
			),
			providers.Update{
				Added: []providers.Change{{AAGUID: new1, Name: `New "One"`, Class: "unknown-provider"}}, Renamed: []providers.Change{}, Kept: 2,
			},
		},
		"a list that states a class is believed about new providers alone": {
			`{"aaguids": {"` + new1 + `": {"name": "New", "class": "apple", "platforms": ["ios", "macos"]}, ` +
				`"` + keeper + `": {"name": "Keeper", "class": "apple"}}}`,
			strings.Replace(
				file, "      \"ffffffff",
				"      \""+new1+"\": {\"class\": \"apple\", \"name\": \"New\", \"platforms\": [\"ios\", \"macos\"]},\n      \"ffffffff",
				1,
			),
			providers.Update{
				Added: []providers.Change{{AAGUID: new1, Name: "New", Class: "apple"}}, Renamed: []providers.Change{}, Same: 1, Kept: 1,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := providers.Apply([]byte(file), keys, mustRead(t, c.list), "unknown-provider")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got.Content)); diff != "" {
				t.Errorf("the file (-want +got)\n%s", diff)
			}
			got.Content = nil
			if diff := cmp.Diff(c.update, got); diff != "" {
				t.Errorf("the update (-want +got)\n%s", diff)
			}
		})
	}
}

func TestTheDefaultBundleStaysAsItIsByItsOwnTable(t *testing.T) {
	t.Parallel()
	content, err := policies.Bundle.ReadFile("aaguids.json")
	if err != nil {
		t.Fatal(err)
	}
	var whole struct {
		Keyward struct {
			AAGUIDs json.RawMessage `json:"aaguids"`
		} `json:"keyward"`
	}
	if err := json.Unmarshal(content, &whole); err != nil {
		t.Fatal(err)
	}
	list := mustRead(t, string(whole.Keyward.AAGUIDs))
	same, err := providers.Apply(content, keys, list, "unknown-provider")
	if err != nil || same.Same != len(list) || same.Kept != 0 || !bytes.Equal(same.Content, content) {
		t.Errorf("%d of %d are the same, %d kept, %v", same.Same, len(list), same.Kept, err)
	}
	// One that is taken away and comes back by the list leaves the same bytes: that is the form that the file has.
	for id := range list {
		provider := list[id]
		provider.Name += "!"
		list[id] = provider
	}
	changed, err := providers.Apply(content, keys, list, "unknown-provider")
	if err != nil || len(changed.Renamed) != len(list) {
		t.Fatalf("%d of %d are renamed, %v", len(changed.Renamed), len(list), err)
	}
	for id := range list {
		provider := list[id]
		provider.Name = strings.TrimSuffix(provider.Name, "!")
		list[id] = provider
	}
	back, err := providers.Apply(changed.Content, keys, list, "unknown-provider")
	if diff := cmp.Diff(string(content), string(back.Content)); err != nil || diff != "" {
		t.Errorf("there and back: %v (-want +got)\n%s", err, diff)
	}
}

func TestAListThatIsNoneIsRefusedByTheEntry(t *testing.T) {
	t.Parallel()
	many := make([]string, 10_001)
	for i := range many {
		many[i] = fmt.Sprintf(`"00000000-0000-0000-0001-%012x": {"name": "x"}`, i)
	}
	for name, c := range map[string]struct{ list, want string }{
		"not JSON":                          {`<html>`, "not a JSON object"},
		"a list":                            {`[]`, "not a JSON object"},
		"nothing":                           {`{}`, "it has 0 entries"},
		"too much":                          {"{" + strings.Join(many, ",") + "}", "it has 10001 entries"},
		"aaguids that are no object":        {`{"aaguids": 1}`, "aaguids: not a JSON object"},
		"no AAGUID":                         {`{"Keeper": {"name": "x"}}`, `"Keeper" is not an AAGUID`},
		"the AAGUID of all and none":        {`{"00000000-0000-0000-0000-000000000000": {"name": "x"}}`, "authenticators of every kind"},
		"an entry that is no object":        {`{"` + keeper + `": "x"}`, keeper},
		"no name":                           {`{"` + keeper + `": {}}`, keeper + ": name"},
		"a name that is blank":              {`{"` + keeper + `": {"name": " "}}`, keeper + ": name"},
		"a name that turns the line around": {`{"` + keeper + `": {"name": "a\u202eb"}}`, keeper + ": name"},
		"a name without end":                {`{"` + keeper + `": {"name": "` + strings.Repeat("x", 201) + `"}}`, keeper + ": name"},
		"one in two spellings":              {`{"` + keeper + `": {"name": "x"}, "` + strings.ToUpper(keeper) + `": {"name": "y"}}`, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := providers.Read([]byte(c.list)); !errors.Is(err, providers.ErrList) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v", c.want, err)
			}
		})
	}
}

func TestAFileWithoutATableIsSaid(t *testing.T) {
	t.Parallel()
	list := mustRead(t, `{"`+keeper+`": {"name": "Keeper"}}`)
	for name, content := range map[string]string{
		"another member":    `{"keyward": {"parameters": {"aaguids": {}}}}`,
		"no object":         `{"keyward": {"aaguids": []}}`,
		"no object above":   `{"keyward": []}`,
		"nothing but a sum": `1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := providers.Apply([]byte(content), keys, list, "apple"); !errors.Is(err, providers.ErrNoTable) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := providers.Apply([]byte(`{"keyward": {"aaguids": {`), keys, list, "apple"); err == nil {
		t.Error("half a file was taken")
	}
	got, err := providers.Apply([]byte(`{}`), nil, list, "apple")
	if want := "{\n  \"" + keeper + "\": {\"class\": \"apple\", \"name\": \"Keeper\"}\n}"; err != nil || string(got.Content) != want {
		t.Errorf("%s, %v", got.Content, err)
	}
}

func TestTheTableIsFoundWhereverABundleHasIt(t *testing.T) {
	t.Parallel()
	list := mustRead(t, `{"`+keeper+`": {"name": "Keeper"}}`)
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  string // the file; empty = there is no table
	}{
		"in the file at the root": {fstest.MapFS{"data.json": {Data: []byte(file)}}, "data.json"},
		"in the file that is named after it": {
			fstest.MapFS{"data.json": {Data: []byte(`{"keyward": {}}`)}, "aaguids.json": {Data: []byte(file)}}, "aaguids.json",
		},
		"in the file at the root, beside a published list": {
			fstest.MapFS{"data.json": {Data: []byte(file)}, "aaguids.json": {Data: []byte(`{"` + keeper + `": {"name": "Keeper"}}`)}}, "data.json",
		},
		"in a folder's file": {
			fstest.MapFS{"data.json": {Data: []byte(`{}`)}, "keyward/data.json": {Data: []byte(`{"aaguids": {}}`)}}, "keyward/data.json",
		},
		"in a file of its own": {fstest.MapFS{"keyward/aaguids/data.json": {Data: []byte(`{}`)}}, "keyward/aaguids/data.json"},
		"nowhere":              {fstest.MapFS{"data.json": {Data: []byte(`{"keyward": {}}`)}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, update, err := providers.Bring(c.files, list, "apple")
			if got != c.want || errors.Is(err, providers.ErrNoTable) != (c.want == "") || (c.want != "" && !json.Valid(update.Content)) {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func FuzzAListIsReadOrRefused(f *testing.F) {
	f.Add([]byte(`{"` + keeper + `": {"name": "Keeper"}}`))
	f.Add([]byte(`{"aaguids": {"` + keeper + `": {"name": "Keeper", "platforms": ["ios"], "class": "apple"}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := providers.Read(raw)
		if err != nil {
			if !errors.Is(err, providers.ErrList) {
				t.Fatal(err)
			}
			return
		}
		update, err := providers.Apply([]byte(file), keys, list, "unknown-provider")
		if err != nil || !json.Valid(update.Content) {
			t.Fatalf("%v: %s", err, update.Content)
		}
	})
}

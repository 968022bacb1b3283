package given_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/given"
)

// learn reads a schema with these properties.
func learn(t *testing.T, properties string) (*given.Schema, error) {
	t.Helper()
	return given.Learn(map[string][]byte{"schemas/context.jsonschema": []byte(`{"type": "object", "properties": ` + properties + `}`)})
}

func usual(t testing.TB) *given.Schema {
	t.Helper()
	files := map[string][]byte{}
	for name, file := range policiestest.Files(t) {
		files[name] = file.Data
	}
	s, err := given.Learn(files)
	if err != nil || s == nil {
		t.Fatal(s, err)
	}
	return s
}

func TestASchemaOfContextsThatAllowsMoreIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ properties, want string }{
		"a text of any kind":             {`{"note": {"type": "string"}}`, "note: a text is one of an enum"},
		"an integer without bounds":      {`{"n": {"type": "integer", "minimum": 0}}`, "n: an integer has a minimum and a maximum"},
		"bounds that nothing is between": {`{"n": {"type": "integer", "minimum": 2, "maximum": 1}}`, "n: an integer has"},
		"a number that is not whole":     {`{"n": {"type": "number"}}`, `n: "number" is no type of a context`},
		"a list of any length":           {`{"l": {"type": "array", "items": {"type": "string", "enum": ["a"]}}}`, "l: an array has maxItems"},
		"a list of numbers": {
			`{"l": {"type": "array", "maxItems": 2, "items": {"type": "boolean"}}}`,
			"l: the items of an array are texts",
		},
		"a list that is too long": {
			`{"l": {"type": "array", "maxItems": 17, "items": {"type": "string", "enum": ["a"]}}}`,
			"at most 16",
		},
		"an object without members": {`{"o": {"type": "object"}}`, "o: an object has 1 to 64 members"},
		"members that nobody described": {
			`{"o": {"type": "object", "additionalProperties": true, "properties": {"a": {"type": "boolean"}}}}`,
			"additionalProperties is false",
		},
		"an object three deep": {
			`{"a": {"type": "object", "properties": {"b": {"type": "object", "properties": {"c": ` +
				`{"type": "object", "properties": {"d": {"type": "boolean"}}}}}}}}`,
			"a.b.c: objects may be 2 deep",
		},
		"a name with a dot":                {`{"a.b": {"type": "boolean"}}`, "a.b: names have"},
		"what is nothing":                  {`{"a": null}`, "a: there is nothing said of it"},
		"words of JSON Schema beyond that": {`{"a": {"type": "string", "pattern": ".*"}}`, `unknown field "pattern"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := learn(t, tc.properties)
			var refused *bundlefile.Error
			if !errors.As(err, &refused) || !strings.Contains(refused.Message, tc.want) ||
				refused.File != "schemas/context.jsonschema" || refused.Line == 0 {
				t.Errorf("%v, not %q", err, tc.want)
			}
		})
	}
	if s, err := given.Learn(nil); s != nil || err != nil {
		t.Errorf("a bundle without a schema: %v, %v", s, err)
	}
}

func TestAContextIsReadAsThePolicyDescribesItAndWhatDoesNotFitIsNamed(t *testing.T) {
	t.Parallel()
	nested, err := learn(t, `{"device": {"type": "object", "properties": {"managed": {"type": "boolean"},
		"tags": {"type": "array", "maxItems": 3, "items": {"type": "string", "enum": ["a", "b"]}}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		schema           *given.Schema
		raw, want, field string
	}{
		"all of it": {
			schema: usual(t), raw: ` {"channel": "web", "amountMinor": 1000000000000, "aal": 1, "trustedDevice": false,
				"passwordCompromised": true, "externalScore": 0}`,
			want: `{"aal":1,"amountMinor":1000000000000,"channel":"web","externalScore":0,"passwordCompromised":true,"trustedDevice":false}`,
		},
		"nothing of it": {schema: usual(t), raw: `{}`, want: `{}`},
		"lists are sets": {
			schema: nested, raw: `{"device": {"tags": ["b", "a", "b"], "managed": true}}`,
			want: `{"device":{"managed":true,"tags":["a","b"]}}`,
		},
		"a member that nobody knows":       {schema: usual(t), raw: `{"externalScor": 1}`, field: "context.externalScor"},
		"one below":                        {schema: nested, raw: `{"device": {"mangaed": true}}`, field: "context.device.mangaed"},
		"a number that is too large":       {schema: usual(t), raw: `{"amountMinor": 1000000000001}`, field: "context.amountMinor"},
		"a number that is too small":       {schema: usual(t), raw: `{"aal": 0}`, field: "context.aal"},
		"a number that is not whole":       {schema: usual(t), raw: `{"aal": 1.5}`, field: "context.aal"},
		"a number beyond all":              {schema: usual(t), raw: `{"aal": 1e999}`, field: "context.aal"},
		"a number as a text":               {schema: usual(t), raw: `{"aal": "1"}`, field: "context.aal"},
		"a truth as a text":                {schema: usual(t), raw: `{"trustedDevice": "yes"}`, field: "context.trustedDevice"},
		"a text that is none of them":      {schema: usual(t), raw: `{"channel": "fax"}`, field: "context.channel"},
		"null, which is not absence":       {schema: usual(t), raw: `{"channel": null}`, field: "context.channel"},
		"too many in a list":               {schema: nested, raw: `{"device": {"tags": ["a", "b", "a", "b"]}}`, field: "context.device.tags"},
		"something else in a list":         {schema: nested, raw: `{"device": {"tags": ["a", 1]}}`, field: "context.device.tags[1]"},
		"something else than an object":    {schema: nested, raw: `{"device": true}`, field: "context.device"},
		"no object at all":                 {schema: usual(t), raw: `[]`, field: "context"},
		"null":                             {schema: usual(t), raw: `null`, field: "context"},
		"no JSON":                          {schema: usual(t), raw: `{`, field: "context"},
		"two of them":                      {schema: usual(t), raw: `{} {}`, field: "context"},
		"too much":                         {schema: usual(t), raw: `{` + strings.Repeat(" ", given.MaxBytes) + `}`, field: "context"},
		"any, where the policy takes none": {schema: nil, raw: `{}`, field: "context"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read, err := tc.schema.Read([]byte(tc.raw))
			var misfit *given.MisfitError
			switch {
			case tc.field != "":
				if !errors.As(err, &misfit) || misfit.Field != tc.field || misfit.Message == "" {
					t.Errorf("%v is not of %s", err, tc.field)
				}
			case err != nil:
				t.Error(err)
			default:
				if got := string(read.AppendJSON(nil)); got != tc.want {
					t.Errorf("%s, not %s", got, tc.want)
				}
			}
		})
	}
	_, err = usual(t).Read([]byte(`{"externalScor": 1}`))
	if err == nil || !strings.Contains(err.Error(), "did you mean externalScore?") {
		t.Errorf("%v", err)
	}
}

func TestActionsAreThoseThatThePolicyDeclares(t *testing.T) {
	t.Parallel()
	known, err := given.LearnActions(policiestest.Data(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := known.Check("payment"); err != nil {
		t.Error(err)
	}
	err = known.Check("paymnet")
	var misfit *given.MisfitError
	if !errors.As(err, &misfit) || misfit.Field != "action" ||
		!strings.Contains(misfit.Message, "change-credentials, export-data, payment, recovery; did you mean payment?") {
		t.Errorf("%v", err)
	}
	if err := (given.Actions)(nil).Check("payment"); err == nil || !strings.Contains(err.Error(), "declares none") {
		t.Errorf("%v", err)
	}
	data := policiestest.Data(t)
	space := data["keyward"].(map[string]any)
	risk := space["parameters"].(map[string]any)["risk"].(map[string]any)
	risk["sensitiveActions"] = []any{"payments"}
	if _, err := given.LearnActions(data); err == nil || !strings.Contains(err.Error(), "sensitiveActions: there is no action payments") {
		t.Errorf("%v", err)
	}
}

// FuzzContext reads whatever comes: what is read is written as it is read again, and what is not is named.
func FuzzContext(f *testing.F) {
	f.Add([]byte(`{"externalScore": 80, "channel": "web"}`))
	f.Add([]byte(`{"channel": "\ud800"}`))
	f.Add([]byte(`[[[[`))
	s := usual(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		read, err := s.Read(raw)
		if err != nil {
			var misfit *given.MisfitError
			if !errors.As(err, &misfit) || !strings.HasPrefix(misfit.Field, "context") {
				t.Fatalf("%v", err)
			}
			return
		}
		text := read.AppendJSON(nil)
		var back given.Context
		if err := json.Unmarshal(text, &back); err != nil || string(back.AppendJSON(nil)) != string(text) {
			t.Fatalf("%s: %v", text, err)
		}
		if string(back.AppendKey(nil, "")) != string(read.AppendKey(nil, "")) || back.Term().Value.Compare(read.Term().Value) != 0 {
			t.Fatalf("%s is another when it is read again", text)
		}
	})
}

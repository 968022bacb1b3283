package given

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatASchemaDoesNotAllowAnyMoreIsSaid(t *testing.T) {
	t.Parallel()
	schema := func(properties string) *Schema {
		t.Helper()
		if properties == "" {
			return nil
		}
		learned, err := Learn(map[string][]byte{"schemas/context.jsonschema": []byte(`{"type": "object", "properties": {` + properties + `}}`)})
		if err != nil {
			t.Fatal(err)
		}
		return learned
	}
	const score, web = `"score": {"type": "integer", "minimum": 0, "maximum": 100}`, `"channel": {"type": "string", "enum": ["web", "app"]}`
	for name, c := range map[string]struct {
		before, now string
		want        []string
	}{
		"nothing changed":       {score + "," + web, web + "," + score, nil},
		"there was none":        {"", score, nil},
		"there is none":         {score, "", []string{"context: there was one, and every context is refused now"}},
		"a member is new":       {score, score + "," + web, nil},
		"a member is gone":      {score + "," + web, web, []string{"context.score: is gone"}},
		"a value is new":        {web, `"channel": {"type": "string", "enum": ["web", "app", "phone"]}`, nil},
		"a value is gone":       {web, `"channel": {"type": "string", "enum": ["web"]}`, []string{`context.channel: "app" is no value any more`}},
		"it is of another type": {score, `"score": {"type": "boolean"}`, []string{"context.score: was integer, and is boolean"}},
		"bounds are wider":      {score, `"score": {"type": "integer", "minimum": -1, "maximum": 101}`, nil},
		"bounds are narrower": {
			score, `"score": {"type": "integer", "minimum": 0, "maximum": 99}`, []string{"context.score: was from 0 to 100, and is from 0 to 99"},
		},
		"below an object": {
			`"a": {"type": "object", "properties": {` + score + `,` + web + `}}`, `"a": {"type": "object", "properties": {` + web + `}}`,
			[]string{"context.a.score: is gone"},
		},
		"in a list": {
			`"l": {"type": "array", "maxItems": 3, "items": {"type": "string", "enum": ["a", "b"]}}`,
			`"l": {"type": "array", "maxItems": 2, "items": {"type": "string", "enum": ["a"]}}`,
			[]string{"context.l: fewer items are allowed", `context.l: "b" is no value any more`},
		},
	} {
		if diff := cmp.Diff(c.want, Narrowed(schema(c.before), schema(c.now))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

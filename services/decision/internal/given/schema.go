// Package given is of what callers alone know and add to a question: its context. A bundle says in schemas/context.jsonschema what there
// may be, and everything is of a few values: no free text, so that equal situations have equal facts and records hold no personal data by
// accident. It promises that what does not fit is refused with the name of the member, and that a schema which allows more is refused when
// the bundle is loaded. It is pure.
package given

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/keyward/keyward/services/decision/internal/bundlefile"
)

// SchemaName is the name of the schema in a bundle.
const SchemaName = "context"

// MaxBytes is how long a context may be as JSON.
const MaxBytes = 4096

// Bounds of what a schema may allow.
const (
	maxMembers = 64 // of one object
	maxValues  = 64 // of an enum
	maxItems   = 16 // of a list
	maxDepth   = 2  // of objects below the context
	maxText    = 64 // bytes of a value
)

var nameForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// Schema is what a bundle allows. A nil Schema allows nothing.
type Schema struct{ root *property }

// property is a part of a schema.
type property struct {
	Schema               string               `json:"$schema"`
	Title                string               `json:"title"`
	Description          string               `json:"description"`
	Otherwise            string               `json:"x-otherwise"` // in words, of what is false
	Type                 string               `json:"type"`
	Minimum              *int64               `json:"minimum"`
	Maximum              *int64               `json:"maximum"`
	Enum                 []string             `json:"enum"`
	Items                *property            `json:"items"`
	MaxItems             *int                 `json:"maxItems"`
	UniqueItems          bool                 `json:"uniqueItems"`
	Properties           map[string]*property `json:"properties"`
	AdditionalProperties *bool                `json:"additionalProperties"`
}

const advice = "a context holds booleans, integers with minimum and maximum, texts of an enum, arrays of these, and objects of all of that"

// Learn reads the schema in the files of a bundle; nil if it has none. An error is a *bundlefile.Error.
func Learn(files map[string][]byte) (*Schema, error) {
	file, content := bundlefile.Files(files).Schema(SchemaName)
	if content == nil {
		return nil, nil
	}
	var root property
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&root); err != nil {
		return nil, &bundlefile.Error{File: file, Line: 1, Message: "the context cannot be described so: " + err.Error(), Advice: advice}
	}
	if keys, wrong := root.object(nil, 0); wrong != "" {
		return nil, &bundlefile.Error{File: file, Line: bundlefile.Locate(content, keys), Message: named(keys) + wrong, Advice: advice}
	}
	return &Schema{&root}, nil
}

// named is a path of keys in words.
func named(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return strings.Join(slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return k == "properties" || k == "items" }), ".") + ": "
}

// object checks what describes an object, and returns where it is wrong, and what; empty = nothing is.
func (p *property) object(at []string, depth int) ([]string, string) {
	switch {
	case p.Type != "object":
		return at, "the type of what has members is object"
	case p.AdditionalProperties != nil && *p.AdditionalProperties:
		return slices.Concat(at, []string{"additionalProperties"}), "every member is described: additionalProperties is false"
	case depth > maxDepth:
		return at, fmt.Sprintf("objects may be %d deep", maxDepth)
	case len(p.Properties) == 0 || len(p.Properties) > maxMembers:
		return at, fmt.Sprintf("an object has 1 to %d members", maxMembers)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Properties)) {
		below := slices.Concat(at, []string{"properties", name})
		if !nameForm.MatchString(name) {
			return below, "names have up to 64 letters, digits, hyphens and underscores, and begin with a letter"
		}
		if keys, wrong := p.Properties[name].value(below, depth); wrong != "" {
			return keys, wrong
		}
	}
	return nil, ""
}

func (p *property) value(at []string, depth int) ([]string, string) {
	if p == nil {
		return at, "there is nothing said of it"
	}
	switch p.Type {
	case "boolean":
		return nil, ""
	case "integer":
		if p.Minimum == nil || p.Maximum == nil || *p.Minimum > *p.Maximum {
			return at, "an integer has a minimum and a maximum"
		}
		return nil, ""
	case "string":
		return p.texts(at)
	case "array":
		if p.MaxItems == nil || *p.MaxItems < 1 || *p.MaxItems > maxItems {
			return at, fmt.Sprintf("an array has maxItems, at most %d", maxItems)
		}
		if p.Items == nil || p.Items.Type != "string" {
			return at, "the items of an array are texts"
		}
		return p.Items.texts(slices.Concat(at, []string{"items"}))
	case "object":
		return p.object(at, depth+1)
	default:
		return at, fmt.Sprintf("%q is no type of a context", p.Type)
	}
}

func (p *property) texts(at []string) ([]string, string) {
	if len(p.Enum) == 0 || len(p.Enum) > maxValues {
		return at, fmt.Sprintf("a text is one of an enum of 1 to %d values: free text would make every situation another", maxValues)
	}
	for _, text := range p.Enum {
		if len(text) > maxText {
			return at, fmt.Sprintf("a value has at most %d bytes", maxText)
		}
	}
	return nil, ""
}

// MisfitError says what of a context does not fit.
type MisfitError struct {
	Field   string // action, context, or dotted what is below that
	Message string
}

// Error implements error.
func (e *MisfitError) Error() string { return e.Field + ": " + e.Message }

func misfit(field, format string, args ...any) error {
	return &MisfitError{Field: field, Message: fmt.Sprintf(format, args...)}
}

var errNotObject = errors.New("must be a JSON object")

// Read reads a context. The error is a *MisfitError.
func (s *Schema) Read(raw []byte) (Context, error) {
	if len(raw) > MaxBytes {
		return nil, misfit(SchemaName, "is longer than %d bytes", MaxBytes)
	}
	if s == nil {
		return nil, misfit(SchemaName, "the policy takes none: it has no schemas/%s.jsonschema", SchemaName)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var members map[string]any
	if err := decoder.Decode(&members); err != nil || decoder.More() || members == nil {
		return nil, misfit(SchemaName, "%s", errNotObject)
	}
	return s.root.read(SchemaName, members)
}

func (p *property) read(at string, members map[string]any) (Context, error) {
	read := make([]Member, 0, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		field := at + "." + name
		described := p.Properties[name]
		if described == nil {
			return nil, misfit(field, "%s", NoneOf(name, slices.Sorted(maps.Keys(p.Properties))))
		}
		value, err := described.readValue(field, members[name])
		if err != nil {
			return nil, err
		}
		read = append(read, Member{Name: name, Value: value})
	}
	return normal(read), nil
}

func (p *property) readValue(field string, value any) (any, error) {
	switch p.Type {
	case "boolean":
		if v, ok := value.(bool); ok {
			return v, nil
		}
		return nil, misfit(field, "must be true or false")
	case "integer":
		number, _ := value.(json.Number)
		n, is := whole(string(number))
		if !is || n < *p.Minimum || n > *p.Maximum {
			return nil, misfit(field, "must be a whole number from %d to %d", *p.Minimum, *p.Maximum)
		}
		return n, nil
	case "string":
		text, ok := value.(string)
		if !ok || !slices.Contains(p.Enum, text) {
			return nil, misfit(field, "must be one of %s", strings.Join(p.Enum, ", "))
		}
		return text, nil
	case "array":
		return p.readTexts(field, value)
	default:
		members, ok := value.(map[string]any)
		if !ok {
			return nil, misfit(field, "%s", errNotObject)
		}
		return p.read(field, members)
	}
}

func (p *property) readTexts(field string, value any) (any, error) {
	items, ok := value.([]any)
	if !ok || len(items) > *p.MaxItems {
		return nil, misfit(field, "must be a list of at most %d of %s", *p.MaxItems, strings.Join(p.Items.Enum, ", "))
	}
	texts := make([]string, len(items))
	for i, item := range items {
		text, isText := item.(string)
		if !isText || !slices.Contains(p.Items.Enum, text) {
			return nil, misfit(fmt.Sprintf("%s[%d]", field, i), "must be one of %s", strings.Join(p.Items.Enum, ", "))
		}
		texts[i] = text
	}
	slices.Sort(texts)
	return slices.Compact(texts), nil
}

// NoneOf says that a name is none of those that the policy knows, and which is meant perhaps.
func NoneOf(name string, known []string) string {
	const shown, tolerance = 32, 3 // one wrong letter of so many
	if len(known) == 0 {
		return "the policy declares none"
	}
	said := "the policy knows " + strings.Join(known[:min(len(known), shown)], ", ")
	nearest, best := "", max(1, (len(name)+1)/tolerance)+1
	for _, one := range known {
		if far := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(one)); far < best {
			nearest, best = one, far
		}
	}
	if nearest != "" {
		said += "; did you mean " + nearest + "?"
	}
	return said
}

// Package reference puts what a bundle's schemas say into words: the reference of its parameters, and what each fact means. It reads the
// files of the bundle that it is given and writes where it is told; it promises the same text for the same bundle, and touches nothing
// else.
package reference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
)

// schema is as much of JSON Schema as is printed.
type schema struct {
	Description          string            `json:"description"`
	Otherwise            string            `json:"x-otherwise"` // the description of what is false
	Type                 string            `json:"type"`
	Enum                 []any             `json:"enum"`
	Minimum              *int64            `json:"minimum"`
	Maximum              *int64            `json:"maximum"`
	Required             []string          `json:"required"`
	Properties           map[string]schema `json:"properties"`
	Items                *schema           `json:"items"`
	AdditionalProperties json.RawMessage   `json:"additionalProperties"`
}

// WriteParameters writes the reference of a bundle's parameters as Markdown: a row for each figure and switch in data.json.
func WriteParameters(w io.Writer, source fs.FS) error {
	var parameters schema
	if err := readSchema(source, "parameters", &parameters); err != nil {
		return err
	}
	var data struct {
		Keyward struct {
			Parameters json.RawMessage `json:"parameters"`
		} `json:"keyward"`
	}
	if err := readJSON(source, "data.json", &data); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(head)
	if err := parameters.rows(&b, "", data.Keyward.Parameters); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Meaning is what a schema says of a fact.
type Meaning struct {
	says, otherwise string
	yesOrNo         bool
}

// Of returns the sentence that is true of the value; empty where the schema has none.
func (m Meaning) Of(value any) string {
	if m.yesOrNo && value == false {
		return m.otherwise
	}
	return m.says
}

// Meanings returns what the schemas of the inputs named say of each fact, by its path.
func Meanings(source fs.FS, inputs ...string) (map[string]Meaning, error) {
	found := map[string]Meaning{}
	for _, input := range inputs {
		var facts schema
		if err := readSchema(source, input, &facts); err != nil {
			return nil, err
		}
		facts.meanings("", found)
	}
	return found, nil
}

// meanings adds what the schema says of each fact below a path.
func (s schema) meanings(at string, into map[string]Meaning) {
	for name, inner := range s.Properties {
		path := name
		if at != "" {
			path = at + "." + name
		}
		if inner.Description != "" && len(inner.Properties) == 0 {
			into[path] = Meaning{says: inner.Description, otherwise: inner.Otherwise, yesOrNo: inner.Type == "boolean"}
		}
		inner.meanings(path, into)
	}
}

// readSchema reads a schema of the bundle. In bundles that are older, schemas are files named .json.
func readSchema(source fs.FS, name string, into *schema) error {
	err := readJSON(source, "schemas/"+name+".jsonschema", into)
	if errors.Is(err, fs.ErrNotExist) {
		err = readJSON(source, "schemas/"+name+".json", into)
	}
	return err
}

func readJSON(source fs.FS, name string, into any) error {
	content, err := fs.ReadFile(source, name)
	if err != nil {
		return fmt.Errorf("read parameters: %w", err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("read parameters: %s: %w", name, err)
	}
	return nil
}

// rows writes a row for each parameter, in the order in which the schema requires them. Objects with fixed members are spelt out.
func (s schema) rows(b *strings.Builder, prefix string, value json.RawMessage) error {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(value, &values); err != nil {
		return fmt.Errorf("read parameters: %w", err)
	}
	names := slices.Clone(s.Required)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		one, full := s.Properties[name], prefix+name
		if len(one.Properties) > 0 {
			if err := one.rows(b, full+".", values[name]); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", full, present(name, values[name]), one.may(), cell(one.meaning()))
	}
	return nil
}

// meaning is what a parameter says; of a switch also what it says if it is off.
func (s schema) meaning() string {
	if s.Otherwise == "" {
		return s.Description
	}
	return s.Description + " If false: " + s.Otherwise
}

// present shows a value as data.json has it, durations also in the largest unit that fits.
func present(name string, value json.RawMessage) string {
	var compact bytes.Buffer
	if json.Compact(&compact, value) != nil {
		return "absent"
	}
	text := "`" + cell(strings.ReplaceAll(compact.String(), ",", ", ")) + "`"
	var seconds int64
	if strings.HasSuffix(name, "Seconds") && json.Unmarshal(value, &seconds) == nil && seconds > 0 {
		text += " = " + longest(time.Duration(seconds)*time.Second)
	}
	return text
}

func longest(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d%day == 0:
		return fmt.Sprintf("%d d", d/day)
	case d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	default:
		return fmt.Sprintf("%d s", d/time.Second)
	}
}

// may says what values are accepted.
func (s schema) may() string {
	if len(s.Enum) > 0 {
		values := make([]string, len(s.Enum))
		for i, value := range s.Enum {
			values[i] = fmt.Sprint(value)
		}
		return "`" + strings.Join(values, "` or `") + "`"
	}
	switch s.Type {
	case "integer", "number":
		text := "whole number"
		if s.Minimum != nil {
			text += fmt.Sprintf(", at least %d", *s.Minimum)
		}
		if s.Maximum != nil {
			text += fmt.Sprintf(", at most %d", *s.Maximum)
		}
		return text
	case "boolean":
		return "true or false"
	case "string":
		return "text"
	case "array":
		if s.Items == nil {
			return "list"
		}
		if len(s.Items.Properties) > 0 {
			return "list of objects with `" + strings.Join(slices.Sorted(maps.Keys(s.Items.Properties)), "`, `") + "`"
		}
		return "list of: " + s.Items.may()
	default:
		var values schema
		if json.Unmarshal(s.AdditionalProperties, &values) == nil && values.Type != "" {
			return "by name: " + values.may()
		}
		if len(s.Properties) > 0 {
			return "object with `" + strings.Join(slices.Sorted(maps.Keys(s.Properties)), "`, `") + "`"
		}
		return "object"
	}
}

// cell keeps text within its cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}

const head = `# Parameters of the policy

<!-- Generated by "make generate" from policies/data.json and policies/schemas/parameters.jsonschema. Edits here are overwritten. -->

The figures and switches of the rules are in ` +
	"`keyward.parameters`" + ` of ` + "`policies/data.json`" + `. A name with a dot is a member of an object:
` + "`default.count`" + ` is ` +
	"`{\"default\": {\"count\": ...}}`" + `. Durations are in seconds. [policies.md](policies.md) tells how to change one.

| parameter | default | may be | meaning |
|---|---|---|---|
`

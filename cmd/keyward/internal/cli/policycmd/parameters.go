package policycmd

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

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
)

func newPolicyParameters() *cobra.Command {
	var from bundleFlag
	cmd := &cobra.Command{
		Use:   "parameters",
		Short: "Print the reference of a bundle's parameters, as Markdown",
		Long: `Lists the figures and switches in data.json with what schemas/parameters.jsonschema says
of them: what each is for, what it may be, and what it is.`,
		Example: "  keyward policy parameters --bundle policies",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A bundle that would be refused has no parameters worth printing.
			if _, err := openBundle(cmd.Context(), from); err != nil {
				return err
			}
			source, err := from.open()
			if err != nil {
				return err
			}
			return writeParameters(cmd.OutOrStdout(), source)
		},
	}
	from.flag(cmd)
	return cmd
}

// parameterSchema is as much of JSON Schema as is printed.
type parameterSchema struct {
	Description          string                     `json:"description"`
	Type                 string                     `json:"type"`
	Enum                 []string                   `json:"enum"`
	Minimum              *int64                     `json:"minimum"`
	Maximum              *int64                     `json:"maximum"`
	Required             []string                   `json:"required"`
	Properties           map[string]parameterSchema `json:"properties"`
	Items                *parameterSchema           `json:"items"`
	AdditionalProperties json.RawMessage            `json:"additionalProperties"`
}

func writeParameters(w io.Writer, source fs.FS) error {
	var schema parameterSchema
	if err := readSchema(source, "parameters", &schema); err != nil {
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
	b.WriteString(parametersHead)
	if err := schema.rows(&b, "", data.Keyward.Parameters); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// readSchema reads a schema of the bundle. In bundles that are older, schemas are files named .json.
func readSchema(source fs.FS, name string, into *parameterSchema) error {
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
func (s parameterSchema) rows(b *strings.Builder, prefix string, value json.RawMessage) error {
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
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", full, present(name, values[name]), one.may(), cell(one.Description))
	}
	return nil
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
func (s parameterSchema) may() string {
	if len(s.Enum) > 0 {
		return "`" + strings.Join(s.Enum, "` or `") + "`"
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
		var values parameterSchema
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

const parametersHead = `# Parameters of the policy

<!-- Generated by "make generate" from policies/data.json and policies/schemas/parameters.jsonschema. Edits here are overwritten. -->

The figures and switches of the rules are in ` +
	"`keyward.parameters`" + ` of ` + "`policies/data.json`" + `. A name with a dot is a member of an object:
` + "`default.count`" + ` is ` +
	"`{\"default\": {\"count\": ...}}`" + `. Durations are in seconds. [policies.md](policies.md) tells how to change one.

| parameter | default | may be | meaning |
|---|---|---|---|
`

// Package yamljson turns YAML into JSON and back, member by member in the order that they are written in. It is for documents whose readers
// know JSON (schemas, strict decoders) and whose writers prefer YAML. It does no I/O.
package yamljson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// ToJSON returns a YAML document as JSON on one line. Keys become strings as they are written, and so do dates. Of several documents the
// first counts. A key that is there twice, a number that JSON has no word for, and aliases that go round or multiply are errors. Keys
// are not merged (<<).
func ToJSON(document []byte) ([]byte, error) {
	var root yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(document)).Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	// The library refuses what contains itself, and what a few aliases blow up: not when it reads, but when it decodes.
	var bounded any
	if err := root.Decode(&bounded); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := write(&b, &root); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func write(b *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.DocumentNode:
		return write(b, n.Content[0])
	case yaml.AliasNode:
		return write(b, n.Alias)
	case yaml.MappingNode:
		return writeObject(b, n)
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteString(", ")
			}
			if err := write(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	default:
		return writeScalar(b, n)
	}
}

func writeObject(b *bytes.Buffer, n *yaml.Node) error {
	seen := map[string]bool{}
	b.WriteByte('{')
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode:
			return fmt.Errorf("line %d: a key must be a plain value", key.Line)
		case seen[key.Value]:
			return fmt.Errorf("line %d: the key %q is there twice", key.Line, key.Value)
		}
		seen[key.Value] = true
		if i > 0 {
			b.WriteString(", ")
		}
		if err := encode(b, key.Value); err != nil {
			return err
		}
		b.WriteString(": ")
		if err := write(b, n.Content[i+1]); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func writeScalar(b *bytes.Buffer, n *yaml.Node) error {
	var value any = n.Value
	if tag := n.ShortTag(); tag != "!!str" && tag != "!!timestamp" {
		if err := n.Decode(&value); err != nil {
			return err
		}
	}
	if err := encode(b, value); err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	return nil
}

func encode(b *bytes.Buffer, value any) error {
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the line's end
	return nil
}

// ToYAML returns JSON as a YAML document.
func ToYAML(text []byte) ([]byte, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil { // JSON is YAML, written in one of its styles
		return nil, err
	}
	plain(&root)
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(&root); err != nil {
		return nil, err
	}
	return b.Bytes(), encoder.Close()
}

// plain takes the styles of JSON from a node and from all that is in it. Text that would be read as something else is quoted still.
func plain(n *yaml.Node) {
	n.Style = 0
	for _, inside := range n.Content {
		plain(inside)
	}
}

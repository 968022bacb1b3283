package explain

import (
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// schemas are the bundle's JSON schemas by name: those of the facts by action, and parameters.
type schemas map[string]schema

// schema is the part of a JSON schema that describes.
type schema struct {
	Description string            `json:"description"`
	Properties  map[string]schema `json:"properties"`
}

const parameters = "parameters"

func newSchemas(files map[string][]byte) (schemas, error) {
	all := schemas{}
	for name, content := range files {
		if path.Dir(name) != "schemas" || path.Ext(name) != ".json" {
			continue
		}
		var one schema
		if err := json.Unmarshal(content, &one); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		all[strings.TrimSuffix(path.Base(name), ".json")] = one
	}
	return all, nil
}

// describe returns what a schema says of a place in its document; of the nearest place above if it says nothing there.
func (s schemas) describe(name string, keys []string) string {
	place, described := s[name], ""
	for _, key := range keys {
		below, ok := place.Properties[key]
		if !ok {
			break
		}
		place = below
		described = place.Description
	}
	return sentence(described)
}

// keys returns the names along a reference, without its head.
func keys(ref ast.Ref) []string {
	names := make([]string, 0, len(ref))
	for _, term := range ref[1:] {
		switch v := term.Value.(type) {
		case ast.String:
			names = append(names, string(v))
		case ast.Number:
			names = append(names, v.String())
		default:
			names = append(names, v.String())
		}
	}
	return names
}

// dig returns the value at a place in a document.
func dig(document any, names []string) (any, bool) {
	for _, name := range names {
		switch at := document.(type) {
		case map[string]any:
			below, ok := at[name]
			if !ok {
				return nil, false
			}
			document = below
		case []any:
			n, err := strconv.Atoi(name)
			if err != nil || n < 0 || n >= len(at) {
				return nil, false
			}
			document = at[n]
		default:
			return nil, false
		}
	}
	return document, true
}

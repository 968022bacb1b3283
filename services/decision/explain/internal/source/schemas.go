package source

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/keyward/keyward/services/decision/internal/bundlefile"
)

// Schemas are the bundle's JSON schemas by name: those of the facts by action, and parameters.
type Schemas map[string]schema

// schema is the part of a JSON schema that describes.
type schema struct {
	Description string            `json:"description"`
	Properties  map[string]schema `json:"properties"`
}

// Parameters is the name of the parameters: of their schema and of their place in the data.
const Parameters = "parameters"

// NewSchemas reads the schemas among the files of a bundle. An error says which cannot be read.
func NewSchemas(files map[string][]byte) (Schemas, error) {
	all := Schemas{}
	for file, content := range files {
		name, ok := bundlefile.SchemaName(file)
		if !ok {
			continue
		}
		var one schema
		if err := json.Unmarshal(content, &one); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		all[name] = one
	}
	return all, nil
}

// Describe returns what a schema says of a place in its document; of the nearest place above if it says nothing there.
func (s Schemas) Describe(name string, keys []string) string {
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

// Dig returns the value at a place in a document.
func Dig(document any, names []string) (any, bool) {
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

package source

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/keyward/keyward/services/decision/internal/bundlefile"
)

// Schemas are the bundle's JSON schemas by name: those of the facts by action, and parameters.
type Schemas map[string]schema

// schema is the part of a JSON schema that describes.
type schema struct {
	Description string            `json:"description"`
	Otherwise   string            `json:"x-otherwise"` // says of what is false what the description says of what is true
	Type        any               `json:"type"`
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

// Describe returns what a schema says of a value at a place in its document; of the nearest place above if it says nothing there. Of what
// is yes or no it says the sentence that is true; nothing if it has none for the value.
func (s Schemas) Describe(name string, keys []string, value any) string {
	place, described := s[name], ""
	for _, key := range keys {
		below, ok := place.Properties[key]
		if !ok {
			break
		}
		place = below
		described = place.say(value)
	}
	return sentence(described)
}

func (s *schema) say(value any) string {
	switch {
	case s.Type != "boolean", value == true:
		return s.Description
	case value == false:
		return s.Otherwise
	default:
		return ""
	}
}

// named are values that a description explains: "0 = unknown", "empty = none", "not-offered = none was offered".
var named = regexp.MustCompile(`(?i)([\w-]+) = ([^;,.]+)`)

// Quoted is a description beside the value that it describes: what it says of other values is left out.
func Quoted(description string) string {
	subject, rest, _ := strings.Cut(description, "; ")
	if named.MatchString(rest) {
		return subject
	}
	return description
}

// Plain puts a value into plain words by its description, which of what is yes or no is the sentence already: "Passkeys that may be on this
// client: 1". It is empty where there is no description.
func Plain(description string, value any, given bool) string {
	if _, isSentence := value.(bool); isSentence || description == "" {
		return description
	}
	if _, isObject := value.(map[string]any); isObject {
		return "" // it says nothing to a reader
	}
	subject := description
	for _, end := range []string{";", ":", " by the bundle's table"} {
		subject, _, _ = strings.Cut(subject, end)
	}
	return subject + ": " + shown(description, value, given)
}

func shown(description string, value any, given bool) string {
	if !given {
		return "not given"
	}
	text := fmt.Sprint(value)
	for _, one := range named.FindAllStringSubmatch(description, -1) {
		if one[1] == text || (strings.EqualFold(one[1], "empty") && text == "") {
			return one[2]
		}
	}
	if list, ok := value.([]any); ok {
		all := make([]string, len(list))
		for i, one := range list {
			all[i] = fmt.Sprint(one)
		}
		text = strings.Join(all, ", ")
	}
	if text == "" {
		return "none"
	}
	return text
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

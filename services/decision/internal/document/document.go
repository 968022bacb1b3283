// Package document reads the data documents of a policy bundle into Go values. It promises that nothing a value needs is silently left at
// its zero, and says at which key a document does not fit; and it writes the documents that rules answer. It is pure.
package document

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// MisfitError says which part of a bundle's data cannot be used.
type MisfitError struct {
	Keys    []string // from the root of the data
	Message string
}

// Error implements error.
func (e *MisfitError) Error() string { return strings.Join(e.Keys, ".") + ": " + e.Message }

// Decode reads the document of the name in data.keyward. Fields that may be absent have the option omitempty. The error is a *MisfitError.
func Decode(space map[string]any, name string, into any) error {
	keys := []string{"keyward", name}
	value, ok := space[name]
	if !ok {
		return &MisfitError{Keys: keys, Message: "is missing"}
	}
	if missing := absent(reflect.TypeOf(into).Elem(), value, keys); missing != nil {
		return &MisfitError{Keys: missing, Message: "missing parameter " + strings.Join(missing[len(keys):], ".")}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return &MisfitError{Keys: keys, Message: err.Error()}
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return &MisfitError{Keys: keys, Message: fmt.Sprintf("parameter does not fit: %v", err)}
	}
	return nil
}

// absent returns the path of the first field that the type needs and the value lacks. A bundle's schema may be laxer than the engine, so it
// is not enough.
func absent(want reflect.Type, value any, at []string) []string {
	object, ok := value.(map[string]any)
	if want.Kind() != reflect.Struct || !ok {
		return nil
	}
	for field := range want.Fields() {
		if field.Anonymous {
			if missing := absent(field.Type, value, at); missing != nil {
				return missing
			}
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || options == "omitempty" {
			continue
		}
		place := slices.Concat(at, []string{name})
		inner, ok := object[name]
		if !ok {
			return place
		}
		if missing := absent(field.Type, inner, place); missing != nil {
			return missing
		}
	}
	return nil
}

package textdiff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Member is a member of a JSON document that is another one, or that one of two alone has; an absent value is empty.
type Member struct {
	Path   string `json:"path"` // with dots, and indexes in brackets
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Members returns what differs between two JSON documents, by path. What one of them has and the other has not is one member, however much
// is in it; so are lists of another length, and values of another kind. The error is that one of them is no JSON.
func Members(before, after []byte) ([]Member, error) {
	old, err := read(before)
	if err != nil {
		return nil, err
	}
	changed, err := read(after)
	if err != nil {
		return nil, err
	}
	return compare(nil, "", old, changed), nil
}

// read keeps numbers as they are written.
func read(document []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

func compare(found []Member, path string, before, after any) []Member {
	switch old := before.(type) {
	case map[string]any:
		if changed, ok := after.(map[string]any); ok {
			return compareObjects(found, path, old, changed)
		}
	case []any:
		if changed, ok := after.([]any); ok && len(changed) == len(old) {
			for i := range old {
				found = compare(found, fmt.Sprintf("%s[%d]", path, i), old[i], changed[i])
			}
			return found
		}
	}
	if was, is := text(before), text(after); was != is {
		found = append(found, Member{Path: path, Before: was, After: is})
	}
	return found
}

func compareObjects(found []Member, path string, before, after map[string]any) []Member {
	names := slices.Collect(maps.Keys(before))
	for name := range after {
		if _, both := before[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		was, had := before[name]
		is, has := after[name]
		at := strings.TrimPrefix(path+"."+name, ".")
		switch {
		case had && has:
			found = compare(found, at, was, is)
		case had:
			found = append(found, Member{Path: at, Before: text(was)})
		default:
			found = append(found, Member{Path: at, After: text(is)})
		}
	}
	return found
}

func text(value any) string {
	raw, err := json.Marshal(value) // sorts the members of objects
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(raw)
}

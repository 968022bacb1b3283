package providers

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
)

// ErrNoTable says that a file has no table at the keys.
var ErrNoTable = errors.New("there is no table of AAGUIDs")

// place is where a table stands in a file.
type place struct {
	from, to int
	indent   string // of the line that it ends on
}

// find returns where the object at keys stands.
func find(content []byte, keys []string) (place, error) {
	decoder := json.NewDecoder(bytes.NewReader(content))
	for _, key := range keys {
		if err := enter(decoder, key); err != nil {
			return place{}, err
		}
	}
	var value json.RawMessage
	if err := decoder.Decode(&value); err != nil {
		return place{}, err
	}
	if !bytes.HasPrefix(value, []byte("{")) {
		return place{}, ErrNoTable
	}
	to := int(decoder.InputOffset())
	from := to - len(value)
	before := content[1+bytes.LastIndexByte(content[:from], '\n') : from]
	return place{from: from, to: to, indent: string(before[:len(before)-len(bytes.TrimLeft(before, " \t"))])}, nil
}

// enter leaves a decoder before the value of a member of the object that it stands before.
func enter(decoder *json.Decoder, key string) error {
	if opening, err := decoder.Token(); err != nil {
		return err
	} else if opening != json.Delim('{') {
		return ErrNoTable
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil || name == key {
			return err
		}
		var skipped json.RawMessage
		if err := decoder.Decode(&skipped); err != nil {
			return err
		}
	}
	return ErrNoTable
}

// written is a table with an entry a line, by AAGUID, as the default bundle has it. Entries that were not changed stay as they are written.
func written(table map[string]json.RawMessage, indent string) []byte {
	const deeper = "  "
	lines := make([]string, 0, len(table))
	for _, id := range slices.Sorted(maps.Keys(table)) {
		lines = append(lines, indent+deeper+string(text(id))+": "+string(table[id]))
	}
	return []byte("{\n" + strings.Join(lines, ",\n") + "\n" + indent + "}")
}

// line writes an entry in a line, by name of its members.
func line(entry map[string]json.RawMessage) json.RawMessage {
	members := make([]string, 0, len(entry))
	for _, name := range slices.Sorted(maps.Keys(entry)) {
		members = append(members, string(text(name))+": "+string(entry[name]))
	}
	return json.RawMessage("{" + strings.Join(members, ", ") + "}")
}

// text is a JSON string without escapes that nobody needs.
func text(value string) json.RawMessage {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // a string always can be
	return bytes.TrimSpace(out.Bytes())
}

func texts(values []string) json.RawMessage {
	all := make([]string, 0, len(values))
	for _, value := range values {
		all = append(all, string(text(value)))
	}
	return json.RawMessage("[" + strings.Join(all, ", ") + "]")
}

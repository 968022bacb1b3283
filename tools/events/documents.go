package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// document is a contract with regions that are written: what is between the markers of a region, line by line.
type document struct {
	name    string
	regions map[string][]string // title: lines
}

const (
	beginMarker = "# begin of what events/types.yaml says: "
	endMarker   = "# end of what events/types.yaml says"
)

func documents(all []eventType) []document {
	types, _ := split(all)
	sorted, security := split(slices.SortedFunc(slices.Values(all), func(a, b eventType) int { return cmp.Compare(a.Name, b.Name) }))
	return []document{
		{"openapi.yaml", map[string][]string{"types that callers may send": enum(types, eventType.Backend)}},
		{"frontend.yaml", map[string][]string{"types that clients may send": enum(types, eventType.Frontend)}},
		{"asyncapi.yaml", map[string][]string{
			"events":   references(sorted, func(t eventType) bool { return !t.Observed() }),
			"offers":   references(sorted, eventType.Observed),
			"messages": messages(sorted),

			"security events":   references(security, eventType.Security),
			"security messages": messages(security),
		}},
	}
}

// fill returns the document with its regions as they should be. Each must be there once, and no other.
func (d document) fill(text []byte) ([]byte, error) {
	var out bytes.Buffer
	seen := map[string]bool{}
	inside := false
	for line := range strings.Lines(string(text)) {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		title, begins := strings.CutPrefix(strings.TrimSpace(line), beginMarker)
		switch {
		case begins:
			lines, known := d.regions[title]
			if !known || seen[title] || inside {
				return nil, fmt.Errorf("a region %q does not belong here", title)
			}
			seen[title], inside = true, true
			out.WriteString(line)
			for _, written := range lines {
				out.WriteString(indent + written + "\n")
			}
		case strings.TrimSpace(line) == endMarker:
			inside = false
			out.WriteString(line)
		case !inside:
			out.WriteString(line)
		}
	}
	if inside || len(seen) != len(d.regions) {
		return nil, fmt.Errorf("%d of %d regions are marked, from %q to %q", len(seen), len(d.regions), beginMarker+"…", endMarker)
	}
	return out.Bytes(), nil
}

func enum(types []eventType, holds func(eventType) bool) []string {
	lines := []string{"enum:"}
	for _, t := range types {
		if holds(t) {
			lines = append(lines, "  - "+t.Name)
		}
	}
	return lines
}

// key names a message within the document: login-error is loginError, and of security events key-created auditKeyCreated.
func (t eventType) key() string {
	name := constant(t.file())
	return strings.ToLower(name[:1]) + name[1:]
}

func references(types []eventType, holds func(eventType) bool) []string {
	var lines []string
	for _, t := range types {
		if holds(t) {
			lines = append(lines, fmt.Sprintf("%s: { $ref: '#/components/messages/%s' }", t.key(), t.key()))
		}
	}
	return lines
}

func messages(types []eventType) []string {
	var lines []string
	for _, t := range types {
		family, title, trait := "passkey", t.Name, "event"
		if t.Security() {
			family, title, trait = "audit", "audit: "+t.Name, "audit"
		}
		lines = append(lines,
			t.key()+":",
			"  name: keyward."+family+"."+t.Name,
			"  title: '"+title+"'",
			`  summary: "`+t.Summary+`"`,
			"  traits: [{ $ref: '#/components/messageTraits/"+trait+"' }]",
			"  payload: { schemaFormat: 'application/schema+json;version=draft-2020-12', schema: { $ref: './events/"+t.file()+".json' } }",
		)
	}
	return lines
}

package written

import "go.yaml.in/yaml/v3"

// Lists stand for the operator's lists of addresses. Which networks there can be is the engine's affair.
type Lists struct {
	Line   int
	ByName map[string]any // as they would stand in a bundle's data
}

// listsOf reads the lists that a file has beside its scenarios.
func (l *library) listsOf(n *yaml.Node) *Lists {
	if n == nil {
		return nil
	}
	found := &Lists{Line: n.Line, ByName: map[string]any{}}
	for name, given := range l.Named(n, "lists") {
		entries := []any{}
		for _, one := range l.List(given, "lists."+name) {
			entries = append(entries, l.Text(one, "lists."+name))
		}
		found.ByName[name] = map[string]any{"kind": "address", "entries": entries}
	}
	return found
}

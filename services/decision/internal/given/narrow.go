package given

import (
	"fmt"
	"maps"
	"slices"
)

// Narrowed says in words what one schema allowed and the next does not any more, sorted by member: callers that send it are refused then.
func Narrowed(before, now *Schema) []string {
	switch {
	case before == nil:
		return nil
	case now == nil:
		return []string{"context: there was one, and every context is refused now"}
	}
	return before.root.narrowed(SchemaName, now.root)
}

func (p *property) narrowed(field string, now *property) (said []string) {
	told := func(format string, args ...any) { said = append(said, field+": "+fmt.Sprintf(format, args...)) }
	if p.Type != now.Type {
		told("was %s, and is %s", p.Type, now.Type)
		return said
	}
	switch p.Type {
	case "integer":
		if *now.Minimum > *p.Minimum || *now.Maximum < *p.Maximum {
			told("was from %d to %d, and is from %d to %d", *p.Minimum, *p.Maximum, *now.Minimum, *now.Maximum)
		}
	case "string":
		for _, value := range p.Enum {
			if !slices.Contains(now.Enum, value) {
				told("%q is no value any more", value)
			}
		}
	case "array":
		if *now.MaxItems < *p.MaxItems || now.UniqueItems && !p.UniqueItems {
			told("fewer items are allowed")
		}
		said = append(said, p.Items.narrowed(field, now.Items)...)
	case "object":
		for _, name := range slices.Sorted(maps.Keys(p.Properties)) {
			below := field + "." + name
			if there := now.Properties[name]; there != nil {
				said = append(said, p.Properties[name].narrowed(below, there)...)
			} else {
				said = append(said, below+": is gone")
			}
		}
	}
	return said
}

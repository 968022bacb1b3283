package bundle

import (
	"maps"
	"slices"
)

// labels returns the names that the parameters of the bundle or of one of its projects declare as labels of users, sorted.
func (b *Bundle) labels() []string {
	names := map[string]bool{}
	add := func(parameters any) {
		given, _ := parameters.(map[string]any)
		risk, _ := given["risk"].(map[string]any)
		hours, _ := risk["officeHours"].(map[string]any)
		for _, from := range [...]map[string]any{given, hours} {
			list, _ := from["labels"].([]any)
			for _, name := range list {
				if text, ok := name.(string); ok {
					names[text] = true
				}
			}
		}
	}
	add(b.space()[parametersKey])
	projects, _ := b.space()[projectsKey].(map[string]any)
	for _, project := range projects {
		own, _ := project.(map[string]any)
		add(own[parametersKey])
	}
	return slices.Sorted(maps.Keys(names))
}

// narrow makes a schema of an input know the labels that there are, so that a rule that misspells one is refused and told the right name.
// Without any there is nothing to compare with.
func narrow(schema any, labels []string) {
	described := schema
	for _, name := range [...]string{"properties", "user", "properties", "labels"} {
		within, _ := described.(map[string]any)
		described = within[name]
	}
	found, ok := described.(map[string]any)
	if !ok || len(labels) == 0 {
		return
	}
	properties := make(map[string]any, len(labels))
	for _, label := range labels {
		properties[label] = map[string]any{"type": "boolean"}
	}
	found["properties"], found["additionalProperties"] = properties, false
}

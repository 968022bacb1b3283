package explain

import (
	"slices"
	"strings"

	"github.com/keyward/keyward/services/decision/explain/internal/source"
)

// story tells of a row what its conditions say, in sentences of the bundle. Those of the one rule that a row asks are told instead of it,
// and what the row's title says is not said again.
func story(title string, conditions []Condition) []string {
	if len(conditions) == 1 && len(conditions[0].Because) > 0 {
		conditions = conditions[0].Because
	}
	var told []string
	for _, c := range conditions {
		for _, said := range c.story(title) {
			if said != title && !slices.Contains(told, said) {
				told = append(told, said)
			}
		}
	}
	return told
}

// story is the title of the rule that is asked, if it has one for how it came out, or else what it asks itself.
func (c *Condition) story(known string) []string {
	if c.Rule == "" {
		return c.plain
	}
	if c.Title != "" && c.Title != known && !strings.HasPrefix(c.Title, notSo) {
		return []string{c.Title}
	}
	var told []string
	for i := range c.Because {
		told = append(told, c.Because[i].story(known)...)
	}
	if len(told) == 0 && c.Title != "" {
		return []string{c.Title}
	}
	return told
}

// plainly says what a condition looked at: the fact or parameter that a sentence begins with, or else all that are described.
func plainly(c Condition, said string) []string {
	var all []string
	for _, one := range append(c.facts.list(), c.parameters.list()...) {
		words := source.Plain(one.Description, one.Value, one.Given)
		if words != "" && strings.HasPrefix(said, one.Name+" is ") {
			return []string{words}
		}
		if words != "" {
			all = append(all, words)
		}
	}
	return all
}

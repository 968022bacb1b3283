package scenario

import (
	"fmt"
	"slices"
	"strings"

	"github.com/keyward/keyward/services/decision/scenario/internal/written"
)

// known returns the suite with the passkeys whose provider is named as one of the bundle's. An error is Problems: it does not know one.
func (b *Bundle) known(suite Suite) (Suite, error) {
	k := b.engine.Knowledge("")
	found := Suite{scenarios: slices.Clone(suite.scenarios)}
	var problems Problems
	for i := range found.scenarios {
		s := &found.scenarios[i]
		for _, unknown := range s.Provide(func(name string) string { id, _ := k.ProviderOf(name); return id }) {
			problem := Problem{File: s.File, Line: unknown.Line, Message: b.unknown(unknown)}
			if !slices.Contains(problems, problem) { // several scenarios may have the passkey
				problems = append(problems, problem)
			}
		}
	}
	if len(problems) > 0 {
		return Suite{}, problems
	}
	return found, nil
}

func (b *Bundle) unknown(p written.Provider) string {
	message := fmt.Sprintf("provider %q: the bundle's aaguids have no such name", p.Name)
	if _, near := b.engine.Knowledge("").ProviderOf(p.Name); len(near) > 0 {
		message += "; there are " + strings.Join(near, ", ")
	}
	return message
}

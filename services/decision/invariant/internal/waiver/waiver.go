// Package waiver reads which invariants a bundle does without, by name and with its reason. It is pure.
package waiver

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keyward/keyward/services/decision/internal/engine"
)

// Where a bundle keeps what it waives: keyward.invariants.waived, reasons by the names of invariants.
const (
	spaceKey      = "keyward"
	invariantsKey = "invariants"
	waivedKey     = "waived"
)

const adviseWaiver = "name an invariant, such as I8, and give the reason as a text; docs/policies.md lists them"

// Of returns why the bundle waives invariants, by their names, which are among those that are known. An error tells file and line of one
// that cannot be meant.
func Of(e *engine.Engine, known []string) (map[string]string, error) {
	b := e.Bundle("")
	space, _ := b.Data[spaceKey].(map[string]any)
	waived, wrong := read(space[invariantsKey], known)
	if wrong != nil {
		return nil, b.At(append([]string{spaceKey, invariantsKey}, wrong.keys...), wrong.message, adviseWaiver)
	}
	return waived, nil
}

// misfit is what is wrong with a member of keyward.invariants, given by its keys.
type misfit struct {
	keys    []string
	message string
}

func read(found any, known []string) (map[string]string, *misfit) {
	if found == nil {
		return nil, nil
	}
	settings, ok := found.(map[string]any)
	if !ok {
		return nil, &misfit{nil, "invariants must be an object"}
	}
	for name := range settings {
		if name != waivedKey {
			return nil, &misfit{[]string{name}, "invariants have no member " + name}
		}
	}
	list, ok := settings[waivedKey].(map[string]any)
	if !ok {
		return nil, &misfit{nil, "what is waived must be an object"}
	}
	waived := make(map[string]string, len(list))
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if !slices.Contains(known, name) {
			return nil, &misfit{[]string{waivedKey, name}, fmt.Sprintf("there is no invariant %q to waive", name)}
		}
		reason, _ := list[name].(string)
		if strings.TrimSpace(reason) == "" {
			return nil, &misfit{[]string{waivedKey, name}, "invariant " + name + " is waived without a reason"}
		}
		waived[name] = reason
	}
	return waived, nil
}

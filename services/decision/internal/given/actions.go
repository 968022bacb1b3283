package given

import (
	"maps"
	"slices"

	"github.com/keyward/keyward/services/decision/internal/document"
)

// actionsName is the document in data.keyward that declares actions.
const actionsName = "actions"

// Actions are what callers may ask about beside ceremonies, sorted.
type Actions []string

// LearnActions reads what a bundle's data declares; nothing of bundles from before there were any. Parameters may name no others. An error
// is a *document.MisfitError.
func LearnActions(data map[string]any) (Actions, error) {
	space, _ := data["keyward"].(map[string]any)
	var declared map[string]struct {
		Title string `json:"title"`
	}
	if _, there := space[actionsName]; !there {
		return nil, nil
	}
	if err := document.Decode(space, actionsName, &declared); err != nil {
		return nil, err
	}
	known := Actions(slices.Sorted(maps.Keys(declared)))
	var parameters struct {
		Risk struct {
			SensitiveActions []string `json:"sensitiveActions,omitempty"`
		} `json:"risk,omitempty"` // bundles from before have none
	}
	if err := document.Decode(space, "parameters", &parameters); err != nil {
		return nil, err
	}
	for _, name := range parameters.Risk.SensitiveActions {
		if !slices.Contains(known, name) {
			at := []string{"keyward", "parameters", "risk", "sensitiveActions"}
			return nil, &document.MisfitError{Keys: at, Message: "there is no action " + name + ": " + NoneOf(name, known)}
		}
	}
	return known, nil
}

// Check returns a *MisfitError if an action is none of those.
func (a Actions) Check(action string) error {
	if slices.Contains(a, action) {
		return nil
	}
	return misfit("action", "%s", NoneOf(action, a))
}

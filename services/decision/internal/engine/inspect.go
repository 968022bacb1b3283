package engine

import (
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/internal/bundle"
)

// Bundle returns the bundle as a project sees it; an empty ID means one that overrides nothing.
func (e *Engine) Bundle(project ident.ProjectID) *bundle.Bundle { return e.view(project).Bundle }

// Overrides returns the parameters that a project overrides, as data.json says them; nil if it overrides none.
func (e *Engine) Overrides(project ident.ProjectID) map[string]any {
	return e.base.ProjectOverrides(project)
}

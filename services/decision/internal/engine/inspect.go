package engine

import (
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/reads"
)

// keys returns, by question, what of the facts tells answers apart where rules read the data of a bundle.
func (e *Engine) keys(of *bundle.Bundle) (keys [questions]*facts.Projection) {
	for q, read := range e.reads {
		keys[q] = read.Key(e.base.keys[q], of.Data)
	}
	return keys
}

// MemoPaths returns which values of the facts can matter to the answer, dotted, by action.
func (e *Engine) MemoPaths() map[string][]string {
	paths := make(map[string][]string, questions)
	for q, read := range e.reads {
		paths[actions[q]] = read.Facts()
	}
	return paths
}

// MemoKeys are, by action, the numbers and texts among those values, and how they matter.
type MemoKeys map[string][]reads.Divided

// MemoKeys returns them as a project sees them.
func (e *Engine) MemoKeys(project ident.ProjectID) MemoKeys {
	divided := make(MemoKeys, questions)
	for q, read := range e.reads {
		divided[actions[q]] = read.Divided(e.view(project).Data)
	}
	return divided
}

// Bundle returns the bundle as a project sees it; an empty ID means one that overrides nothing.
func (e *Engine) Bundle(project ident.ProjectID) *bundle.Bundle { return e.view(project).Bundle }

// Overrides returns the parameters that a project overrides, as data.json says them; nil if it overrides none.
func (e *Engine) Overrides(project ident.ProjectID) map[string]any {
	return e.base.ProjectOverrides(project)
}

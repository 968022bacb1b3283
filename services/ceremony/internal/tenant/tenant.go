// Package tenant finds the project that a call is of. It keeps nothing and touches nothing but what it is given.
package tenant

import (
	"time"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
)

// Projects finds projects, with their keys.
type Projects interface {
	Lookup(ident.ProjectID) (project.Project, bool)
}

// Of returns the caller's project. The gateway has authenticated it, so one that is gone was deleted a moment ago.
func Of(projects Projects, id ident.ProjectID) (project.Project, error) {
	p, ok := projects.Lookup(id)
	if !ok {
		return project.Project{}, fault.Login("unknown project")
	}
	if p.Ring == nil {
		return project.Project{}, fault.Unavailable(time.Second, "the keys of the project could not be read")
	}
	return p, nil
}

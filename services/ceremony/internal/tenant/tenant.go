// Package tenant finds the project that a call is of. It keeps nothing and touches nothing but what it is given.
package tenant

import (
	"context"
	"errors"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
)

// Projects finds projects, with their keys. What is no project is project.ErrUnknown; any other error says nothing about it.
type Projects interface {
	Find(context.Context, ident.ProjectID) (project.Project, error)
}

// Of returns the caller's project. The gateway has authenticated it, so one that is gone was deleted a moment ago.
func Of(ctx context.Context, projects Projects, id ident.ProjectID) (project.Project, error) {
	p, err := projects.Find(ctx, id)
	if errors.Is(err, project.ErrUnknown) {
		return project.Project{}, fault.Login("unknown project")
	}
	return p, err
}

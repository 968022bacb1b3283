// Package processes begins the processes of the Frontend API and finds them again. A process that is not there is one fault, which clients
// begin anew at. It touches the bucket of processes, and calls the room environments.
package processes

import (
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/process"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// Environments knows client environments again. The room environments is one.
type Environments interface {
	Visit(project.Project, rest.ClientInformation) (environments.Visit, error)
}

// Deps is what the room works with. All fields are required.
type Deps struct {
	Projects     tenant.Projects
	Processes    *process.Store
	Environments Environments
	Now          func() time.Time
}

// Service begins processes of the Frontend API and finds them again.
type Service struct {
	projects     tenant.Projects
	processes    *process.Store
	environments Environments
	now          func() time.Time
}

// New returns the room.
func New(d Deps) *Service {
	return &Service{projects: d.Projects, processes: d.Processes, environments: d.Environments, now: d.Now}
}

package ceremony

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/process"
)

// processLifetime is how long a process of the Frontend API lasts.
const processLifetime = 30 * time.Minute

// begun is a process that has just begun, and what its client is to keep.
type begun struct {
	process   process.Process
	token     string
	newHandle *string // of a client environment; nil: the client's own is good, or it is in private mode
	visit     visit
}

// beginProcess stores a new process. The client that it keeps has the environment handle that was issued with it, so that what follows happens in that environment.
func (s *Service) beginProcess(ctx context.Context, p project.Project, v service.Visit, kind process.Kind, said frontend.ClientInformation, state any) (begun, error) {
	client := clientOfVisit(v, said)
	seen, err := s.visit(p, client)
	if err != nil {
		return begun{}, err
	}
	if seen.issued != nil {
		client.ClientEnvHandle = seen.issued
	}
	made, token := process.New(p.ID, kind, client, s.now(), processLifetime)
	if made.State, err = json.Marshal(state); err != nil {
		return begun{}, fmt.Errorf("encode the state of a process: %w", err)
	}
	if err := s.processes.Create(ctx, made); err != nil {
		return begun{}, err
	}
	return begun{process: made, token: token, newHandle: seen.issued, visit: seen}, nil
}

// processOf returns the process that a visit names.
func (s *Service) processOf(ctx context.Context, v service.Visit, kind process.Kind) (project.Project, process.Process, error) {
	p, err := s.project(v.Project)
	if err != nil {
		return project.Project{}, process.Process{}, err
	}
	found, err := s.processes.Get(ctx, p.ID, kind, v.Process, s.now())
	return p, found, err
}

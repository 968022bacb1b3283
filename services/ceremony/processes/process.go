package processes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/process"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// Lifetime is how long a process of the Frontend API lasts.
const Lifetime = 30 * time.Minute

// Begun is a process that has just begun, and what its client is to keep.
type Begun struct {
	Process   process.Process
	Token     string
	NewHandle *string // of a client environment; nil: the client's own is good, or it is in private mode
	Visit     environments.Visit
}

// Begin stores a new process. The client that it keeps has the environment handle that was issued with it, so that what follows happens in
// that environment.
func (s *Service) Begin(
	ctx context.Context, p project.Project, v service.Visit, kind process.Kind, said frontend.ClientInformation, state any,
) (Begun, error) {
	client := environments.ClientOf(v, said)
	seen, err := s.environments.Visit(p, client)
	if err != nil {
		return Begun{}, err
	}
	if seen.Issued != nil {
		client.ClientEnvHandle = seen.Issued
	}
	made, token := process.New(p.ID, kind, client, s.now(), Lifetime)
	if made.State, err = json.Marshal(state); err != nil {
		return Begun{}, fmt.Errorf("encode the state of a process: %w", err)
	}
	if err := s.processes.Create(ctx, made); err != nil {
		return Begun{}, err
	}
	return Begun{Process: made, Token: token, NewHandle: seen.Issued, Visit: seen}, nil
}

// Of returns the process that a visit names.
func (s *Service) Of(ctx context.Context, v service.Visit, kind process.Kind) (project.Project, process.Process, error) {
	p, err := tenant.Of(ctx, s.projects, v.Project)
	if err != nil {
		return project.Project{}, process.Process{}, err
	}
	found, err := s.processes.Get(ctx, p.ID, kind, v.Process, s.now())
	return p, found, err
}

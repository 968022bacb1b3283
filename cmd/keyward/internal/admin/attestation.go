package admin

import (
	"context"
	"fmt"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
)

// Attestation returns what a project wants to know of the authenticators that its passkeys are made with.
func (p *Projects) Attestation(id string) (project.Attestation, error) {
	found, ok := p.store.Lookup(ident.ProjectID(id))
	if !ok {
		return project.Attestation{}, fmt.Errorf("show the attestation of project %s: %w", id, Plain(project.ErrUnknown))
	}
	return found.Attestation, nil
}

// SetAttestation changes it, at once.
func (p *Projects) SetAttestation(ctx context.Context, id string, change func(*project.Attestation)) (project.Attestation, error) {
	var changed project.Attestation
	err := p.store.Change(ctx, ident.ProjectID(id), func(stored *project.Project) (err error) {
		changed = stored.Attestation
		change(&changed)
		if changed, err = changed.Check(); err == nil {
			stored.Attestation = changed
		}
		return err
	})
	if err != nil {
		return project.Attestation{}, fmt.Errorf("change the attestation of project %s: %w", id, Plain(err))
	}
	return changed, nil
}

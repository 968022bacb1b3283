package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/yamljson"
)

// maxFrontend bounds the description of a frontend, in bytes.
const maxFrontend = 1 << 20

// ReadFrontend reads the description of a frontend, YAML or JSON, and checks it. Unknown members are errors, and so is a second document.
func ReadFrontend(from io.Reader) (project.Frontend, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxFrontend+1))
	if err != nil {
		return project.Frontend{}, fmt.Errorf("read the frontend: %w", err)
	}
	if len(text) > maxFrontend {
		return project.Frontend{}, fmt.Errorf("read the frontend: it is longer than %d bytes", maxFrontend)
	}
	asJSON, err := yamljson.ToJSON(text)
	if err != nil {
		return project.Frontend{}, fmt.Errorf("read the frontend: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(asJSON))
	decoder.DisallowUnknownFields()
	var read project.Frontend
	if err := decoder.Decode(&read); err != nil {
		return project.Frontend{}, fmt.Errorf("read the frontend: %w", err)
	}
	if decoder.More() {
		return project.Frontend{}, errors.New("read the frontend: there is more than one document")
	}
	checked, err := read.Check()
	if err != nil {
		return project.Frontend{}, fmt.Errorf("read the frontend: %w", Plain(err))
	}
	return checked, nil
}

// WriteFrontend writes the description of a frontend as YAML that ReadFrontend reads.
func WriteFrontend(to io.Writer, f project.Frontend) error {
	asJSON, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("write the frontend: %w", err)
	}
	text, err := yamljson.ToYAML(asJSON)
	if err != nil {
		return fmt.Errorf("write the frontend: %w", err)
	}
	_, err = to.Write(text)
	return err
}

// Frontend returns how a project meets browsers and apps.
func (p *Projects) Frontend(id string) (project.Frontend, error) {
	found, ok := p.store.Lookup(ident.ProjectID(id))
	if !ok {
		return project.Frontend{}, fmt.Errorf("show the frontend of project %s: %w", id, Plain(project.ErrUnknown))
	}
	return found.Frontend, nil
}

// SetFrontend changes how a project meets browsers and apps, at once.
func (p *Projects) SetFrontend(ctx context.Context, id string, f project.Frontend) error {
	if err := p.store.Update(ctx, ident.ProjectID(id), func(stored *project.Project) { stored.Frontend = f }); err != nil {
		return fmt.Errorf("change the frontend of project %s: %w", id, Plain(err))
	}
	return nil
}

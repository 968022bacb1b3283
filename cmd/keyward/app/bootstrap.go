package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/gateway"
)

// bootstrap creates the first project if the store holds none. Only a gateway does, so that a secret is printed where calls arrive, and
// with nats_provisioned none: Provision has.
func (a *App) bootstrap(ctx context.Context) error {
	if !a.cfg.Runs(settings.Gateway) {
		return nil
	}
	a.doubt()
	if a.cfg.NATS.Provisioned {
		if len(a.projects.All()) == 0 {
			a.log.Warn("there is no project: keyward provision creates the first one, keyward project create others")
		}
		return nil
	}
	var err error
	a.bootstrapSecret, err = firstProject(ctx, a.cfg.Bootstrap, a.projects, a.opts)
	return err
}

// firstProject creates a project if there is none, and returns its secret. Of several processes that start at once one creates it; the
// others use what is there.
func firstProject(ctx context.Context, as settings.Bootstrap, projects *project.Store, opts Options) (settings.Secret, error) {
	first, err := as.Project(opts.Now())
	if len(projects.All()) > 0 {
		if err != nil {
			opts.Log.Warn("settings of the first project could not work; there are projects, so they are not used", "error", err)
		}
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("create the first project: %w", err)
	}
	if err := projects.Create(ctx, first.Project); err != nil {
		if errors.Is(err, project.ErrExists) {
			return "", nil
		}
		return "", fmt.Errorf("create the first project: %w", err)
	}
	opts.Log.Info("created the first project", "project", as.ProjectID)
	return first.Secret, nil
}

// doubt warns of what an earlier version took for a project and no browser does.
func (a *App) doubt() {
	for _, p := range a.projects.All() {
		for _, doubt := range p.Doubts() {
			a.log.Warn("a stored project has what cannot work; change it with keyward project update", "project", p.ID, "error", doubt)
		}
	}
}

// greet tells the person who started the process the secret of the first project. It is said once and never logged.
func (a *App) greet() {
	if a.bootstrapSecret == "" {
		return
	}
	base := "http://" + a.HTTPAddr()
	if a.cfg.HTTP.UsesTLS(gateway.TLSHTTP) {
		base = "https://" + a.HTTPAddr()
	}
	writeGreeting(a.opts.Out, a.cfg.Bootstrap.ProjectID, a.bootstrapSecret.Reveal(), base, a.also())
}

// also returns lines about what else is served. Passkeys work at a name of the project, not at an address.
func (a *App) also() string {
	lines := ""
	if a.cfg.HTTP.TryingPage {
		lines = "Try passkeys in a browser at " + a.cfg.Ceremony.FrontendURL + "/\n"
	}
	if grpc := a.GRPCAddr(); grpc != "" {
		lines += "gRPC is served at " + grpc + "\n"
	}
	return lines
}

// writeGreeting takes the URL of the API, and lines about what else is served.
func writeGreeting(w io.Writer, id, secret, base, also string) {
	_, _ = fmt.Fprintf(w, `
Keyward has created its first project. This is the only time that its secret is shown:

  project     %[1]s
  API secret  %[2]s

Create a user:

  curl -u '%[1]s:%[2]s' %[3]s/v2/users \
    -H 'Content-Type: application/json' \
    -d '{"fullName": "Ada Lovelace", "status": "active"}'

%[4]sThe API is described at %[3]s/docs

`, id, secret, base, also)
}

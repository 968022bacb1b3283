package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/project"
)

// firstProjectLimit is how long it may take to see whether there is a project, and to create one. A user of NATS that may not is told by
// nobody: it is not answered.
const firstProjectLimit = 30 * time.Second

// Provision creates what services with nats_provisioned find in an external NATS, and ends: the streams and buckets, or changes of them,
// and the first project where there is none. Its secret is told to whoever runs it, once, and never logged.
func Provision(ctx context.Context, cfg settings.Config, opts Options) error {
	opts = opts.withDefaults(cfg)
	store, err := bus.Open(ctx, cfg.NATS.Bus(), opts.Log)
	if err != nil {
		return fmt.Errorf("provision nats: %w", err)
	}
	defer store.Close()
	ctx, cancel := context.WithTimeout(ctx, firstProjectLimit)
	defer cancel()
	projects, err := openProjects(ctx, store, opts)
	if err != nil {
		return unpermitted(err)
	}
	told := audit.NewRecorder(store.JS, audit.Actor{Kind: audit.Command, Name: "keyward provision"}, opts.Now).Tell()
	projects.TellTo(told)
	secret, err := firstProject(ctx, cfg.Bootstrap, projects, opts)
	if err != nil {
		return unpermitted(err)
	}
	if secret != "" {
		writeGreeting(opts.Out, cfg.Bootstrap.ProjectID, secret.Reveal(), cfg.Origin(), "")
	}
	return told.Err()
}

// unpermitted says what the silence of NATS means.
func unpermitted(err error) error {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, kv.ErrUnavailable) {
		return err
	}
	return fmt.Errorf(
		"%w; the user of nats_url must be allowed to read and write the bucket of projects, as deploy/nats-server.conf has it", err,
	)
}

// openProjects loads the projects without a consumer.
func openProjects(ctx context.Context, store *bus.Bus, opts Options) (*project.Store, error) {
	bucket, err := kv.Open(ctx, store.JS, bus.ProjectsBucket)
	var projects *project.Store
	if err == nil {
		projects, err = project.NewStore(ctx, bucket, opts.Log)
	}
	if err != nil {
		return nil, fmt.Errorf("open projects: %w", err)
	}
	return projects, nil
}

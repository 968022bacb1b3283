package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/app"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/client"
	"github.com/keyward/keyward/cmd/keyward/internal/demo/month"
	"github.com/keyward/keyward/cmd/keyward/internal/operatorclient"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/packed"
)

// mostDays is how long what is counted by the hour is kept, and so how far back a month can begin.
const mostDays = 60

// fillMonth has a server of its own, whose clock it holds, live through the days up to now in a data directory that holds nothing yet.
func fillMonth(cmd *cobra.Command, cfg settings.Config, f *demoFlags) error {
	switch {
	case f.days < 1 || f.days > mostDays:
		return command.Usage(fmt.Errorf("--days: must be between 1 and %d", mostDays))
	case f.crowd.Users < 1:
		return command.Usage(errors.New("--days goes with --users: how many people there are"))
	case f.url != "" || f.project != "" || f.attack:
		const alone = "--days fills the data directory of a server that does not run: without --url, --project and --attack"
		return command.Usage(errors.New(alone))
	case cfg.NATS.URL != "" || cfg.Redis.URL != "":
		return command.Usage(errors.New("--days fills the data directory of the embedded NATS server: without nats_url and redis_url"))
	}
	if there, err := os.ReadDir(cfg.NATS.DataDir); err == nil && len(there) > 0 {
		return command.Usage(fmt.Errorf("%s holds something already; --days wants a --data-dir that is new or empty", cfg.NATS.DataDir))
	}
	end := time.Now()
	clock := month.NewClock(end.AddDate(0, 0, -f.days))
	cfg.HTTP.Addr, cfg.HTTP.GRPCAddr, cfg.AdminAddr, cfg.NATS.Addr = "127.0.0.1:0", "off", "127.0.0.1:0", "off"
	cfg.NATS.SyncInterval = time.Minute // what is lost with the power is made again
	cfg.Decision.MaxAge = 0             // hours pass between two looks at what is live
	cfg.Decision.PoliciesDir, cfg.Decision.Source.URL = "", ""
	if cfg.Bootstrap.APISecret == "" {
		cfg.Bootstrap.APISecret = settings.Secret(project.NewSecret())
	}
	server, err := app.Start(cmd.Context(), cfg, app.Options{
		Log: slog.New(slog.DiscardHandler), Now: clock.Now, Getenv: func(string) string { return "" },
	})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	stop := func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), time.Minute)
		defer cancel()
		return server.Stop(ctx)
	}
	site, err := siteAt(cmd.Context(), "http://"+server.HTTPAddr(), &cfg)
	if err != nil {
		return errors.Join(fmt.Errorf("demo: %w", err), stop())
	}
	bar := progress(cmd.ErrOrStderr())
	if bar == nil {
		bar = io.Discard
	}
	plan := month.Plan{
		Users: f.crowd.Users, Days: f.days, Seed: f.crowd.Seed, End: end, Concurrency: f.crowd.Concurrency, Progress: bar,
	}
	seen, err := month.Run(cmd.Context(), plan, site, clock)
	if err = errors.Join(err, stop()); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), `%d people came %d times in %d days: %d logins with a passkey, %d by password, %d passkeys
created, and %d passwords tried on accounts of others in one night. A policy that barred Safari by mistake was live for a day.

See it:   keyward serve --data-dir %s     and then   %s/console
The token of an operator is in %s; project %s has the secret %s.
`, seen.Users, seen.Visits, f.days, seen.Logins, seen.Passwords, seen.Created, seen.Attempts,
		cfg.NATS.DataDir, cfg.Ceremony.FrontendURL, filepath.Join(cfg.NATS.DataDir, operator.TokenFile), cfg.Bootstrap.ProjectID,
		cfg.Bootstrap.APISecret.Reveal())
	return err
}

// siteAt is the first project of a server that was just started. Its policy is pushed, and one that bars a browser by mistake.
func siteAt(ctx context.Context, url string, cfg *settings.Config) (month.Site, error) {
	token, err := os.ReadFile(filepath.Join(cfg.NATS.DataDir, operator.TokenFile))
	if err != nil {
		return month.Site{}, err
	}
	desk := operatorclient.Connect(operatorclient.Server{URL: url, Token: strings.TrimSpace(string(token))}, time.Minute)
	files, err := packed.Read(policies.Bundle)
	if err != nil {
		return month.Site{}, err
	}
	sound, err := push(ctx, desk, files, "As it comes")
	if err != nil {
		return month.Site{}, err
	}
	files["data.json"] = bytes.Replace(
		files["data.json"], []byte(`"blockedBrowsers": []`), []byte(`"blockedBrowsers": [{"name": "Safari"}]`), 1,
	)
	faulty, err := push(ctx, desk, files, "Bar Safari below 15, which cannot create passkeys")
	if err != nil {
		return month.Site{}, err
	}
	if err := goLive(ctx, desk, sound, "To begin with"); err != nil {
		return month.Site{}, err
	}
	first := client.Project{URL: url, ID: cfg.Bootstrap.ProjectID, Secret: cfg.Bootstrap.APISecret.Reveal()}
	return month.Site{
		API:    client.Connect(first, time.Minute, nil),
		Origin: cfg.Origin(),
		Release: func(ctx context.Context, bad bool) error {
			if bad {
				return goLive(ctx, desk, faulty, "CHG-118")
			}
			return goLive(ctx, desk, sound, "It bars every Safari")
		},
	}, nil
}

func push(ctx context.Context, desk *operatorclient.Client, files packed.Files, message string) (revision int32, err error) {
	raw, err := packed.Pack(files)
	if err != nil {
		return 0, err
	}
	made, err := desk.PushRevision(ctx, api.PolicyPushReq{Bundle: raw, Message: message})
	return made.Number, err
}

// goLive returns when every instance answers by the revision: there is one.
func goLive(ctx context.Context, desk *operatorclient.Client, revision int32, reason string) error {
	made, err := desk.Change(ctx, api.PolicyChangeReq{Revision: &revision, Reason: &reason})
	if err != nil {
		return err
	}
	const pause = 20 * time.Millisecond
	for {
		status, err := desk.Status(ctx)
		if err != nil {
			return err
		}
		for _, i := range status.Instances {
			if i.Change != nil && *i.Change >= made.Number && !i.Behind {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

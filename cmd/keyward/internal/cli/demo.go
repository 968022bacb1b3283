package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/client"
	"github.com/keyward/keyward/cmd/keyward/internal/config"
	"github.com/keyward/keyward/cmd/keyward/internal/demo"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/secret"
)

// demoProject is the name of the project that the demo keeps for itself.
const demoProject = "demo"

// attacked is how many accounts are attacked, unless it is said.
const attacked = 200

// demoFlags are what the command line says of a demo.
type demoFlags struct {
	url, project, secret, origin string
	full, attack                 bool
	places                       string
	days                         int
	crowd                        demo.Population
}

func newDemo(terminal command.Terminal) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Tell the whole story against a running server, with a software authenticator",
		Long: `Creates a user and a passkey, logs in, reports what goes wrong and shows how the
answers change, printing each call with its answer. With --users it makes a
population of varied devices and histories instead, and shows which answers they got.
With --users and --days it fills a data directory, before a server is started on it, with
days of people who come and go, more and more of them with passkeys, a release of the
policy that is taken back, and a night in which passwords are tried.
With --attack it makes one of 200, unless --users says otherwise, and attacks it while it
signs in: passwords are tried on many accounts, a browser's handle is used from another
continent, and security keys have been copied. It shows what was seen of whom.

Countries are seen by a server with a database of locations. --places writes one with
the addresses of the demo, for geo_city_db.

Without --project and --secret it uses a project of its own, named demo, which it
creates through the NATS of the server that --data-dir or --nats-url names.`,
		Example: "  keyward demo\n  keyward demo --users 500\n  keyward demo --users 10000 --days 30 --data-dir month\n" +
			"  keyward demo --attack\n" +
			"  keyward demo --url https://keyward.example.com --project pro-1 --secret corbado1_... --origin https://example.com",
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd, terminal, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.url, "url", "", "where the server is; empty = as KEYWARD_HTTP_ADDR says, or http://127.0.0.1:8080")
	flags.StringVar(&f.project, "project", "", "ID of the project to work in; empty = the demo's own")
	flags.StringVar(&f.secret, "secret", "", "API secret of that project")
	flags.StringVar(
		&f.origin, "origin", "", "origin of the page that passkeys are used on, one of the project's; empty = that of frontend_url",
	)
	flags.BoolVar(&f.full, "full", false, "print whole bodies")
	flags.BoolVar(&f.attack, "attack", false, "attack a population while it signs in, and show what is seen")
	flags.StringVar(&f.places, "places", "", "write a database of where the demo's addresses are to this file, and do nothing else")
	flags.IntVar(&f.crowd.Users, "users", 0, "make so many users instead of telling the story of one")
	flags.IntVar(&f.days, "days", 0, "fill an empty --data-dir with so many days of those users up to now, instead of calling a server")
	flags.IntVar(&f.crowd.Concurrency, "concurrency", 8, "users at work at once")
	flags.Uint64Var(&f.crowd.Seed, "seed", 1, "what the population is drawn from; the same seed makes the same one")
	command.ServerFlags(flags)
	return cmd
}

func runDemo(cmd *cobra.Command, terminal command.Terminal, f demoFlags) error {
	if (f.project == "") != (f.secret == "") {
		return command.Usage(errors.New("--project and --secret go together"))
	}
	if f.crowd.Users < 0 || f.crowd.Concurrency < 1 {
		return command.Usage(errors.New("--users must not be negative, and --concurrency at least 1"))
	}
	if f.places != "" {
		if err := os.WriteFile(f.places, demo.Places, 0o644); err != nil { //nolint:gosec // everybody may read it
			return fmt.Errorf("demo: %w", err)
		}
		return nil
	}
	cfg, err := config.Load("", terminal.Environ, cmd.Flags())
	if err != nil {
		return command.Usage(fmt.Errorf("configuration:\n%w", err))
	}
	if cmd.Flags().Changed("days") {
		return fillMonth(cmd, cfg, &f)
	}
	if f.url == "" {
		f.url = "http://" + cfg.HTTP.Addr
	}
	if f.origin == "" {
		f.origin = cfg.Origin()
	}
	fresh := f.project == ""
	if fresh {
		err := command.WithProjects(cmd, terminal, func(ctx context.Context, projects *admin.Projects) error {
			p, made, err := ownProject(ctx, projects, f.origin)
			f.project, f.secret = string(p.ID), made.Reveal()
			return err
		})
		if err != nil {
			return err
		}
	}
	opts := demo.Options{
		Project: client.Project{URL: f.url, ID: f.project, Secret: f.secret}, Origin: f.origin, Full: f.full,
		Out: cmd.OutOrStdout(), Coloured: command.TakesColours(cmd.OutOrStdout(), terminal.Environ),
	}
	if err := demo.Await(cmd.Context(), opts.Project, fresh, 5*time.Second); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	f.crowd.Progress = progress(cmd.ErrOrStderr())
	switch {
	case f.attack:
		f.crowd.Users = cmp.Or(f.crowd.Users, attacked)
		return demo.Attack(cmd.Context(), opts, f.crowd)
	case f.crowd.Users > 0:
		return demo.Populate(cmd.Context(), opts, f.crowd)
	default:
		return demo.Tell(cmd.Context(), opts)
	}
}

// progress returns where a progress bar may be drawn.
func progress(w io.Writer) io.Writer {
	if command.IsTerminal(w) {
		return w
	}
	return nil
}

// ownProject returns the demo's project with a new secret.
func ownProject(ctx context.Context, projects *admin.Projects, origin string) (project.Project, secret.Text, error) {
	for _, p := range projects.List() {
		if p.Name == demoProject {
			made, err := projects.RotateSecret(ctx, string(p.ID))
			return p, made, err
		}
	}
	return projects.Create(ctx, admin.New{Name: demoProject, RPID: "localhost", RPName: "Keyward demo", Origins: []string{origin}}, time.Now())
}

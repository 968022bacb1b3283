package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/app"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/config"
	"github.com/keyward/keyward/core/telemetry"
)

// errNoServer says that there is no server whose streams could be made by somebody else than who runs it.
var errNoServer = command.Usage(errors.New("nats_url: cannot be blank: with the embedded NATS, keyward serve makes what there is"))

func newProvision(terminal command.Terminal, build telemetry.Build) *cobra.Command {
	var path string
	var lower bool
	cmd := &cobra.Command{
		Use:   "provision",
		Short: "Create the streams, buckets and first project of an external NATS",
		Long: `Creates the streams and buckets that are missing and changes those that are not as
the settings say, nats_replicas and the ages and sizes among them, creates a project if
there is none, and ends. Give it the settings that the services have, and a NATS user
that may do so; with nats_provisioned the services wait for what it makes. Run it again
after each update of Keyward, before the services are started: with what is there already
it changes nothing. Streams that have more replicas than nats_replicas keep them, unless
--lower-replicas is given.

The first run prints the secret of the project.`,
		Example: "  keyward provision --nats-url nats://provision:password@localhost:4222",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path, terminal.Environ, cmd.Flags())
			if err != nil {
				return command.Usage(fmt.Errorf("configuration:\n%w", err))
			}
			if cfg.NATS.URL == "" {
				return errNoServer
			}
			cfg.NATS.Lowers = lower
			log := telemetry.NewLogger(terminal.Err, cfg.LogLevel)
			if err := app.Provision(cmd.Context(), cfg, app.Options{Log: log, Out: terminal.Out, Build: build}); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "every stream and bucket is there")
			return err
		},
	}
	command.SettingsFlags(cmd, &path)
	cmd.Flags().BoolVar(&lower, "lower-replicas", false, "take replicas from streams that have more than nats_replicas")
	return cmd
}

package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/config"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/telemetry"
)

// errNoServer says that there is no server whose streams could be made by somebody else than who runs it.
var errNoServer = command.Usage(errors.New("nats_url: cannot be blank: with the embedded NATS, keyward serve makes what there is"))

func newProvision(terminal command.Terminal) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "provision",
		Short: "Create the streams and buckets of an external NATS, or change them",
		Long: `Creates the streams and buckets that are missing and changes those that are not as
the settings say, nats_replicas and the ages and sizes among them, and ends. Give it the
settings that the services have, and a NATS user that may do so; with nats_provisioned
the services wait for what it makes. Run it again after each update of Keyward, before
the services are started: with what is there already it changes nothing.`,
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
			store, err := bus.Open(cmd.Context(), cfg.NATS.Bus(), telemetry.NewLogger(terminal.Err, cfg.LogLevel))
			if err != nil {
				return fmt.Errorf("provision nats: %w", err)
			}
			store.Close()
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "every stream and bucket is there")
			return err
		},
	}
	command.SettingsFlags(cmd, &path)
	return cmd
}

package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/app"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/config"
	"github.com/keyward/keyward/cmd/keyward/internal/memory"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/telemetry"
)

func newServe(terminal command.Terminal, build telemetry.Build) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run all services, or some of them",
		Long: `Runs Keyward until it is told to end by SIGINT or SIGTERM; then it accepts no
more calls and lets those under way finish. Without settings everything runs in
this process, with NATS and a cache inside it and its data in ./data.

The first start creates a project and prints its secret. Logs go to standard
error as lines of JSON.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path, terminal.Environ, cmd.Flags())
			if err != nil {
				return command.Usage(fmt.Errorf("configuration:\n%w", err))
			}
			log := telemetry.NewLogger(terminal.Err, cfg.LogLevel)
			cache.LogTo(log)
			limits := memory.Choose(cfg.MemoryLimit, cfg.RunsAll(), os.DirFS("/"))
			defer memory.Keep(limits, os.Getenv)()
			if cfg.AccountsNear == account.Auto {
				cfg.AccountsNear = account.Fitting(limits.Limit)
			}
			return app.Run(cmd.Context(), cfg, app.Options{Log: log, Out: terminal.Out, Build: build, Program: terminal.Program})
		},
	}
	command.SettingsFlags(cmd, &path)
	return cmd
}

func newConfig(terminal command.Terminal) *cobra.Command {
	var path string
	var check bool
	var out command.Output
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the settings in effect, with secrets as stars",
		Long: `Prints the settings that "keyward serve" with the same file, environment and
flags would use. What is printed can be given to --config, once secrets are filled in.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path, terminal.Environ, cmd.Flags())
			if err != nil {
				return command.Usage(fmt.Errorf("configuration:\n%w", err))
			}
			if check {
				_, _ = fmt.Fprintln(cmd.OutOrStdout(), "The configuration is valid.")
				return nil
			}
			if out.JSON() {
				return config.WriteJSON(cmd.OutOrStdout(), cfg)
			}
			return config.WriteYAML(cmd.OutOrStdout(), cfg)
		},
	}
	command.SettingsFlags(cmd, &path)
	cmd.Flags().BoolVar(&check, "check", false, "only say whether the settings are valid")
	out.Flag(cmd, "yaml")
	cmd.AddCommand(&cobra.Command{
		Use:   "reference",
		Short: "Print the reference of all settings, as Markdown",
		Args:  command.NoArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return config.WriteReference(cmd.OutOrStdout()) },
	})
	return cmd
}

func newVersion(build telemetry.Build) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out.JSON() {
				return command.WriteJSON(cmd, build)
			}
			text := "keyward " + build.Version
			if build.Revision != "" {
				text += " (" + build.Revision + ")"
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), text+", "+build.Go)
			return err
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

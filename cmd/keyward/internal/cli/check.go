package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/services/ceremony/integrity"
)

// errDamaged is how the command ends when something was found; what it is was printed.
var errDamaged = errors.New("the store is damaged; restore a backup, or say with --acknowledge that you know of it")

func newCheck(terminal command.Terminal) *cobra.Command {
	var acknowledge bool
	var out command.Output
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Find out whether the store lacks what it had",
		Long: `Compares the streams of a running server with how far they had come, and the
accounts, the indexes of their names and passkeys and the log of events with each
other. What is wrong is printed, a line each, and the command fails.

Until --acknowledge says that you know of it, the server's readiness is degraded.
Nothing is mended; each line says what helps, which is mostly keyward restore. The
server is found through --data-dir or --nats-url.`,
		Example: "  keyward check\n  keyward check --acknowledge",
		Args:    command.NoArguments,
	}
	command.ServerFlags(cmd.Flags())
	cmd.Flags().BoolVar(&acknowledge, "acknowledge", false, "tell of what is wrong now no more")
	out.Flag(cmd, "text")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		server, err := command.FindServer(terminal, cmd.Flags())
		if err != nil {
			return err
		}
		js, closes, err := admin.JetStream(server, "keyward check")
		if err != nil {
			return err
		}
		defer closes()
		return check(cmd, integrity.Deps{JetStream: js, Now: time.Now, Log: slog.New(slog.DiscardHandler)}, out, acknowledge)
	}
	return cmd
}

func check(cmd *cobra.Command, deps integrity.Deps, out command.Output, acknowledge bool) error {
	checker, err := integrity.Open(cmd.Context(), deps)
	if err != nil {
		return fmt.Errorf("check the store: %w", admin.Plain(err))
	}
	found, err := checker.Check(cmd.Context())
	if err != nil {
		return fmt.Errorf("check the store: %w", admin.Plain(err))
	}
	if err := printFindings(cmd, out, found); err != nil {
		return err
	}
	if acknowledge {
		return admin.Plain(checker.Acknowledge(cmd.Context()))
	}
	if len(found) > 0 {
		return errDamaged
	}
	return nil
}

func printFindings(cmd *cobra.Command, out command.Output, found []integrity.Finding) error {
	if out.JSON() {
		type mendable struct {
			integrity.Finding
			Mend string `json:"mend"`
		}
		all := make([]mendable, len(found))
		for i, f := range found {
			all[i] = mendable{f, f.Mend()}
		}
		return command.WriteJSON(cmd, all)
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "nothing is missing that was not acknowledged")
		return err
	}
	for _, f := range found {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s; %s\n", f, f.Mend()); err != nil {
			return err
		}
	}
	return nil
}

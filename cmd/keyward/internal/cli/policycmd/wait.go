package policycmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/policycmd/internal/readiness"
	"github.com/keyward/keyward/cmd/keyward/internal/config"
	"github.com/keyward/keyward/services/decision/admit"
)

// policyWait is what "keyward policy wait" was asked for.
type policyWait struct {
	bundle  bundleFlag
	timeout time.Duration
}

func newPolicyWait(terminal command.Terminal) *cobra.Command {
	var w policyWait
	cmd := &cobra.Command{
		Use:   "wait",
		Short: "Wait until a server answers by a bundle",
		Long: `Asks the admin port of a server which revision of the policy answers, until it is
that of the bundle. A server takes up a changed bundle by itself, once it has checked
it. Prints nothing; the exit code is 1 if the server refuses the bundle, which ends the
wait at once, or if it did not come to answer in time. The message is then what the
server says of its policy.`,
		Example: "  keyward policy wait --bundle policies",
		Args:    command.NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return w.do(cmd, terminal) },
	}
	w.bundle.flag(cmd)
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFlags(all)
	cmd.Flags().AddFlag(all.Lookup("admin-addr"))
	cmd.Flags().DurationVar(&w.timeout, "timeout", time.Minute, "longest time to wait")
	return cmd
}

func (w *policyWait) do(cmd *cobra.Command, terminal command.Terminal) error {
	if w.timeout <= 0 {
		return command.Usage(errors.New("--timeout: must be above 0"))
	}
	cfg, err := config.Load("", terminal.Environ, cmd.Flags())
	if err != nil {
		return command.Usage(fmt.Errorf("configuration:\n%w", err))
	}
	source, err := w.bundle.open()
	if err != nil {
		return err
	}
	content, err := admit.Content(source)
	if err != nil {
		return fmt.Errorf("%s is refused:\n%w", &w.bundle, err)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), w.timeout)
	defer cancel()
	if err := readiness.Answers(ctx, cfg.AdminAddr, content); err != nil {
		return fmt.Errorf("%s is not what answers: %w", &w.bundle, err)
	}
	return nil
}

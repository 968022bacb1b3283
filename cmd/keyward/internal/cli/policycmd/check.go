package policycmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/admit"
)

// policyCheck is what "keyward policy check" was asked for.
type policyCheck struct {
	bundle  bundleFlag
	memory  string
	timeout time.Duration
	out     command.Output
}

func newPolicyCheck(terminal command.Terminal) *cobra.Command {
	var c policyCheck
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say whether the server would accept a bundle",
		Long: `Loads a bundle as the server does: the rules must compile and fit the schemas of
their input, data.json must fit the schema of the parameters, and the bundle's own
Rego tests must pass, all within bounds of time and memory. Prints the revision, or
what is wrong with file and line. The bundle - is one that a server packed, read
from standard input.`,
		Example: "  keyward policy check --bundle policies",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := c.check(cmd, terminal)
			if err != nil {
				return err
			}
			return c.print(cmd, report)
		},
	}
	c.bundle.flag(cmd)
	usual := decision.DefaultConfig()
	cmd.Flags().StringVar(&c.memory, "memory", humanize.IBytes(uint64(usual.CheckMemory)), "most memory that the check may take")
	cmd.Flags().DurationVar(&c.timeout, "timeout", usual.CheckTimeout, "most time that the check may take")
	c.out.Flag(cmd, "text")
	return cmd
}

func (c *policyCheck) check(cmd *cobra.Command, terminal command.Terminal) (admit.Report, error) {
	memory, err := humanize.ParseBytes(c.memory)
	if err != nil || memory == 0 || memory > 1<<62 {
		return admit.Report{}, command.Usage(errors.New("--memory: must be a size such as 512MiB"))
	}
	if c.timeout <= 0 {
		return admit.Report{}, command.Usage(errors.New("--timeout: must be above 0"))
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), c.timeout)
	defer cancel()
	if c.bundle.dir == "-" {
		return c.checkHere(ctx, terminal, int64(memory))
	}
	source, err := c.bundle.open()
	if err != nil {
		return admit.Report{}, err
	}
	packed, err := admit.Pack(source)
	if err != nil {
		return admit.Report{}, fmt.Errorf("%s is refused:\n%w", &c.bundle, err)
	}
	if terminal.Program == "" {
		return admit.Check(ctx, packed)
	}
	return admit.Keyward(terminal.Program, int64(memory), c.timeout).Check(ctx, packed)
}

// late is the exit code of a check that took too long.
const late = 3

// checkHere checks a packed bundle in this process, which what the rules do may end. Not even a function that never looks at the deadline
// outlives it.
func (c *policyCheck) checkHere(ctx context.Context, terminal command.Terminal, memory int64) (admit.Report, error) {
	if err := admit.Bound(memory); err != nil {
		return admit.Report{}, err
	}
	end := time.AfterFunc(c.timeout+time.Second, func() { os.Exit(late) })
	defer end.Stop()
	packed, err := io.ReadAll(terminal.In)
	if err != nil {
		return admit.Report{}, fmt.Errorf("read the bundle: %w", err)
	}
	return admit.Check(ctx, packed)
}

func (c *policyCheck) print(cmd *cobra.Command, report admit.Report) error {
	if c.out.JSON() {
		return command.WriteJSON(cmd, report)
	}
	if err := report.Err(); err != nil {
		return fmt.Errorf("%s is refused:\n%w", &c.bundle, err)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), "The bundle is good; its revision is", report.Revision+".")
	return err
}

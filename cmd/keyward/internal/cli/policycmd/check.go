package policycmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/admit"
	"github.com/keyward/keyward/services/decision/invariant"
)

// policyCheck is what "keyward policy check" was asked for.
type policyCheck struct {
	bundle          bundleFlag
	memory, against string
	timeout         time.Duration
	sampled         invariant.Options
	verbose, try    bool
	out             command.Output
}

func newPolicyCheck(terminal command.Terminal) *cobra.Command {
	var c policyCheck
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say whether the server would accept a bundle",
		Long: `Loads a bundle as the server does: the rules must compile and fit the schemas of
their input, data.json must fit the schema of the parameters, and the bundle's own
Rego tests must pass, all within bounds of time and memory. Prints the revision, or
what is wrong with file and line, and which parameters the bundle leaves to their
defaults. The bundle - is one that a server packed, read from standard input.

Then it holds what has to be true of any bundle against sampled situations. Of the
invariants that are broken it prints one scenario file: of what it shows of each, the
last scenario fails. The exit code is 1 then; a server takes up such a bundle all the
same. If the time ends before all situations were sampled it says how many were; that
is an error if --situations was given.`,
		Example: `  keyward policy check --bundle policies
  keyward policy check --bundle policies --situations 100000 --timeout 10m`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := c.check(cmd, terminal)
			if err != nil {
				return err
			}
			return c.print(cmd, report)
		},
	}
	c.bundle.flag(cmd)
	cmd.Flags().StringVar(&c.against, "against", "", "`directory` of the bundle before: say what callers may not send in context any more")
	usual := decision.DefaultConfig()
	cmd.Flags().StringVar(&c.memory, "memory", humanize.IBytes(uint64(usual.CheckMemory)), "most memory that the check may take")
	cmd.Flags().DurationVar(&c.timeout, "timeout", usual.CheckTimeout, "most time that the check may take")
	cmd.Flags().IntVar(
		&c.sampled.Situations, "situations", usualSituations,
		"`number` of situations to sample; fewer if the time ends, which is an error if this is given; 0 = none",
	)
	cmd.Flags().Uint64Var(&c.sampled.Seed, "seed", 1, "`number` that says which situations: the same ones for the same number")
	cmd.Flags().BoolVar(&c.try, "scenarios", false, "run the scenarios of a bundle that is read from standard input, too")
	cmd.Flags().BoolVarP(
		&c.verbose, "verbose", "v", false, "say which facts tell remembered answers apart, and in which cells their values are alike",
	)
	c.out.Flag(cmd, "text")
	return cmd
}

// usualSituations take one processor some five seconds. What one situation in a thousand breaks is not found with one seed in a hundred.
const usualSituations = 5_000

func (c *policyCheck) check(cmd *cobra.Command, terminal command.Terminal) (report admit.Report, err error) {
	memory, err := humanize.ParseBytes(c.memory)
	if err != nil || memory == 0 || memory > 1<<62 {
		return admit.Report{}, command.Usage(errors.New("--memory: must be a size such as 512MiB"))
	}
	if c.timeout <= 0 {
		return admit.Report{}, command.Usage(errors.New("--timeout: must be above 0"))
	}
	if c.sampled.Situations < 0 {
		return admit.Report{}, command.Usage(errors.New("--situations: must not be below 0"))
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
		report, err = admit.Check(ctx, packed, c.sampled)
	} else {
		process := admit.Keyward(terminal.Program, int64(memory), c.timeout, c.sampled)
		process.Processors = runtime.GOMAXPROCS(0)
		report, err = process.Check(ctx, packed)
	}
	err = errors.Join(err, report.Against(c.against, source))
	return report, err
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
	report, err := admit.Check(ctx, packed, c.sampled)
	if err == nil && c.try {
		err = report.Try(ctx, packed)
	}
	return report, err
}

func (c *policyCheck) print(cmd *cobra.Command, report admit.Report) error {
	err := c.verdict(cmd, report)
	if c.out.JSON() {
		if c.bundle.dir == "-" {
			err = nil // whoever hands a packed bundle over reads the report
		}
		return errors.Join(command.WriteJSON(cmd, report), err)
	}
	found := report.Invariants
	if found != nil {
		fmt.Fprint(cmd.OutOrStdout(), found.Scenarios)
	}
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	fmt.Fprintln(out, "The bundle is good; its revision is", report.Revision+".")
	for _, usual := range report.Defaults {
		fmt.Fprintf(out, "Parameter %s is not given; it is %s.\n", usual.Parameter, usual.Value)
	}
	for _, advice := range report.Advice {
		fmt.Fprintln(out, advice)
	}
	if c.verbose {
		writeMemo(out, report.Memo)
	}
	if found != nil {
		writeKept(out, found)
		if found.Cut() {
			fmt.Fprintf(cmd.ErrOrStderr(), "keyward: %s\n", c.cut(found))
		}
	}
	return nil
}

// verdict is why the exit code must not be that of success.
func (c *policyCheck) verdict(cmd *cobra.Command, report admit.Report) error {
	if err := report.Err(); err != nil {
		return fmt.Errorf("%s is refused:\n%w", &c.bundle, err)
	}
	found := report.Invariants
	if found == nil {
		return nil
	}
	var errs []error
	if err := found.Err(); err != nil {
		errs = append(errs, fmt.Errorf("%s can be used, but %w", &c.bundle, err))
	}
	if found.Cut() && cmd.Flags().Changed("situations") {
		errs = append(errs, errors.New(c.cut(found)))
	}
	return errors.Join(errs...)
}

// cut says that the time ended before all situations were sampled.
func (c *policyCheck) cut(found *invariant.Report) string {
	return fmt.Sprintf("only %d of %d situations were sampled within --timeout %s", found.Situations, found.Asked, c.timeout)
}

// writeKept tells what holds of a bundle, and what it does without.
func writeKept(w io.Writer, found *invariant.Report) {
	var waived []string
	for _, one := range found.Invariants {
		if one.Waived != "" {
			waived = append(waived, fmt.Sprintf("%s is waived: %s\n", one.Name, one.Waived))
		}
	}
	fmt.Fprintf(w, "%d invariants hold in %d sampled situations.\n", len(found.Invariants)-len(waived), found.Situations)
	fmt.Fprint(w, strings.Join(waived, ""))
}

// writeMemo tells what of the facts tells remembered answers apart, by action.
func writeMemo(w io.Writer, memo admit.Memo) {
	for _, action := range slices.Sorted(maps.Keys(memo)) {
		if len(memo[action]) == 0 {
			continue
		}
		fmt.Fprintln(w, "Remembered answers of", action, "differ by:")
		for _, fact := range memo[action] {
			if fact.Cells == "" {
				fmt.Fprintf(w, "  %s: its value, %s\n", fact.Path, fact.Why)
				continue
			}
			fmt.Fprintf(w, "  %s: %s\n", fact.Path, fact.Cells)
		}
	}
}

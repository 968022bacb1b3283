package policycmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/services/decision/scenario"
)

func openBundle(ctx context.Context, from bundleFlag) (*scenario.Bundle, error) {
	source, err := from.open()
	if err != nil {
		return nil, err
	}
	bundle, err := scenario.Open(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("%s is refused:\n%w", &from, err)
	}
	return bundle, nil
}

// policyTest is what "keyward policy test" was asked for.
type policyTest struct {
	bundle  bundleFlag
	files   []string
	run     string
	junit   string
	json    bool
	verbose bool
}

func newPolicyTest() *cobra.Command {
	var t policyTest
	cmd := &cobra.Command{
		Use:   "test [scenario file]...",
		Short: "Run scenarios: what was known, what happened before, what must be answered",
		Long: `Runs scenario files against a bundle, through the same detection, fold and rules
as the server, with the clock set to the scenario's own. No server is needed.
Without files it runs those that the bundle brings along in scenarios/.

It prints a line for each failed scenario with the expected and actual values, and
a count. The exit code is 0 if all passed, 1 if any failed, and 2 if the bundle or a
file cannot be used.`,
		Example: `  keyward policy test --bundle policies --scenarios mine.yaml
  keyward policy test --bundle policies --run 'two failures' -v`,
		RunE: func(cmd *cobra.Command, args []string) error {
			t.files = append(t.files, args...)
			return t.do(cmd)
		},
	}
	t.bundle.flag(cmd)
	cmd.Flags().StringArrayVar(&t.files, "scenarios", nil, "scenario `file`; repeat it, or name more files behind it")
	cmd.Flags().StringVar(&t.run, "run", "", "run only scenarios whose name matches this regular `expression`")
	cmd.Flags().BoolVar(&t.json, "json", false, "print the report as JSON")
	cmd.Flags().StringVar(&t.junit, "junit", "", "also write the report as JUnit XML to this `file`")
	cmd.Flags().BoolVarP(&t.verbose, "verbose", "v", false, "also list scenarios that passed, and the facts of those that failed")
	return cmd
}

func (t *policyTest) do(cmd *cobra.Command) error {
	suite, err := t.suite()
	if err != nil {
		return command.Usage(err)
	}
	bundle, err := openBundle(cmd.Context(), t.bundle)
	if err != nil {
		return command.Usage(err)
	}
	report, err := bundle.Run(cmd.Context(), suite)
	if problems := (scenario.Problems{}); errors.As(err, &problems) {
		return command.Usage(refused(err))
	} else if err != nil {
		return err
	}
	if t.run != "" {
		report.NotReached = nil // rows that the others may well reach
	}
	if err := t.print(cmd, report); err != nil {
		return err
	}
	if report.Failed > 0 {
		return fmt.Errorf("%d of %d scenarios failed", report.Failed, report.Total)
	}
	return nil
}

// suite reads the scenarios that were asked for.
func (t *policyTest) suite() (scenario.Suite, error) {
	name, err := regexp.Compile(t.run)
	if err != nil {
		return scenario.Suite{}, fmt.Errorf("--run: %w", err)
	}
	var all scenario.Suite
	if len(t.files) > 0 {
		all, err = scenario.Read(t.files...)
	} else {
		all, err = t.own()
	}
	if err != nil {
		return scenario.Suite{}, refused(err)
	}
	selected := all.Select(name)
	if selected.Len() == 0 {
		return scenario.Suite{}, fmt.Errorf("none of the %d scenarios has a name that matches %q", all.Len(), t.run)
	}
	return selected, nil
}

func (t *policyTest) own() (scenario.Suite, error) {
	source, err := t.bundle.open()
	if err != nil {
		return scenario.Suite{}, err
	}
	suite, err := scenario.Own(source, t.bundle.dir)
	if err == nil && suite.Len() == 0 {
		return scenario.Suite{}, fmt.Errorf("%s has no scenarios of its own in scenarios/; name files with --scenarios", &t.bundle)
	}
	return suite, err
}

// refused introduces a list of problems, which begin with a place each.
func refused(err error) error {
	if problems := (scenario.Problems{}); errors.As(err, &problems) {
		return fmt.Errorf("no scenario was run:\n%w", err)
	}
	return err
}

func (t *policyTest) print(cmd *cobra.Command, report *scenario.Report) error {
	if t.junit != "" {
		if err := writeJUnit(t.junit, report); err != nil {
			return err
		}
	}
	if t.json {
		return report.WriteJSON(cmd.OutOrStdout())
	}
	return report.WriteText(cmd.OutOrStdout(), t.verbose)
}

func writeJUnit(name string, report *scenario.Report) error {
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("--junit: %w", err)
	}
	if err := report.WriteJUnit(file); err != nil {
		_ = file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("--junit: %w", err)
	}
	return nil
}

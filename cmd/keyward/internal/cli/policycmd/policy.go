// Package policycmd is "keyward policy": it checks, tests, evaluates, explains and replays rules. Most of it needs no server.
package policycmd

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/policies"
)

// policyCommands are what "keyward policy" can do, in the order of its help.
func policyCommands(terminal command.Terminal) []*cobra.Command {
	return []*cobra.Command{
		newPolicyCheck(terminal),
		newPolicyWait(terminal),
		newPolicyTest(),
		newPolicyScenarios(terminal),
		newPolicyEval(terminal),
		newPolicyExplain(terminal),
		newPolicyReplay(terminal),
		newPolicyFacts(terminal),
		newPolicyParameters(),
		newPolicyTables(),
		newPolicyAAGUIDs(terminal),
	}
}

func New(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check, test and explain the rules that decide",
		Long: `The rules are a bundle: a directory with Rego files, data.json and schemas. These
commands judge with them as the server does, and need none unless they say so.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(policyCommands(terminal)...)
	return cmd
}

// bundleFlag is the flag --bundle.
type bundleFlag struct{ dir string }

func (b *bundleFlag) flag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&b.dir, "bundle", "", "directory of the bundle; empty = the one in this binary")
}

// open returns the files of the bundle.
func (b *bundleFlag) open() (fs.FS, error) {
	if b.dir == "" {
		return policies.Bundle, nil
	}
	info, err := os.Stat(b.dir)
	if err != nil {
		return nil, command.Usage(fmt.Errorf("--bundle: %w", err))
	}
	if !info.IsDir() {
		return nil, command.Usage(fmt.Errorf("--bundle: %s is not a directory", b.dir))
	}
	return os.DirFS(b.dir), nil
}

// String names the bundle in messages.
func (b *bundleFlag) String() string {
	if b.dir == "" {
		return "the bundle in this binary"
	}
	return "the bundle in " + b.dir
}

// Package cli is the command line: it reads arguments, calls what does the work and prints what came of it. Results go to standard output, complaints to standard error.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/keyward/keyward/core/telemetry"
)

// Exit codes.
const (
	ExitOK      = 0
	ExitFailure = 1 // it was tried and did not work
	ExitUsage   = 2 // the command line or the configuration is wrong; nothing was tried
)

// Terminal is what a command reads and writes.
type Terminal struct {
	In       io.Reader
	Out, Err io.Writer
	Environ  []string // "KEY=value"
}

// usageError marks what the caller can only mend by another command line or configuration.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// NewBuild names the running binary. Without a version from the linker it is the module's, with the revision that the toolchain recorded.
func NewBuild(version, revision string) telemetry.Build {
	build := telemetry.Build{Version: version, Revision: revision, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if ok && build.Version == "" && info.Main.Version != "(devel)" {
		build.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && build.Revision == "" {
			build.Revision = s.Value
		}
	}
	if build.Version == "" {
		build.Version = "0.0.0-dev"
	}
	return build
}

// Run runs one command and returns its exit code. It ends early when ctx ends.
func Run(ctx context.Context, args []string, terminal Terminal, build telemetry.Build) int {
	root := newRoot(terminal, build)
	// Without any, cobra would take those of the process.
	root.SetArgs(append([]string{}, args...))
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	_, _ = fmt.Fprintln(terminal.Err, "keyward:", err)
	var usage usageError
	if errors.As(err, &usage) {
		return ExitUsage
	}
	return ExitFailure
}

func newRoot(terminal Terminal, build telemetry.Build) *cobra.Command {
	root := &cobra.Command{
		Use:   "keyward",
		Short: "Decides when to offer a passkey, and runs the ceremony",
		Long: `Keyward answers, at every sign-in and every chance to create a passkey: should
it be offered, on this device, to this user, now, and how? It runs the WebAuthn
ceremonies, remembers what happened, and lets you write the rules in Rego.

Start it:                keyward serve
See it at work:          keyward demo
All settings:            keyward config`,
		Args:              noArguments,
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(terminal.In)
	root.SetOut(terminal.Out)
	root.SetErr(terminal.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(
		newServe(terminal, build),
		newConfig(terminal),
		newProject(terminal),
		newUser(terminal),
		newToken(terminal),
		newPolicy(terminal),
		newEvents(terminal),
		newDemo(terminal),
		newAuthenticator(terminal),
		newVersion(build),
	)
	return root
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("unknown argument %q; see %s --help", args[0], cmd.CommandPath())}
}

func oneArgument(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return usageError{fmt.Errorf("needs one argument, %s; see %s --help", name, cmd.CommandPath())}
	}
}

// output is the flag -o.
type output struct{ format string }

func (o *output) flag(cmd *cobra.Command, otherwise string) {
	o.format = otherwise
	cmd.Flags().VarP(o, "output", "o", "form of the output: "+otherwise+" or json")
}

// String implements pflag.Value.
func (o *output) String() string { return o.format }

// Set implements pflag.Value.
func (o *output) Set(text string) error {
	if text != "json" && text != o.format {
		return fmt.Errorf("must be %s or json", o.format)
	}
	o.format = text
	return nil
}

// Type implements pflag.Value.
func (o *output) Type() string { return "form" }

func (o *output) json() bool { return o.format == "json" }

// isTerminal reports whether a person is likely to sit at f.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	return term.IsTerminal(int(file.Fd()))
}

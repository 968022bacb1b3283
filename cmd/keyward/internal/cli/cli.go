// Package cli is the command line: it reads arguments, calls what does the work and prints what came of it. Results go to standard output,
// complaints to standard error.
package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/backupcmd"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/decisionscmd"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/eventscmd"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/operatorcmd"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/policycmd"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/projectcmd"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/releasecmd"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/reportcmd"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/setcmd"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/signcmd"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/usercmd"
	"github.com/keyward/keyward/cmd/keyward/internal/config"
	"github.com/keyward/keyward/core/telemetry"
)

// Exit codes.
const (
	ExitOK      = 0
	ExitFailure = 1 // it was tried and did not work
	ExitUsage   = 2 // the command line or the configuration is wrong; nothing was tried
)

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
func Run(ctx context.Context, args []string, terminal command.Terminal, build telemetry.Build) int {
	root := newRoot(terminal, build)
	// Without any, cobra would take those of the process.
	root.SetArgs(append([]string{}, config.JoinFlags(args)...))
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	_, _ = fmt.Fprintln(terminal.Err, "keyward:", err)
	var wrong command.UsageError
	if errors.As(err, &wrong) {
		return ExitUsage
	}
	return ExitFailure
}

func newRoot(terminal command.Terminal, build telemetry.Build) *cobra.Command {
	root := &cobra.Command{
		Use:   "keyward",
		Short: "Decides when to offer a passkey, and runs the ceremony",
		Long: `Keyward answers, at every sign-in and every chance to create a passkey: should
it be offered, on this device, to this user, now, and how? It runs the WebAuthn
ceremonies, remembers what happened, and lets you write the rules in Rego.

Start it:                keyward serve
See it at work:          keyward demo
All settings:            keyward config`,
		Args:              command.NoArguments,
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(terminal.In)
	root.SetOut(terminal.Out)
	root.SetErr(terminal.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return command.Usage(fmt.Errorf("%w%s; see %s --help", err, meant(cmd, err), cmd.CommandPath()))
	})
	policy := policycmd.New(terminal)
	policy.AddCommand(append(releasecmd.Commands(terminal), signcmd.New())...)
	root.AddCommand(
		newServe(terminal, build),
		newCheck(terminal),
		backupcmd.NewBackup(terminal, build),
		backupcmd.NewRestore(terminal),
		newProvision(terminal, build),
		newConfig(terminal),
		projectcmd.New(terminal),
		usercmd.New(terminal),
		projectcmd.NewToken(terminal),
		operatorcmd.New(terminal),
		policy,
		setcmd.NewLists(terminal),
		setcmd.NewSwitch(terminal),
		decisionscmd.New(terminal),
		reportcmd.New(terminal),
		eventscmd.New(terminal),
		newDemo(terminal),
		newAuthenticator(terminal),
		newVersion(build),
	)
	return root
}

// meant names the flag that was perhaps meant by one that there is not.
func meant(cmd *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return ""
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
	return config.Suggest("--"+unknown.GetSpecifiedName(), known)
}

package projectcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/project"
)

func newProjectAttestation(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "attestation",
		Short: "Show and change what passkeys tell of the authenticators that make them",
		Long: `An authenticator can say, signed by its maker, which model it is. A project asks
for that or does not: it is of use where only some models are to be taken, as of
employees, and of none for the public, whose passkeys are synchronised and mostly
attested by nobody. What a model is worth is known by metadata (mds_source).`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAttestationShow(terminal), newAttestationSet(terminal))
	for _, sub := range cmd.Commands() {
		command.ServerFlags(sub.Flags())
	}
	return cmd
}

// shownAttestation is a project's attestation as the commands print it, with what goes without saying.
type shownAttestation struct {
	Conveyance string   `json:"conveyance"`
	Formats    []string `json:"formats"`
	Unverified string   `json:"unverified"`
}

func writeAttestation(cmd *cobra.Command, out command.Output, a project.Attestation) error {
	s := shownAttestation{
		Conveyance: string(cmp.Or(a.Conveyance, project.ConveyNone)), Formats: append([]string{}, a.Formats...),
		Unverified: cmp.Or(a.Unverified, project.KeepUnverified),
	}
	if out.JSON() {
		return command.WriteJSON(cmd, s)
	}
	_, err := fmt.Fprintf(
		cmd.OutOrStdout(), "conveyance  %s\nformats     %s\nunverified  %s\n", s.Conveyance, cmp.Or(strings.Join(s.Formats, ","), "any"),
		s.Unverified,
	)
	return err
}

func newAttestationShow(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:   "show <project ID>",
		Short: "Print what a project asks for",
		Args:  command.OneArgument("the project ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return command.WithProjects(cmd, terminal, func(_ context.Context, projects *admin.Projects) error {
				found, err := projects.Attestation(args[0])
				if err != nil {
					return err
				}
				return writeAttestation(cmd, out, found)
			})
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

func newAttestationSet(terminal command.Terminal) *cobra.Command {
	var out command.Output
	var conveyance, unverified string
	var formats []string
	cmd := &cobra.Command{
		Use:   "set <project ID>",
		Short: "Change what a project asks for, at once",
		Long: `Each flag replaces what the project has of its kind; what is not named stays.
--conveyance none leaves nothing.`,
		Example: "  keyward project attestation set pro-1 --conveyance direct --formats packed,tpm --unverified refuse",
		Args:    command.OneArgument("the project ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			flags := cmd.Flags()
			wanted, refusing := given(flags, "conveyance", &conveyance), given(flags, "unverified", &unverified)
			asked := list(flags, "formats", &formats)
			if wanted == nil && refusing == nil && asked == nil {
				return command.Usage(errors.New("nothing is to change; name --conveyance, --formats or --unverified"))
			}
			return command.WithProjects(cmd, terminal, func(ctx context.Context, projects *admin.Projects) error {
				changed, err := projects.SetAttestation(ctx, args[0], func(a *project.Attestation) {
					if wanted != nil {
						if a.Conveyance = project.Conveyance(*wanted); !a.Asked() && refusing == nil && asked == nil {
							*a = project.Attestation{Conveyance: a.Conveyance}
						}
					}
					if asked != nil {
						a.Formats = *asked
					}
					if refusing != nil {
						a.Unverified = *refusing
					}
				})
				if err != nil {
					return err
				}
				return writeAttestation(cmd, out, changed)
			})
		},
	}
	cmd.Flags().StringVar(&conveyance, "conveyance", "", "how much is asked for: none, indirect, direct or enterprise, which names the device")
	cmd.Flags().StringSliceVar(&formats, "formats", nil,
		"formats that are asked for, the preferred one first, of "+strings.Join(project.Formats(), ", ")+"; '' = any")
	cmd.Flags().StringVar(&unverified, "unverified", "",
		"what becomes of a passkey whose attestation the metadata does not vouch for, or that has none: keep or refuse")
	out.Flag(cmd, "text")
	return cmd
}

package releasecmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/bundledir"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/plainfile"
	"github.com/keyward/keyward/services/decision/packed"
	"github.com/keyward/keyward/services/decision/scenario"
)

// maxPacked is the most that the server takes of an archive.
const maxPacked = 2_700_000

// push is what "keyward policy push" was asked for.
type push struct {
	message  string
	parent   int32
	activate bool
	force    bool
	change   change
	out      command.Output
}

func newPush(terminal command.Terminal) *cobra.Command {
	var p push
	cmd := &cobra.Command{
		Use:   "push <directory or archive>",
		Short: "Push a bundle to the store as a revision",
		Long: `Sends the files of a bundle to the server, which checks them as it does before it
answers by any, and keeps them as a revision. It is not live by that, unless --activate
is given. Files that are there already are the revision that they were.

Scenarios that the directory brings along in scenarios/ are run here first, and what
came of them is kept with the revision. If one fails, nothing is pushed without --force.

Instead of a directory it takes a bundle that "opa build" has made. What that leaves out,
schemas and the names of authenticators, is that of the revision it was made from.`,
		Example: `  keyward policy push policies -m "Offer passkeys on Windows 10, too"
  keyward policy push policies -m "Raise the pause to a day" --activate --wait`,
		Args: command.OneArgument("the directory of the bundle, or its archive"),
		RunE: func(cmd *cobra.Command, args []string) error { return p.do(cmd, terminal, args[0]) },
	}
	cmd.Flags().StringVarP(&p.message, "message", "m", "", "what it changes, and why")
	cmd.Flags().Int32Var(&p.parent, "parent", 0, "number of the revision that it was made from; 0 = the one that is live")
	cmd.Flags().BoolVar(&p.activate, "activate", false, "make it live, too")
	cmd.Flags().BoolVar(&p.force, "force", false, "push it although a scenario fails")
	p.change.waitFlags(cmd)
	p.out.Flag(cmd, "text")
	return cmd
}

// pushed is what came of a push, as JSON.
type pushed struct {
	Revision operator.PolicyRevision `json:"revision"`
	New      bool                    `json:"new"` // false: the files were there already
	Change   *operator.PolicyChange  `json:"change,omitempty"`
}

func (p *push) do(cmd *cobra.Command, terminal command.Terminal, dir string) error {
	switch {
	case p.message == "":
		return command.Usage(errors.New("-m is needed: what the revision changes, and why"))
	case p.parent < 0:
		return command.Usage(errors.New("--parent: must be the number of a revision"))
	case p.change.wait && !p.activate:
		return command.Usage(errors.New("--wait: goes with --activate; what is not live is not waited for"))
	}
	if err := p.change.check(); err != nil {
		return err
	}
	raw, built, err := bundleAt(dir)
	if err != nil {
		return err
	}
	if len(raw) > maxPacked {
		return fmt.Errorf("%s takes %d bytes when packed, and the server takes %d", dir, len(raw), maxPacked)
	}
	api, err := connect(cmd, terminal)
	if err != nil {
		return err
	}
	asked := operator.PolicyPushReq{Bundle: raw, Message: p.message}
	if p.parent > 0 {
		asked.Parent = &p.parent
	}
	if !built {
		if asked.Scenarios, err = p.runScenarios(cmd, dir); err != nil {
			return err
		}
	}
	done, err := p.send(cmd.Context(), api, asked)
	if err != nil {
		return err
	}
	if err := p.tell(cmd, done); err != nil || done.Change == nil {
		return err
	}
	return p.change.await(cmd, api, *done.Change)
}

// bundleAt returns a bundle as it is sent: the files of a directory, or an archive that somebody else built, as it is.
func bundleAt(path string) (raw []byte, built bool, err error) {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		if raw, err = os.ReadFile(path); err != nil {
			return nil, false, fmt.Errorf("read the bundle: %w", err)
		}
		if _, err := packed.Unpack(raw); err != nil {
			return nil, false, fmt.Errorf("%s is no bundle: %w", path, err)
		}
		return raw, true, nil
	}
	files, err := bundledir.Read(path)
	if err != nil {
		return nil, false, err
	}
	raw, err = packed.Pack(files)
	return raw, false, err
}

// runScenarios runs what the directory brings along; nil: nothing.
func (p *push) runScenarios(cmd *cobra.Command, dir string) (*operator.PolicyScenarios, error) {
	source := plainfile.Dir(dir)
	suite, err := scenario.Own(source, dir)
	if err != nil {
		return nil, command.Usage(fmt.Errorf("no scenario was run:\n%w", err))
	}
	if suite.Len() == 0 {
		return nil, nil //nolint:nilnil // there are none
	}
	bundle, err := scenario.Open(cmd.Context(), source)
	if err != nil {
		return nil, fmt.Errorf("the bundle in %s is refused:\n%w", dir, err)
	}
	report, err := bundle.Run(cmd.Context(), suite)
	if err != nil {
		return nil, fmt.Errorf("no scenario was run:\n%w", err)
	}
	if report.Failed > 0 {
		report.NotReached = nil
		if err := report.WriteText(cmd.ErrOrStderr(), false); err != nil {
			return nil, err
		}
		if !p.force {
			return nil, fmt.Errorf("%d of %d scenarios failed, and nothing was pushed; --force pushes all the same", report.Failed, report.Total)
		}
	}
	return &operator.PolicyScenarios{Passed: int32(report.Passed), Failed: int32(report.Failed)}, nil
}

// send pushes, and makes live what it was told to. Whoever else makes one live since it began is not outrun unseen.
func (p *push) send(ctx context.Context, api api, asked operator.PolicyPushReq) (pushed, error) {
	before, err := api.ListRevisions(ctx)
	if err != nil {
		return pushed{}, err
	}
	expected := new(int32)
	if p.activate {
		status, err := api.Status(ctx)
		if err != nil {
			return pushed{}, err
		}
		if status.Live != nil {
			expected = &status.Live.Number
		}
	}
	var done pushed
	if done.Revision, err = api.PushRevision(ctx, asked); err != nil {
		return pushed{}, err
	}
	done.New = !slices.ContainsFunc(before.Revisions, func(r operator.PolicyRevision) bool { return r.Number == done.Revision.Number })
	if !p.activate {
		return done, nil
	}
	made, err := api.Change(ctx, operator.PolicyChangeReq{Revision: &done.Revision.Number, Reason: &asked.Message, Expected: expected})
	if err != nil {
		return pushed{}, fmt.Errorf("revision %d is pushed, and not live: %w", done.Revision.Number, err)
	}
	done.Change = &made
	return done, nil
}

func (p *push) tell(cmd *cobra.Command, done pushed) error {
	if p.out.JSON() {
		return command.WriteJSON(cmd, done)
	}
	r := done.Revision
	if !done.New {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "These files are revision %d already, of %s.\n", r.Number, by(r.Author))
		return errors.Join(err, p.tellChange(cmd, done))
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "Pushed revision %d: content %s, %d tests passed", r.Number, r.Content, r.Tests); err != nil {
		return err
	}
	if r.Scenarios != nil {
		_, _ = fmt.Fprintf(cmd.OutOrStdout(), ", %d of %d scenarios passed", r.Scenarios.Passed, r.Scenarios.Passed+r.Scenarios.Failed)
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), "."); err != nil {
		return err
	}
	if r.Advice != nil {
		for _, advice := range *r.Advice {
			_, _ = fmt.Fprintln(cmd.OutOrStdout(), "advice:", printable(advice))
		}
	}
	return p.tellChange(cmd, done)
}

func (p *push) tellChange(cmd *cobra.Command, done pushed) error {
	if done.Change == nil {
		return nil
	}
	return tellChange(cmd, *done.Change)
}

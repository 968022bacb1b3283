package policycmd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/decisionscmd"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/policycmd/internal/scored"
	"github.com/keyward/keyward/services/decision/replay"
)

// policyReplay is what "keyward policy replay" was asked for.
type policyReplay struct {
	bundle   bundleFlag
	since    time.Duration
	limit    int
	action   string
	project  string
	examples int
	json     bool
	exitCode bool
	score    bool
}

func newPolicyReplay(terminal command.Terminal) *cobra.Command {
	var r policyReplay
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Answer recorded decisions again and show what differs",
		Long: `Makes recorded decisions again. With --bundle it shows what that bundle would have
answered otherwise: how many decisions go from which row to which, with examples for
keyward policy explain. Where the bundle counts or detects by other parameters, the
user's events are counted again as they were then, and the client is looked at again;
what a record has not enough for is told apart and counted. Without --bundle each
decision is judged by the revision that made it, and no answer may differ.

With --score it counts instead how frauds and the rest were judged, or with --bundle would
be, by what callers have told became of decisions, and how well each reason does.

The server is found through --data-dir or --nats-url; nothing is changed there. The
exit code is 0 also if answers differ, unless --exit-code is given.`,
		Example: `  keyward policy replay --bundle policies --since 24h
  keyward policy replay --exit-code
  keyward policy replay --score --since 0 --bundle policies`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.do(cmd, terminal) },
	}
	cmd.Flags().StringVar(&r.bundle.dir, "bundle", "", "directory of the bundle to try; empty = each decision with the revision that made it")
	cmd.Flags().DurationVar(&r.since, "since", 24*time.Hour, "how far back to go; 0 = as far as there are records")
	cmd.Flags().IntVar(&r.limit, "limit", 0, "most decisions, from the oldest on; 0 = all")
	actionFlag(cmd, &r.action, "only decisions about login, append, mediation, rollout or risk")
	cmd.Flags().StringVar(&r.project, "project", "", "only decisions of the project with this `ID`")
	cmd.Flags().IntVar(&r.examples, "examples", 3, "most examples of each change")
	cmd.Flags().BoolVar(&r.json, "json", false, "print the summary as JSON")
	cmd.Flags().BoolVar(&r.exitCode, "exit-code", false, "exit with 1 if any answer differs, cannot be judged, or has no revision any more")
	cmd.Flags().BoolVar(&r.score, "score", false, "count how well frauds were told from what was legitimate, by what callers told of it")
	command.ServerFlags(cmd.Flags())
	return cmd
}

func (r *policyReplay) do(cmd *cobra.Command, terminal command.Terminal) error {
	opts, err := r.options(cmd)
	if err != nil {
		return err
	}
	if r.score {
		return scored.Run(cmd, terminal, opts, r.json)
	}
	var bar *progressbar.ProgressBar
	if command.IsTerminal(terminal.Err) {
		bar = progressbar.NewOptions(
			-1, progressbar.OptionSetWriter(terminal.Err), progressbar.OptionSetDescription("decisions"), progressbar.OptionShowCount(),
			progressbar.OptionShowIts(), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond),
		)
		opts.Progress = func(done int, total uint64) {
			bar.ChangeMax64(int64(total))
			_ = bar.Set(done)
		}
	}
	return decisionscmd.WithRecords(cmd, terminal, func(ctx context.Context, records *replay.Records) error {
		summary, err := records.Replay(ctx, opts)
		if bar != nil {
			_ = bar.Finish()
		}
		if err != nil {
			return err
		}
		if err := r.print(cmd, summary); err != nil {
			return err
		}
		if r.exitCode && (summary.Different > 0 || len(summary.Missing) > 0 || len(summary.NotJudged) > 0) {
			return errors.New("not every decision would be the same")
		}
		return nil
	})
}

func (r *policyReplay) options(cmd *cobra.Command) (replay.Options, error) {
	opts := replay.Options{Limit: r.limit, Examples: r.examples}
	if r.since < 0 || r.limit < 0 || r.examples < 1 {
		return opts, command.Usage(errors.New("--since and --limit must not be negative, --examples must be at least 1"))
	}
	if err := checkAction(r.action); err != nil {
		return opts, err
	}
	var err error
	if opts.Project, err = command.CheckProject(r.project); err != nil {
		return opts, err
	}
	opts.Action = r.action
	if r.since > 0 {
		opts.Since = time.Now().Add(-r.since)
	}
	if r.bundle.dir != "" {
		opts.Candidate, err = loadPolicy(cmd.Context(), r.bundle)
	}
	return opts, err
}

func (r *policyReplay) print(cmd *cobra.Command, s *replay.Summary) error {
	if r.json {
		return command.WriteJSON(cmd, s)
	}
	with := "the revisions that made them"
	if s.Candidate != "" {
		with = "revision " + s.Candidate
	}
	out := cmd.OutOrStdout()
	_, _ = fmt.Fprintf(out, "%d decisions judged again with %s: %d the same, %d different.\n", s.Decisions, with, s.Same, s.Different)
	if risk := s.Risk; risk.Different > 0 {
		_, _ = fmt.Fprintf(out, "Of what they were judged for risk beside that, %d are the same, %d different.\n", risk.Same, risk.Different)
	}
	if s.Skipped > 0 {
		_, _ = fmt.Fprintf(out, "%d were left out, because the policy had given no answer: it failed, or a switch was on.\n", s.Skipped)
	}
	for _, reason := range slices.Sorted(maps.Keys(s.NotJudged)) {
		_, _ = fmt.Fprintf(out, "%d were not judged: %s.\n", s.NotJudged[reason], reason)
	}
	for _, hash := range slices.Sorted(maps.Keys(s.Missing)) {
		_, _ = fmt.Fprintf(out, "%d were left out, because revision %s is not in the archive.\n", s.Missing[hash], hash)
	}
	changes := slices.Concat(s.Changes, s.Risk.Changes)
	if len(changes) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	heading := "\nDECISIONS\tACTION\tROW\tEXAMPLE\tMADE\tWAS\tIS"
	if slices.ContainsFunc(changes, func(c replay.Change) bool { return c.Then.String() != "" }) {
		heading += "\tTHEN"
	}
	_, _ = fmt.Fprintln(table, heading)
	for _, change := range changes {
		row := change.From + " -> " + change.To
		if change.From == change.To {
			row = change.From + ", details"
		}
		then := change.Then.String()
		for n, example := range change.Examples {
			count, action := fmt.Sprint(change.Count), change.Action
			if n > 0 {
				count, action, row, then = "", "", "", ""
			}
			_, _ = fmt.Fprintf(
				table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", count, action, row, example.ID, example.Time.UTC().Format(time.RFC3339), example.Before(),
				strings.TrimRight(example.After()+"\t"+then, "\t"),
			)
		}
	}
	return errors.Join(table.Flush(), s.WriteSegments(out))
}

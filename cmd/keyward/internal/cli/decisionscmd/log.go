package decisionscmd

import (
	"bufio"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/operatorclient"
)

func newLog(terminal command.Terminal) *cobra.Command {
	var since, until string
	var after uint64
	var limit int
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Print recorded decisions in the form of OPA's decision log",
		Long: `Prints records as OPA writes decisions to its log, one JSON object a line, the oldest
first, up to now: for tools that know that log. The position of a record is in custom;
--after that of the last line goes on. The server is asked, as the Operator API has it.
` + command.OperatorTokenHelp,
		Example: `  keyward decisions log --since 1h > decisions.ndjson
  keyward decisions log --operator-url https://keyward.example.com --after 81733 --limit 1000`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return command.Usage(errors.New("--limit must not be negative"))
			}
			asked, err := logged(since, until, after, time.Now())
			if err != nil {
				return err
			}
			api, err := command.FindOperatorAPI(cmd, terminal)
			if err != nil {
				return err
			}
			out := bufio.NewWriter(cmd.OutOrStdout())
			return errors.Join(writeLog(cmd, api, asked, limit, out), out.Flush())
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "only decisions since this `time`: 24h for a day ago, or RFC 3339; empty = all that is kept")
	cmd.Flags().StringVar(&until, "until", "", "only decisions before this `time`, likewise; empty = now")
	cmd.Flags().Uint64Var(&after, "after", 0, "go on after the record with this `position`")
	cmd.Flags().IntVar(&limit, "limit", 0, "most decisions, the oldest of those that are meant; 0 = all")
	command.OperatorFlags(cmd.Flags())
	return cmd
}

// logged is what flags ask for. What is recorded from now on is left out, since it may never end.
func logged(since, until string, after uint64, now time.Time) (asked operatorclient.LogAsked, err error) {
	asked.Until = now
	if asked.Since, err = command.TimeFlag("since", since, now); err != nil {
		return asked, err
	}
	if until != "" {
		asked.Until, err = command.TimeFlag("until", until, now)
	}
	if after > 0 {
		asked.After = strconv.FormatUint(after, 10)
	}
	return asked, err
}

// writeLog prints as many as are wanted, an answer after the other; 0 = all.
func writeLog(cmd *cobra.Command, api *operatorclient.Client, asked operatorclient.LogAsked, limit int, out *bufio.Writer) error {
	const largest = 1000
	for left := limit; limit == 0 || left > 0; {
		if asked.Limit = largest; limit > 0 {
			asked.Limit = min(left, largest)
		}
		events, err := api.LogDecisions(cmd.Context(), asked)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, e := range events {
			if _, err := out.Write(append(e.Line, '\n')); err != nil {
				return err
			}
		}
		left -= len(events)
		asked.After = events[len(events)-1].Position
	}
	return nil
}

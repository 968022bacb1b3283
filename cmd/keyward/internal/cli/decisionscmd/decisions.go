// Package decisionscmd is "keyward decisions": it finds recorded decisions, those that offered a passkey and those that did not, and shows
// them. It promises to change nothing, and touches the stream of decisions of a running server alone.
package decisionscmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/journal"
	"github.com/keyward/keyward/services/decision/replay"
)

// New returns the command.
func New(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "decisions",
		Short: "Find recorded decisions, and show them",
		Long: `Finds the decisions that a running server has recorded: those that offered a passkey
and those that did not. Nothing is changed there. keyward policy explain says why one
was made, keyward policy replay what other rules would have answered.

With --operator-url the server is asked, as the Operator API has it: its index finds
decisions by more, and at once. Without it the records are read from the server's NATS.
` + command.OperatorTokenHelp,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newList(terminal), newTail(terminal), newShow(terminal), newLog(terminal))
	return cmd
}

// usual is how many decisions are listed unless the flag says otherwise: about a screen.
const usual = 50

func newList(terminal command.Terminal) *cobra.Command {
	var f Filter
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the newest decisions",
		Long: `Prints the newest decisions, oldest first: when each was made, about whom, what it
answered, and its ID. The server is found through --operator-url, or the records through
--data-dir or --nats-url.`,
		Example: `  keyward decisions list --user usr-4693224802260150919
  keyward decisions list --since 24h --allow=false --tag default-deny
  keyward decisions list --limit 0 --json > decisions.jsonl
  keyward decisions list --operator-url https://keyward.example.com --verdict deny --browser safari`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return command.Usage(errors.New("--limit must not be negative"))
			}
			if command.OperatorURLGiven(cmd, terminal) {
				return f.listIndex(cmd, terminal, limit, asJSON)
			}
			return f.list(cmd, terminal, limit, asJSON)
		},
	}
	f.flags(cmd, "all that is kept")
	cmd.Flags().IntVar(&limit, "limit", usual, "most decisions, the newest of those that are meant; 0 = all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each record as one line of JSON")
	return cmd
}

func (f *Filter) list(cmd *cobra.Command, terminal command.Terminal, limit int, asJSON bool) error {
	selection, err := f.read(cmd, time.Now())
	if err != nil {
		return err
	}
	return WithRecords(cmd, terminal, func(ctx context.Context, records *replay.Records) error {
		out := bufio.NewWriter(cmd.OutOrStdout())
		table := newTable(out, asJSON)
		var newest []replay.Record // a ring once it is full
		next := 0
		err := records.Each(ctx, selection, func(record replay.Record, _ uint64) (bool, error) {
			switch {
			case !f.means(&record):
			case limit == 0:
				return true, table.line(&record)
			case len(newest) < limit:
				newest = append(newest, record)
			default:
				newest[next], next = record, (next+1)%limit
			}
			return true, nil
		})
		if err != nil {
			return err
		}
		for i := range newest {
			if err := table.line(&newest[(next+i)%len(newest)]); err != nil {
				return err
			}
		}
		return errors.Join(table.end(), out.Flush())
	})
}

func newTail(terminal command.Terminal) *cobra.Command {
	var f Filter
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print decisions as they are made",
		Long: `Prints each decision that is made from now on, or since the time that --since names,
until it is interrupted. When the server goes away it is waited for. The server is
found through --operator-url, or the records through --data-dir or --nats-url.`,
		Example: `  keyward decisions tail
  keyward decisions tail --allow=false --action append`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if command.OperatorURLGiven(cmd, terminal) {
				return f.tailIndex(cmd, terminal, asJSON)
			}
			return f.tail(cmd, terminal, asJSON)
		},
	}
	f.flags(cmd, "from now on")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each record as one line of JSON")
	return cmd
}

func (f *Filter) tail(cmd *cobra.Command, terminal command.Terminal, asJSON bool) error {
	selection, err := f.read(cmd, time.Now())
	if err != nil {
		return err
	}
	server, err := command.FindServer(terminal, cmd.Flags())
	if err != nil {
		return err
	}
	query := journal.Query{Of: journal.Decisions(), Project: selection.Project, User: selection.User, Since: selection.Since}
	if selection.Action != "" {
		query.Kinds = []string{selection.Action}
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	reader := &journal.Reader{
		Query: query,
		// Found anew each time: a server that has restarted may be somewhere else.
		Connect: func() (*nats.Conn, error) { return admin.Connect(server, "keyward decisions") },
		Away: func(err error) {
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "keyward: the server is away and is waited for:", err)
		},
		Take: func(entry journal.Entry) error {
			var record replay.Record
			if err := json.Unmarshal(entry.Data, &record); err != nil {
				return fmt.Errorf("decode a recorded decision: %w", err)
			}
			if f.means(&record) {
				if err := follow(out, &record, asJSON); err != nil {
					return err
				}
			}
			// Somebody may be looking on.
			if entry.Last {
				return out.Flush()
			}
			return nil
		},
	}
	if err := reader.Tail(cmd.Context()); err != nil {
		return errors.Join(fmt.Errorf("read decisions: %w", err), out.Flush())
	}
	return out.Flush()
}

// follow writes a decision as a line of its own: what comes after it is not known, and so not how wide a column must be.
func follow(out io.Writer, record *replay.Record, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(record)
	}
	_, err := fmt.Fprintf(out, "%s  %s  %s  %-9s  %-5s  %-4s  %s  %s\n", record.Time.UTC().Format(moment), record.Project, user(record),
		record.Action, verdict(record), record.Rule, command.Word(string(record.Tag)), record.ID)
	return err
}

// moment is how a time is printed.
const moment = "2006-01-02T15:04:05.000Z"

// table prints decisions below one another.
type table struct {
	lines *tabwriter.Writer
	json  *json.Encoder // nil: as a table
}

func newTable(out io.Writer, asJSON bool) *table {
	if asJSON {
		return &table{json: json.NewEncoder(out)}
	}
	t := &table{lines: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	_, _ = fmt.Fprintln(t.lines, "MADE\tPROJECT\tUSER\tACTION\tALLOW\tROW\tTAG\tDECISION")
	return t
}

func (t *table) line(r *replay.Record) error {
	if t.json != nil {
		return t.json.Encode(r)
	}
	_, err := fmt.Fprintf(
		t.lines, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Time.UTC().Format(moment), r.Project, user(r), r.Action, verdict(r), r.Rule,
		command.Word(string(r.Tag)), r.ID,
	)
	return err
}

func (t *table) end() error {
	if t.json != nil {
		return nil
	}
	return t.lines.Flush()
}

func verdict(r *replay.Record) string {
	if r.Allow {
		return "yes"
	}
	return "no"
}

// user is a dash where there was none.
func user(r *replay.Record) string {
	if r.User == "" {
		return "-"
	}
	return string(r.User)
}

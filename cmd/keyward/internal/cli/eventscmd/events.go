// Package eventscmd is "keyward events": it prints what is in the log, and what comes.
package eventscmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/journal"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

func New(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Read passkey events as they come, or again",
		Long: `Reads the stream of passkey events of a running server. Nothing is changed there.
Services read it with any NATS client, over HTTP or with the Go package subscribe.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newEventsTail(terminal), newEventsReplay(terminal))
	return cmd
}

// eventsQuery is what both commands ask for.
type eventsQuery struct {
	project, user, since string
	types                []string
	json                 bool
}

func newEventsTail(terminal command.Terminal) *cobra.Command {
	var q eventsQuery
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print events as they are appended",
		Long: `Prints each event that is appended from now on, or since the time that --since
names, until it is interrupted. When the server goes away it is waited for, and no
event is missed. The server is found through --data-dir or --nats-url.`,
		Example: `  keyward events tail
  keyward events tail --project pro-1 --type login-completed --type append-completed --since 1h`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return q.do(cmd, terminal, (*journal.Reader).Tail) },
	}
	q.flags(cmd, "from now on")
	return cmd
}

func newEventsReplay(terminal command.Terminal) *cobra.Command {
	var q eventsQuery
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Print the events that are kept, and end",
		Long: `Prints the events that the stream keeps, oldest first, and ends with the last that
was there when it began. The server is found through --data-dir or --nats-url.`,
		Example: `  keyward events replay --user usr-4693224802260150919
  keyward events replay --since 2026-11-22T00:00:00Z --json > events.jsonl`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return q.do(cmd, terminal, (*journal.Reader).Replay) },
	}
	q.flags(cmd, "all that is kept")
	return cmd
}

func (q *eventsQuery) flags(cmd *cobra.Command, otherwise string) {
	cmd.Flags().StringVar(&q.project, "project", "", "only events of the project with this `ID`")
	cmd.Flags().StringVar(&q.user, "user", "", "only events of the user with this `ID`")
	cmd.Flags().StringSliceVar(&q.types, "type", nil, "only events of this `type`; repeatable")
	cmd.Flags().StringVar(&q.since, "since", "", "only events since this `time`: 24h for a day ago, or RFC 3339; empty = "+otherwise)
	cmd.Flags().BoolVar(&q.json, "json", false, "print each event as one line of JSON, as it is on the stream")
	command.ServerFlags(cmd.Flags())
}

func (q *eventsQuery) read(now time.Time) (journal.Query, error) {
	made := journal.Query{Of: journal.Events()}
	var err error
	if made.Project, err = command.CheckProject(q.project); err != nil {
		return made, err
	}
	if q.user != "" {
		if made.User, err = ident.ParseUserID(q.user); err != nil {
			return made, command.Usage(fmt.Errorf("--user: %w", err))
		}
	}
	for _, name := range q.types {
		kind := event.Type(name)
		if kind.Observed() {
			return made, command.Usage(fmt.Errorf("--type: %s is kept on another stream, of login offers", name))
		}
		if !kind.Known() {
			return made, command.Usage(fmt.Errorf("--type: %q is no type of event; one of %s", name, strings.Join(durableTypes(), ", ")))
		}
		made.Kinds = append(made.Kinds, name)
	}
	made.Since, err = command.Since(q.since, now)
	return made, err
}

// durableTypes returns the types on the stream in order of the alphabet.
func durableTypes() []string {
	var names []string
	for _, kind := range event.Types() {
		if !kind.Observed() {
			names = append(names, string(kind))
		}
	}
	slices.Sort(names)
	return names
}

func (q *eventsQuery) do(cmd *cobra.Command, terminal command.Terminal, read func(*journal.Reader, context.Context) error) error {
	query, err := q.read(time.Now())
	if err != nil {
		return err
	}
	server, err := command.FindServer(terminal, cmd.Flags())
	if err != nil {
		return err
	}
	printer := newEventPrinter(cmd.OutOrStdout(), q.json)
	reader := &journal.Reader{
		Query: query,
		// Found anew each time: a server that has restarted may be somewhere else.
		Connect: func() (*nats.Conn, error) { return admin.Connect(server, "keyward events") },
		Take:    printer.take,
		Away: func(err error) {
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "keyward: the server is away and is waited for:", err)
		},
	}
	if err := read(reader, cmd.Context()); err != nil {
		return errors.Join(fmt.Errorf("read events: %w", err), printer.flush())
	}
	return printer.flush()
}

// eventPrinter writes events.
type eventPrinter struct {
	out  *bufio.Writer
	json bool
}

func newEventPrinter(out io.Writer, asJSON bool) *eventPrinter {
	return &eventPrinter{out: bufio.NewWriter(out), json: asJSON}
}

func (p *eventPrinter) take(e journal.Entry) error {
	if p.json {
		_, _ = p.out.Write(e.Data)
		_ = p.out.WriteByte('\n')
	} else {
		_, _ = p.out.WriteString(eventLine(e))
	}
	// Somebody may be looking on.
	if !e.Last {
		return nil
	}
	return p.flush()
}

func (p *eventPrinter) flush() error {
	if err := p.out.Flush(); err != nil {
		return fmt.Errorf("write the events: %w", err)
	}
	return nil
}

// eventLine tells an event in one line. Much of it is text that callers sent, which must not reach the terminal as it is.
func eventLine(entry journal.Entry) string {
	var e event.Event
	if err := json.Unmarshal(entry.Data, &e); err != nil {
		return fmt.Sprintf("%d cannot be read: %s\n", entry.Sequence, command.Word(string(entry.Data)))
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%s  %s  %s  %-24s  %s", time.UnixMilli(e.CreatedMs).UTC().Format("2006-01-02T15:04:05.000Z"),
		command.Word(string(e.Project)), command.Word(string(e.User)), command.Word(string(e.Type)), command.Word(string(e.ID)))
	details := []struct{ name, value string }{
		{
			"deletes", string(e.Deletes),
		},
		{"route", string(e.Route)},
		{"kind", string(e.Kind)},
		{"credential", e.Credential},
		{"environment", string(e.Environment)},
		{"process", e.Process},
		{"decision", string(e.Decision)},
	}
	if e.Auth != nil {
		details = append(
			details, struct{ name, value string }{"method", string(e.Auth.Method)}, struct{ name, value string }{"status", string(e.Auth.Status)},
		)
	}
	for _, d := range details {
		if d.value != "" {
			fmt.Fprintf(&line, "  %s=%s", d.name, command.Word(d.value))
		}
	}
	return line.String() + "\n"
}

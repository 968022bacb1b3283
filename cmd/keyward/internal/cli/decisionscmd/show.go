package decisionscmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/replay"
)

func newShow(terminal command.Terminal) *cobra.Command {
	var f Filter
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show [decision ID]",
		Short: "Show the record of a decision",
		Long: `Prints what is recorded of a decision: what was asked, the facts that were found, the
answer, and what came of an offer to create a passkey. Without an ID it is the newest
of those that the flags name. The server is found through --operator-url, or the records
through --data-dir or --nats-url.
The exit code is 1 if there is no such record.`,
		Example: `  keyward decisions show dec-1795348800000123456789012
  keyward decisions show --user usr-4693224802260150919 --allow=false`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if command.OperatorURLGiven(cmd, terminal) {
				return f.showIndex(cmd, terminal, args, asJSON)
			}
			return WithRecord(cmd, terminal, &f, args, func(ctx context.Context, records *replay.Records, record replay.Record) error {
				outcome, err := records.Outcome(ctx, &record)
				if err != nil {
					return err
				}
				found := shown{Record: record, Outcome: outcome}
				if asJSON {
					return command.WriteJSON(cmd, found)
				}
				return found.write(cmd.OutOrStdout())
			})
		},
	}
	f.flags(cmd, "all that is kept")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the record as JSON")
	return cmd
}

// WithRecord runs do with the decision that the argument names, or without one with the newest that the filter means.
func WithRecord(
	cmd *cobra.Command, terminal command.Terminal, f *Filter, args []string, do func(context.Context, *replay.Records, replay.Record) error,
) error {
	var id ident.DecisionID
	if len(args) > 0 {
		var err error
		if id, err = named(cmd, args); err != nil {
			return err
		}
	} else if _, err := f.read(cmd, time.Now()); err != nil {
		return err
	}
	return WithRecords(cmd, terminal, func(ctx context.Context, records *replay.Records) error {
		record, err := find(ctx, cmd, records, f, id)
		if err != nil {
			return err
		}
		return do(ctx, records, record)
	})
}

func named(cmd *cobra.Command, args []string) (ident.DecisionID, error) {
	if len(args) > 1 {
		return "", command.Usage(fmt.Errorf("needs one argument, the decision ID, not %d", len(args)))
	}
	if given(cmd) {
		return "", command.Usage(errors.New("give the decision ID, or flags that say which decisions are meant, not both"))
	}
	id, err := ident.ParseDecisionID(args[0])
	if err != nil {
		return "", command.Usage(fmt.Errorf("%q is no decision ID: it %w; copy it from the response header X-Keyward-Decision-ID", args[0], err))
	}
	return id, nil
}

func find(ctx context.Context, cmd *cobra.Command, records *replay.Records, f *Filter, id ident.DecisionID) (replay.Record, error) {
	if id == "" {
		record, err := f.Newest(ctx, cmd, records)
		if errors.Is(err, replay.ErrNotFound) {
			err = fmt.Errorf("%w; keyward decisions list shows those that are there", err)
		}
		return record, err
	}
	record, err := recorded(ctx, records, id)
	switch {
	case errors.Is(err, replay.ErrUntimely):
		err = fmt.Errorf("%w; decision IDs have 25 digits, is it complete?", err)
	case errors.Is(err, replay.ErrEvicted):
		err = fmt.Errorf("%w; decisions_max_age and decisions_max_bytes say how long records are kept", err)
	case errors.Is(err, replay.ErrNotFound):
		err = fmt.Errorf("%w; is this the server that made it, and is its user still there? "+
			"keyward_decisions_lost_total counts decisions that could not be recorded", err)
	}
	return record, err
}

// recordedWithin is how long after a decision its record may still be on its way: a call is answered before that is kept.
const recordedWithin = 10 * time.Second

// recorded finds a decision. One that was made a moment ago is waited for.
func recorded(ctx context.Context, records *replay.Records, id ident.DecisionID) (replay.Record, error) {
	return backoff.Retry(ctx, func() (replay.Record, error) {
		record, err := records.Find(ctx, id)
		made, known := id.Time()
		if err != nil && !(errors.Is(err, replay.ErrNotFound) && known && time.Since(made) < recordedWithin) {
			err = backoff.Permanent(err)
		}
		return record, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(100*time.Millisecond)))
}

// WriteHead prints whose a decision is, and what it answered.
func WriteHead(out io.Writer, r *replay.Record) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(table, "%s\t%s\n", name, value)
		}
	}
	about := string(r.User)
	if about == "" {
		about = "none: there was no such user, or none was named"
	}
	line("decision", string(r.ID))
	line("made", r.Time.UTC().Format(time.RFC3339Nano))
	line("project", string(r.Project))
	line("user", about)
	line("process", r.Process)
	line("request", string(r.RequestID))
	line("action", r.Action)
	line("answer", fmt.Sprintf("allow %s, row %s, tag %s", verdict(r), r.Rule, r.Tag))
	line("revision", r.PolicyRevision)
	return table.Flush()
}

// shown is a record, and what came after it.
type shown struct {
	replay.Record
	// Outcome is what came of an offer to create a passkey: how it was answered, and the first login with the passkey that it made.
	Outcome []replay.Step `json:"outcome,omitempty"`
}

// write prints a record for a person.
func (s *shown) write(out io.Writer) error {
	r := &s.Record
	if err := WriteHead(out, r); err != nil {
		return err
	}
	for _, part := range []struct {
		title    string
		document json.RawMessage
	}{{"Facts", r.Facts}, {"Answer", r.Answer}} {
		if err := writePart(out, part.title, part.document, r.Switch()); err != nil {
			return fmt.Errorf("decision %s: %w", r.ID, err)
		}
	}
	if len(r.Risk) > 0 {
		title := "Risk, which was told and not enforced"
		if r.Enforced {
			title = "Risk, which was enforced"
		}
		if err := writePart(out, title, r.Risk, r.Switch()); err != nil {
			return fmt.Errorf("decision %s: %w", r.ID, err)
		}
	}
	if err := WriteOutcome(out, s.Outcome); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nWhy: keyward policy explain %s\n", r.ID)
	return err
}

// WriteOutcome prints what came of a decision, nothing if nothing did.
func WriteOutcome(out io.Writer, steps []replay.Step) error {
	if len(steps) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(out, "\nWhat came of it")
	for _, s := range steps {
		if err == nil {
			_, err = fmt.Fprintf(out, "    %s  %s\n", s.At.Format(time.RFC3339), s)
		}
	}
	return err
}

// writePart prints a document, a line for each value. Without any it says why, by the switch that was on.
func writePart(out io.Writer, title string, document json.RawMessage, switched string) error {
	var value map[string]any
	if err := json.Unmarshal(document, &value); err != nil {
		return fmt.Errorf("decode its %s: %w", title, err)
	}
	values := map[string]string{}
	flatten(values, "", value)
	if _, err := fmt.Fprintf(out, "\n%s\n", title); err != nil {
		return err
	}
	if len(values) == 0 {
		why := "the policy failed, and the safe default was answered"
		if switched != "" {
			why = "the switch " + switched + " was on, and the rules were not asked"
		}
		_, err := fmt.Fprintln(out, "    none: "+why)
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		_, _ = fmt.Fprintf(table, "    %s\t%s\n", name, values[name])
	}
	return table.Flush()
}

func flatten(into map[string]string, at string, value any) {
	if object, ok := value.(map[string]any); ok {
		for name, inner := range object {
			path := name
			if at != "" {
				path = at + "." + name
			}
			flatten(into, path, inner)
		}
		return
	}
	text, err := json.Marshal(value)
	if err != nil {
		text = []byte(fmt.Sprint(value)) // what came from JSON goes back to it
	}
	into[at] = string(text)
}

package policycmd

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/replay"
)

// policyExplain is what "keyward policy explain" was asked for.
type policyExplain struct {
	bundle bundleFlag
	json   bool
}

func newPolicyExplain(terminal command.Terminal) *cobra.Command {
	var e policyExplain
	cmd := &cobra.Command{
		Use:   "explain <decision ID>",
		Short: "Say why a decision was made",
		Long: `Finds the record of a decision and says which row of the table answered, the facts
it read, and of each row above it the first condition that failed. It uses the very
revision of the bundle that decided, which the server keeps, or another with --bundle.

The ID is in the response header X-Keyward-Decision-ID of every start call, and in
the server's log as decision_id. The server is found through --data-dir or
--nats-url. The exit code is 1 if there is no such record.`,
		Example: `  keyward policy explain dec-1795348800000123456789012
  keyward policy explain dec-1795348800000123456789012 --bundle policies`,
		Args: command.OneArgument("the decision ID"),
		RunE: func(cmd *cobra.Command, args []string) error { return e.do(cmd, terminal, args[0]) },
	}
	cmd.Flags().StringVar(&e.bundle.dir, "bundle", "", "explain with the bundle in this directory instead of the revision that decided")
	cmd.Flags().BoolVar(&e.json, "json", false, "print the record and the explanation as JSON")
	command.ServerFlags(cmd.Flags())
	return cmd
}

// withRecords runs do with the decision records of the server that the command's flags name.
func withRecords(cmd *cobra.Command, terminal command.Terminal, do func(context.Context, *replay.Records) error) error {
	server, err := command.FindServer(terminal, cmd.Flags())
	if err != nil {
		return err
	}
	conn, err := admin.Connect(server, "keyward policy")
	if err != nil {
		return fmt.Errorf("find the server: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("open jetstream: %w", err)
	}
	return do(cmd.Context(), replay.NewRecords(js))
}

// explained is a recorded decision with its explanation.
type explained struct {
	Decision replay.Record `json:"decision"`
	Bundle   string        `json:"bundle,omitempty"` // named by the caller; empty = the revision that decided
	Same     bool          `json:"sameAnswer"`       // the explained answer is the recorded one
	// NotAnew is why the bundle's own parameters could not find facts, so that the recorded ones were put to its rules; empty = they did.
	NotAnew     string               `json:"recordedFacts,omitempty"`
	Explanation *explain.Explanation `json:"explanation"`
}

func (e *policyExplain) do(cmd *cobra.Command, terminal command.Terminal, argument string) error {
	id, err := ident.ParseDecisionID(argument)
	if err != nil {
		return command.Usage(fmt.Errorf("%q is no decision ID: it %w; copy it from the response header X-Keyward-Decision-ID", argument, err))
	}
	return withRecords(cmd, terminal, func(ctx context.Context, records *replay.Records) error {
		found, err := e.explain(ctx, records, id)
		if err != nil {
			return err
		}
		if e.json {
			return command.WriteJSON(cmd, found)
		}
		return found.print(cmd)
	})
}

func (e *policyExplain) explain(ctx context.Context, records *replay.Records, id ident.DecisionID) (*explained, error) {
	record, err := records.Find(ctx, id)
	switch {
	case errors.Is(err, replay.ErrUntimely):
		return nil, fmt.Errorf("%w; decision IDs have 25 digits, is it complete?", err)
	case errors.Is(err, replay.ErrEvicted):
		return nil, fmt.Errorf("%w; decisions_max_age and decisions_max_bytes say how long records are kept", err)
	case errors.Is(err, replay.ErrNotFound):
		return nil, fmt.Errorf("%w; is this the server that made it, and is its user still there? keyward_decisions_lost_total counts decisions that could not be recorded", err)
	case err != nil:
		return nil, err
	}
	policy, err := e.policy(ctx, records, &record)
	if err != nil {
		return nil, err
	}
	facts, notAnew := record.Facts, ""
	if e.bundle.dir != "" {
		facts, err = records.Facts(ctx, &record, policy)
		if reason, known := replay.ReasonOf(err); known {
			facts, notAnew = record.Facts, reason.String()
		} else if err != nil {
			return nil, err
		}
	}
	explanation, err := policy.Explain(ctx, record.Action, record.Project, facts)
	if err != nil {
		return nil, err
	}
	was, err := record.AnswerDocument()
	if err != nil {
		return nil, fmt.Errorf("decision %s: %w", id, err)
	}
	return &explained{
		Decision: record, Bundle: e.bundle.dir, Same: reflect.DeepEqual(was, explanation.Answer), NotAnew: notAnew, Explanation: explanation,
	}, nil
}

func (e *policyExplain) policy(ctx context.Context, records *replay.Records, record *replay.Record) (*explain.Policy, error) {
	if e.bundle.dir != "" {
		return loadPolicy(ctx, e.bundle)
	}
	policy, err := records.Policy(ctx, record.PolicyHash)
	if errors.Is(err, replay.ErrNotArchived) {
		return nil, fmt.Errorf("decision %s was made by %w; give a bundle to explain it with: --bundle", record.ID, err)
	}
	return policy, err
}

func (e *explained) print(cmd *cobra.Command) error {
	r := &e.Decision
	allow := "no"
	if r.Allow {
		allow = "yes"
	}
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(table, "%s\t%s\n", name, value)
		}
	}
	line("decision", string(r.ID))
	line("made", r.Time.UTC().Format(time.RFC3339Nano))
	line("project", string(r.Project))
	line("user", orNone(string(r.User)))
	line("process", r.Process)
	line("request", string(r.RequestID))
	line("action", r.Action)
	line("answer", fmt.Sprintf("allow %s, row %s, tag %s", allow, r.Rule, r.Tag))
	line("revision", r.PolicyRevision)
	if err := table.Flush(); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n\n", e.comparison()); err != nil {
		return err
	}
	return e.Explanation.WriteText(cmd.OutOrStdout())
}

func orNone(user string) string {
	if user == "" {
		return "none: there was no such user, or none was named"
	}
	return user
}

// comparison says how the explained answer relates to the recorded one, and what it rests on.
func (e *explained) comparison() string {
	if e.NotAnew == "" {
		return e.outcome()
	}
	return e.outcome() + "\nThe facts are the recorded ones, though the bundle would find others: " + e.NotAnew + "."
}

// outcome says how the explained answer relates to the recorded one.
func (e *explained) outcome() string {
	with := "the revision that decided"
	if e.Bundle != "" {
		with = "the bundle in " + e.Bundle + ", not the revision that decided"
	}
	switch {
	case e.Decision.PolicyFailed():
		return "The policy failed or ran out of time, and the safe default was answered. Explained with " + with + ", which answers now:"
	case e.Same:
		return "Explained with " + with + ". The answer is the recorded one."
	case e.Explanation.Row.Name == e.Decision.Rule:
		return "Explained with " + with + ". The row is the recorded one, but other parts of the answer differ."
	default:
		return "Explained with " + with + ". THE ANSWER DIFFERS: row " + e.Explanation.Row.Name + " instead of " + e.Decision.Rule + "."
	}
}

package policycmd

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/decisionscmd"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/explain/text"
	"github.com/keyward/keyward/services/decision/replay"
)

// policyExplain is what "keyward policy explain" was asked for.
type policyExplain struct {
	bundle bundleFlag
	whose  decisionscmd.Filter
	last   bool
	json   bool
}

func newPolicyExplain(terminal command.Terminal) *cobra.Command {
	var e policyExplain
	cmd := &cobra.Command{
		Use:   "explain [decision ID]",
		Short: "Say why a decision was made",
		Long: `Finds the record of a decision and says which row of the table answered, the facts
it read, and of each row above it the first condition that failed. It uses the very
revision of the bundle that decided, which the server keeps, or another with --bundle.

The ID is in the response header X-Keyward-Decision-ID of every start call, and in
the server's log as decision_id; keyward decisions list finds it. --last means the
newest decision, with --user the newest about that user. The server is found through
--data-dir or --nats-url. The exit code is 1 if there is no such record.`,
		Example: `  keyward policy explain dec-1795348800000123456789012
  keyward policy explain dec-1795348800000123456789012 --bundle policies
  keyward policy explain --user usr-4693224802260150919 --last`,
		RunE: func(cmd *cobra.Command, args []string) error { return e.do(cmd, terminal, args) },
	}
	e.whose.Whose(cmd)
	cmd.Flags().BoolVar(&e.last, "last", false, "explain the newest decision of those that --project, --user and --action name")
	cmd.Flags().StringVar(&e.bundle.dir, "bundle", "", "explain with the bundle in this directory instead of the revision that decided")
	cmd.Flags().BoolVar(&e.json, "json", false, "print the record and the explanation as JSON")
	command.ServerFlags(cmd.Flags())
	return cmd
}

// explained is a recorded decision with its explanation.
type explained struct {
	Decision replay.Record `json:"decision"`
	Bundle   string        `json:"bundle,omitempty"` // named by the caller; empty = the revision that decided
	Same     bool          `json:"sameAnswer"`       // the explained answer is the recorded one
	// NotAnew is why the bundle's own parameters could not find facts, so that the recorded ones were put to its rules; empty = they did.
	NotAnew     string               `json:"recordedFacts,omitempty"`
	Explanation *explain.Explanation `json:"explanation"`
	// Untold is why the events behind the answer, and what would change it, cannot be told; empty = they are.
	Untold string `json:"causesUntold,omitempty"`
	// Risk is how the request was judged beside that, if it was.
	Risk *explain.Explanation `json:"risk,omitempty"`
	// Outcome is what came of an offer to create a passkey: how it was answered, and the first login with the passkey that it made.
	Outcome []replay.Step `json:"outcome,omitempty"`
}

func (e *policyExplain) do(cmd *cobra.Command, terminal command.Terminal, args []string) error {
	if named := len(args) > 0; named == e.last {
		return command.Usage(
			errors.New("give the decision ID, or --last for the newest decision; with --user U --last it is the newest about that user"),
		)
	}
	show := func(ctx context.Context, records *replay.Records, record replay.Record) error {
		found, err := e.explain(ctx, records, record)
		if err != nil {
			return err
		}
		if e.json {
			return command.WriteJSON(cmd, found)
		}
		return found.print(cmd)
	}
	return decisionscmd.WithRecord(cmd, terminal, &e.whose, args, show)
}

func (e *policyExplain) explain(ctx context.Context, records *replay.Records, record replay.Record) (*explained, error) {
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
	known, untold := record.Circumstances(policy), ""
	known.Causes, err = records.Causes(ctx, &record, policy)
	if reason, why := replay.ReasonOf(err); why {
		untold = reason.String()
	} else if err != nil {
		return nil, err
	}
	explanation, err := policy.ExplainIn(ctx, record.Action, record.Project, facts, known)
	if err != nil {
		return nil, err
	}
	var risk *explain.Explanation
	if len(record.Risk) > 0 {
		if risk, err = policy.Explain(ctx, explain.Risk, record.Project, facts); err != nil {
			return nil, err
		}
	}
	was, err := record.AnswerDocument()
	if err != nil {
		return nil, fmt.Errorf("decision %s: %w", record.ID, err)
	}
	outcome, err := records.Outcome(ctx, &record)
	if err != nil {
		return nil, err
	}
	return &explained{
		Outcome: outcome, Untold: untold, Risk: risk,
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
	if err := decisionscmd.WriteHead(cmd.OutOrStdout(), &e.Decision); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n\n", e.comparison()); err != nil {
		return err
	}
	if err := text.Write(cmd.OutOrStdout(), e.Explanation); err != nil {
		return err
	}
	risk := e.Risk
	if e.Explanation.Action == explain.Risk { // of a finish, which is about nothing else
		risk = e.Explanation
	}
	if risk != nil {
		if err := text.WriteRisk(cmd.OutOrStdout(), risk, e.Decision.Enforced); err != nil {
			return err
		}
	}
	return decisionscmd.WriteOutcome(cmd.OutOrStdout(), e.Outcome)
}

// comparison says how the explained answer relates to the recorded one, and what it rests on.
func (e *explained) comparison() string {
	if e.Untold != "" {
		return e.judged() + "\nThe events behind it, and what would change it, cannot be told: " + e.Untold + "."
	}
	return e.judged()
}

// judged says how the explained answer relates to the recorded one, and which facts were put to the rules.
func (e *explained) judged() string {
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
	name := e.Decision.Switch()
	switch {
	case name != "":
		return "The switch " + name + " was on, and the rules were not asked. Explained with " + with + ", which would answer:"
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

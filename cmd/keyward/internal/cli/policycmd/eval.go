package policycmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/explain/text"
)

// policyEval is what "keyward policy eval" was asked for.
type policyEval struct {
	bundle  bundleFlag
	input   string
	action  string
	project string
	explain bool
	json    bool
}

func newPolicyEval(terminal command.Terminal) *cobra.Command {
	var e policyEval
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Answer given facts with a bundle",
		Long: `Puts facts to the rules and prints the answer document. The facts are checked
against the bundle's input schema first. No server is needed.

The facts of a recorded decision are in its record: keyward policy explain --json.
The exit code is 0 if the rules answered, 1 if they could not, and 2 if the bundle
or the facts cannot be used.`,
		Example: `  keyward policy eval --bundle policies --input facts.json --explain
  jq .decision.facts explained.json | keyward policy eval --input - --action login`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.do(cmd, terminal) },
	}
	e.bundle.flag(cmd)
	cmd.Flags().StringVar(&e.input, "input", "", "JSON `file` with the facts; - is standard input")
	actionFlag(cmd, &e.action, "question that the facts are of: login, append, mediation, rollout or risk; empty = found out from the facts")
	cmd.Flags().StringVar(&e.project, "project", "", "`ID` of the project whose parameters count; empty = those of all")
	cmd.Flags().BoolVar(&e.explain, "explain", false, "say which row answered and why, instead of the answer alone")
	cmd.Flags().BoolVar(&e.json, "json", false, "print the explanation as JSON; the answer alone always is")
	return cmd
}

func actionFlag(cmd *cobra.Command, action *string, usage string) {
	cmd.Flags().StringVar(action, "action", "", usage)
}

func checkAction(action string) error {
	if action == "" {
		return nil
	}
	for _, known := range explain.Tables() {
		if action == known {
			return nil
		}
	}
	return command.Usage(fmt.Errorf("--action: must be %s, not %q", strings.Join(explain.Tables(), ", "), action))
}

func (e *policyEval) do(cmd *cobra.Command, terminal command.Terminal) error {
	if err := checkAction(e.action); err != nil {
		return err
	}
	project, err := command.CheckProject(e.project)
	if err != nil {
		return err
	}
	facts, err := readFacts(e.input, terminal.In)
	if err != nil {
		return err
	}
	policy, err := loadPolicy(cmd.Context(), e.bundle)
	if err != nil {
		return err
	}
	action, err := e.actionOf(policy, facts)
	if err != nil {
		return err
	}
	if err := policy.CheckFacts(action, facts); err != nil {
		return command.Usage(fmt.Errorf("these are not the facts of %s:\n%w", action, err))
	}
	if !e.explain {
		answer, err := policy.Evaluate(cmd.Context(), action, project, facts)
		if err != nil {
			return err
		}
		return command.WriteJSON(cmd, answer)
	}
	explanation, err := policy.Explain(cmd.Context(), action, project, facts)
	if err != nil {
		return err
	}
	if e.json {
		return command.WriteJSON(cmd, explanation)
	}
	return text.Write(cmd.OutOrStdout(), explanation)
}

func loadPolicy(ctx context.Context, from bundleFlag) (*explain.Policy, error) {
	source, err := from.open()
	if err != nil {
		return nil, err
	}
	policy, err := explain.Load(ctx, source)
	if err != nil {
		return nil, command.Usage(fmt.Errorf("%s is refused:\n%w", &from, err))
	}
	return policy, nil
}

// readFacts reads a JSON object from a file or from standard input.
func readFacts(name string, in io.Reader) ([]byte, error) {
	var raw []byte
	var err error
	switch name {
	case "":
		return nil, command.Usage(errors.New("--input is needed: a JSON file with the facts, or - for standard input"))
	case "-":
		if raw, err = io.ReadAll(in); err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
	default:
		if raw, err = os.ReadFile(name); err != nil {
			return nil, command.Usage(fmt.Errorf("--input: %w", err))
		}
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, command.Usage(fmt.Errorf("--input: the facts are not a JSON object: %w", err))
	}
	return raw, nil
}

// actionOf finds out what the facts are of: each question has facts that no other has.
func (e *policyEval) actionOf(policy *explain.Policy, facts []byte) (string, error) {
	if e.action != "" {
		return e.action, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(facts, &object); err != nil {
		return "", command.Usage(fmt.Errorf("--input: %w", err))
	}
	has := func(name string) bool { _, ok := object[name]; return ok }
	switch login, creation := has("strategy"), has("flags") || has("situation"); {
	case has("rollout") && !login && !creation:
		return explain.Rollout, nil
	case login && !creation:
		return explain.Login, nil
	case creation && !login:
		return explain.Append, nil
	case !login && policy.CheckFacts(explain.Mediation, facts) == nil:
		return explain.Mediation, nil
	}
	return "", command.Usage(
		errors.New(
			"what the facts are of cannot be told: give --action, or strategy (login), flags and situation (append) or rollout among the facts",
		),
	)
}

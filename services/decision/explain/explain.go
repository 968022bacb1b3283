// Package explain says why a policy answered as it did: the row of the decision table that answered, the facts and parameters it read,
// and for each row above it the first condition that failed. It follows the rules as they are written in the bundle, so it explains an
// edited bundle as well as the default one; what it cannot put into words it shows as source text. It is pure: the same bundle and facts
// give the same explanation.
package explain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/explain/internal/source"
	"github.com/keyward/keyward/services/decision/internal/causes"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/reasons"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

// The actions that a policy judges.
const (
	Login     = engine.ActionLogin
	Append    = engine.ActionAppend
	Mediation = engine.ActionMediation
	Rollout   = engine.ActionRollout
	Risk      = engine.ActionRisk // beside what the others decide
)

// Actions returns the names of all actions that decisions are about.
func Actions() []string { return engine.Actions() }

// Tables returns the names of all tables that can be asked: those of the actions, and that of risk.
func Tables() []string { return engine.Actions() }

// Explanation is why one question was answered as it was.
type Explanation struct {
	Action   string          `json:"action"`
	Project  ident.ProjectID `json:"project,omitempty"`
	Revision string          `json:"revision"`
	Answer   map[string]any  `json:"answer"`         // the policy's output document
	Row      Row             `json:"row"`            // the one that answered
	Above    []Row           `json:"above"`          // from the top of the table; none of them matched
	Note     string          `json:"note,omitempty"` // what the explanation lacks; empty = nothing
	Passkeys []detect.Reach  `json:"passkeys,omitempty"`
	Causes   *causes.Found   `json:"causes,omitempty"` // nil = not known, or there are none
	// What the client was taken for, and by what; nil = it is not recorded. Names are free text.
	Client *recognition.Identity `json:"client,omitempty"`
	// Entries of the parameters' lists that name the client.
	Lists []recognition.Match  `json:"lists,omitempty"`
	Risk  []service.RiskReason `json:"risk,omitempty"` // of the table of risk: what is wrong
}

// Circumstances are what a record tells beyond the facts, which hold no names.
type Circumstances struct {
	Passkeys []detect.Reach // of the account, as they could be reached from the client
	Causes   *causes.Found  // of the answer that this policy gives; nil = not known
	Client   *recognition.Identity
	Lists    []recognition.Match // which entries of the parameters name the client; empty = none, or it is not known
}

// passkeys are those that were found with what had happened, where that is known: what worked here is here, whatever its kind.
func (c *Circumstances) passkeys() []detect.Reach {
	if c.Causes != nil && len(c.Causes.Passkeys) > 0 {
		return c.Causes.Passkeys
	}
	return c.Passkeys
}

// Row is one row of a decision table.
type Row struct {
	Name    string `json:"row"`             // for example L7a
	Tag     string `json:"tag,omitempty"`   // that it answers with
	Title   string `json:"title,omitempty"` // what its condition means
	Matched bool   `json:"matched"`
	// Reason is one sentence. Of the row that answered it names every condition, of another the first that failed.
	Reason     string      `json:"reason"`
	Story      []string    `json:"story,omitempty"` // the same in the words of the bundle: sentences without names of rules and facts
	Conditions []Condition `json:"conditions,omitempty"`
	Details    []Condition `json:"details,omitempty"` // what shaped the answer of the row that answered, such as a gate
	Facts      []Reading   `json:"facts,omitempty"`   // read by the conditions; of the row that answered also by the details
	Parameters []Reading   `json:"parameters,omitempty"`
	File       string      `json:"file"`
	Line       int         `json:"line"`
}

// Condition is a condition of a rule and why it holds or not.
type Condition struct {
	Text    string      `json:"text"` // as written in the bundle
	Holds   bool        `json:"holds"`
	Reason  string      `json:"reason"`
	Rule    string      `json:"rule,omitempty"`    // that it asks
	Title   string      `json:"title,omitempty"`   // of that rule
	Because []Condition `json:"because,omitempty"` // conditions of that rule
	File    string      `json:"file"`
	Line    int         `json:"line"`

	facts, parameters readings
	plain             []string // of a condition that asks no rule: what it looked at, in words
}

// Reading is a value that a rule read.
type Reading struct {
	Name        string `json:"name"`            // path below the facts or the parameters
	Value       any    `json:"value"`           // nil if it is not given
	Given       bool   `json:"given"`           // false: there is no such fact
	Description string `json:"title,omitempty"` // of the bundle's schema
}

// Shown returns the value as it is shown to people: short JSON, or that it is not given.
func (r Reading) Shown() string {
	if !r.Given {
		return "not given"
	}
	return compact(r.Value)
}

// Policy is a loaded bundle that can be asked and explained. It is immutable and safe for concurrent use.
type Policy struct {
	engine  *engine.Engine
	rules   *source.Rules
	schemas source.Schemas
}

// evalTimeout bounds one evaluation. Nobody waits for an explanation as for an answer.
const evalTimeout = 5 * time.Second

// Load loads the bundle in a file system as the server would. An error says why it is refused, with file and line.
func Load(ctx context.Context, bundle fs.FS) (*Policy, error) { return load(ctx, bundle, false) }

// Reload loads a bundle that has answered before. Its tests were run then, and are not run again.
func Reload(ctx context.Context, bundle fs.FS) (*Policy, error) { return load(ctx, bundle, true) }

func load(ctx context.Context, bundle fs.FS, admitted bool) (*Policy, error) {
	loaded, err := engine.Load(ctx, bundle, engine.Options{EvalTimeout: evalTimeout, Admitted: admitted})
	if err != nil {
		return nil, err
	}
	files := loaded.Bundle("")
	index, err := source.NewRules(files.Modules())
	if err != nil {
		return nil, err
	}
	described, err := source.NewSchemas(files.Files())
	if err != nil {
		return nil, err
	}
	return &Policy{engine: loaded, rules: index, schemas: described}, nil
}

func entrypoint(action string) string { return "data.keyward." + action + ".decision" }

// Revision names the loaded bundle as decisions name it.
func (p *Policy) Revision() string { return p.engine.Revision() }

// Engine returns what detects and judges by the loaded bundle.
func (p *Policy) Engine() *engine.Engine { return p.engine }

// CheckFacts holds facts, a JSON document, against the bundle's schema of the action. The error names every fact that is unknown, missing
// or of the wrong form. Facts of an action that the bundle has no rules for are all good: nothing reads them.
func (p *Policy) CheckFacts(action string, facts []byte) error {
	if err := known(action); err != nil {
		return err
	}
	if p.engine.Undefined(action) != nil {
		return nil
	}
	return p.engine.Bundle("").CheckInput(action, facts)
}

func known(action string) error {
	if slices.Contains(Tables(), action) {
		return nil
	}
	return fmt.Errorf("unknown action %q: must be one of %s", action, strings.Join(Tables(), ", "))
}

// Evaluate returns the policy's answer document to facts, a JSON document. The parameters are those of the project; empty means those of
// all.
func (p *Policy) Evaluate(ctx context.Context, action string, project ident.ProjectID, facts []byte) (map[string]any, error) {
	_, answer, err := p.evaluate(ctx, action, project, facts)
	return answer, err
}

func (p *Policy) evaluate(ctx context.Context, action string, project ident.ProjectID, facts []byte) (ast.Value, map[string]any, error) {
	if err := known(action); err != nil {
		return nil, nil, err
	}
	input, err := ast.ValueFromReader(bytes.NewReader(facts))
	if err != nil {
		return nil, nil, fmt.Errorf("read facts: %w", err)
	}
	if answer := p.engine.Undefined(action); answer != nil {
		return input, answer, nil
	}
	object, err := p.engine.Bundle(project).Eval(ctx, evalTimeout, entrypoint(action), input)
	if err != nil {
		return nil, nil, err
	}
	value, err := ast.JSON(object)
	if err != nil {
		return nil, nil, fmt.Errorf("read the answer: %w", err)
	}
	answer, ok := value.(map[string]any)
	if !ok {
		return nil, nil, errors.New("read the answer: not an object")
	}
	return input, answer, nil
}

// Explain answers as Evaluate does and says why.
func (p *Policy) Explain(ctx context.Context, action string, project ident.ProjectID, facts []byte) (*Explanation, error) {
	return p.ExplainIn(ctx, action, project, facts, Circumstances{})
}

// ExplainIn is Explain, and names what the circumstances know.
func (p *Policy) ExplainIn(
	ctx context.Context, action string, project ident.ProjectID, facts []byte, known Circumstances,
) (*Explanation, error) {
	input, answer, err := p.evaluate(ctx, action, project, facts)
	if err != nil {
		return nil, err
	}
	view := p.engine.Bundle(project)
	store, reading, err := open(ctx, view.Data)
	if err != nil {
		return nil, err
	}
	i := &inquiry{
		ctx: ctx, rules: p.rules, schemas: p.schemas, action: action, store: store, reading: reading, input: ast.NewTerm(input), data: view.Data,
		barring: barring(known.Lists),
	}
	e := &Explanation{
		Action: action, Project: project, Revision: view.Revision, Answer: answer,
		Passkeys: known.passkeys(), Client: known.Client, Lists: known.Lists,
	}
	if p.engine.Undefined(action) != nil {
		e.Row, e.Above = undefinedRow(answer), []Row{}
		return e, nil
	}
	e.Row, e.Above, e.Note = i.table(entrypoint(action), answer)
	// What another answer came from is none of this one's causes.
	if known.Causes != nil && known.Causes.Rule == e.Row.Name {
		e.Causes = known.Causes
	}
	if action == Risk {
		if e.Risk, err = reasons.In(view.Data, answer); err != nil {
			return nil, err
		}
	}
	return e, ctx.Err()
}

func open(ctx context.Context, data map[string]any) (storage.Store, storage.Transaction, error) {
	store := inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	reading, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("open policy data: %w", err)
	}
	return store, reading, nil
}

// plain returns v as encoding/json would make it.
func plain(v ast.Value) any {
	value, err := ast.JSON(v)
	if err != nil {
		return v.String()
	}
	return value
}

// compact returns a value as short JSON.
func compact(value any) string {
	const most = 80
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	if len(raw) > most {
		return string(raw[:most]) + "…"
	}
	return string(raw)
}

// Package engine judges: it holds a loaded policy bundle with the knowledge that detection takes from it, and turns questions and looked-up
// histories into verdicts. It is pure: Load reads the bundle's files, and nothing else here does I/O or reads a clock, but that an
// evaluation is cut at its time limit. An Engine is immutable and safe for concurrent use: the same question, evidence and engine give the
// same verdict.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/document"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/given"
	"github.com/keyward/keyward/services/decision/internal/memo"
	"github.com/keyward/keyward/services/decision/internal/reads"
	"github.com/keyward/keyward/services/decision/internal/reasons"
	"github.com/keyward/keyward/services/decision/internal/retyped"
	"github.com/keyward/keyward/services/decision/internal/velocity"
)

// The actions, as in subjects, records and metrics.
const (
	ActionLogin     = "login"
	ActionAppend    = "append"
	ActionMediation = "mediation"
	ActionRollout   = "rollout"
	ActionRisk      = "risk" // beside what a start is about, and by itself of a finish
)

// Actions returns the names of all actions that decisions are about. Each but a rollout is judged for ActionRisk, too.
func Actions() []string { return slices.Clone(actions[:]) }

// question is an action as an index.
type question uint8

const (
	login question = iota
	appending
	mediation
	rollout
	risky
	questions
)

// actions are the names of the questions.
var actions = [questions]string{
	login: ActionLogin, appending: ActionAppend, mediation: ActionMediation, rollout: ActionRollout, risky: ActionRisk,
}

// entrypoints are the documents that a bundle defines. It may lack those of rollout and risk: bundles are older than the
// questions.
var entrypoints = [questions]string{
	login:     "data.keyward.login.decision",
	appending: "data.keyward.append.decision",
	mediation: "data.keyward.mediation.decision",
	rollout:   "data.keyward.rollout.decision",
	risky:     "data.keyward.risk.decision",
}

// DefaultEvalTimeout is the most that one policy evaluation may take unless options say otherwise.
const DefaultEvalTimeout = 50 * time.Millisecond

// Options are the limits of an engine. The zero value has the defaults.
type Options struct {
	EvalTimeout time.Duration // most that one policy evaluation may take; 0 = DefaultEvalTimeout
	MemoEntries int           // answers to remember; 0 = none, every question is put to the rules
	Admitted    bool          // the very same files have passed their tests already, elsewhere
	Unjudged    bool          // what is asked is not judged for risk beside it
	Evicted     func()        // called when an answer makes room for another; may be nil; must not call the engine
	lapsed      bool
}

// ErrLapsed is why a lapsed engine does not answer.
var ErrLapsed = errors.New("the policy is not what is live, and has not been for too long")

// Lapsed returns the engine as it answers once its rules are not to be asked any more: with the safe defaults.
func (e *Engine) Lapsed() *Engine {
	lapsed := *e
	lapsed.opts.lapsed = true
	return &lapsed
}

// Engine is one revision of the policy, ready to answer.
type Engine struct {
	opts      Options
	base      view
	projects  map[ident.ProjectID]*view // those that override parameters
	overrides map[string]any            // of With
	reads     [questions]*reads.Reads   // nil of what the bundle does not answer
	plan      *velocity.Plan            // what is counted, of what rules read
	context   *given.Schema             // of what callers may add; nil = nothing
	memo      *memo.Memo
}

// view is the policy as one project sees it: the same rules, the project's parameters.
type view struct {
	*bundle.Bundle
	knowledge *detect.Knowledge
	inputs    *facts.Inputs
	plan      *velocity.Plan
	reasons   map[string]reasons.Reason // that something can be wrong, by name
	actions   given.Actions             // that may be asked about beside ceremonies
	context   *given.Schema             // of what callers may add
	network   bool                      // rules read request.network
	folds     *history.Owner
	created   func(*account.Credential) event.Route
	keys      [questions]*facts.Projection
	number    uint64 // tells the views of an engine apart in the keys of the memo; 0 = the base
}

// Load reads, checks and tests the bundle in source. It returns an engine only if the bundle answers every question in the right form. An
// error says why not; those that concern a place in the bundle are or wrap a *bundle.Error with file and line.
func Load(ctx context.Context, source fs.FS, opts Options) (*Engine, error) {
	loaded, err := bundle.Load(ctx, source, bundle.Entrypoints{
		Required: entrypoints[:rollout], Optional: entrypoints[rollout:], Admitted: opts.Admitted,
	})
	if err != nil {
		return nil, err
	}
	if err := checkConstants(loaded); err != nil {
		return nil, err
	}
	opts.EvalTimeout = cmp.Or(opts.EvalTimeout, DefaultEvalTimeout)
	e := &Engine{opts: opts, memo: memo.New(opts.MemoEntries, opts.Evicted)}
	for q, entrypoint := range entrypoints {
		if !loaded.Defines(entrypoint) {
			continue
		}
		if e.reads[q], err = reads.Of(loaded.Compiler(), loaded.Modules(), entrypoint); err != nil {
			return nil, err
		}
	}
	if e.plan, err = velocity.Load(loaded, e.MemoPaths()); err != nil {
		return nil, err
	}
	if err := retyped.Check(loaded, e.MemoPaths()); err != nil {
		return nil, err
	}
	if e.context, err = given.Learn(loaded.Files()); err != nil {
		return nil, err
	}
	if e.base, err = e.learn(loaded, bundle.BaseParameters, facts.NewInputs(), nil); err != nil {
		return nil, err
	}
	if err := e.learnProjects(ctx); err != nil {
		return nil, err
	}
	return e, e.probe(ctx)
}

// With returns an engine with the same compiled rules and some parameters overridden by name, for every project. An error names the
// parameter that is unknown or does not fit the schema. It costs microseconds: nothing is compiled and no test runs.
func (e *Engine) With(parameters map[string]any) (*Engine, error) {
	changed := e.forgetful()
	changed.overrides = bundle.Merge(e.overrides, parameters)
	overridden, err := e.base.Override(context.Background(), bundle.NoPlace, parameters)
	if err != nil {
		return nil, err
	}
	if changed.base, err = changed.learn(overridden, bundle.NoPlace, e.base.inputs, e.base.knowledge); err != nil {
		return nil, err
	}
	return changed, changed.learnProjects(context.Background())
}

// Knowing returns an engine with the same rules and parameters that detects by changed knowledge, in every project. The change gets a copy
// of the knowledge, in which it may put other things and must not write into those that there are; its error is returned.
func (e *Engine) Knowing(change func(*detect.Knowledge) error) (*Engine, error) {
	changed := e.forgetful()
	knowing := func(v *view) (view, error) {
		seen, knowledge := *v, *v.knowledge
		seen.knowledge, seen.folds, seen.created = &knowledge, &history.Owner{}, knowledge.CreatedBy
		return seen, change(&knowledge)
	}
	var err error
	if changed.base, err = knowing(&e.base); err != nil {
		return nil, err
	}
	changed.projects = make(map[ident.ProjectID]*view, len(e.projects))
	for id, project := range e.projects {
		seen, err := knowing(project)
		if err != nil {
			return nil, err
		}
		changed.projects[id] = &seen
	}
	return changed, nil
}

// forgetful returns a copy that remembers no answers.
func (e *Engine) forgetful() *Engine {
	changed := *e
	changed.memo = memo.New(e.opts.MemoEntries, e.opts.Evicted)
	return &changed
}

// learnProjects makes the views of the projects that override parameters. What With overrides has the last word.
func (e *Engine) learnProjects(ctx context.Context) error {
	projects, err := e.base.Projects(ctx)
	if err != nil {
		return err
	}
	e.projects = make(map[ident.ProjectID]*view, len(projects))
	for id, project := range projects {
		if project, err = project.Override(ctx, bundle.ProjectParameters(id), e.overrides); err != nil {
			return err
		}
		seen, err := e.learn(project, bundle.ProjectParameters(id), e.base.inputs, e.base.knowledge)
		if err != nil {
			return err
		}
		seen.number = uint64(len(e.projects) + 1)
		e.projects[id] = &seen
	}
	return nil
}

// learn takes the knowledge out of a bundle whose parameters come from the place. What it has in common with that which is shared, if any,
// is that.
func (e *Engine) learn(loaded *bundle.Bundle, place bundle.Place, inputs *facts.Inputs, shared *detect.Knowledge) (view, error) {
	knowledge, err := detect.Learn(loaded.Data)
	if err == nil && shared != nil {
		knowledge.Share(shared)
	}
	var described map[string]reasons.Reason
	if err == nil {
		described, err = reasons.Learn(loaded.Data)
	}
	var actions given.Actions
	if err == nil {
		actions, err = given.LearnActions(loaded.Data)
	}
	if misfit, is := errors.AsType[*document.MisfitError](err); is {
		return view{}, loaded.Misfit(place, misfit.Keys, misfit.Message)
	}
	return view{
		Bundle: loaded, knowledge: knowledge, inputs: inputs, reasons: described, actions: actions, context: e.context, network: e.plan.Network,
		plan: e.plan, folds: &history.Owner{}, created: knowledge.CreatedBy, keys: e.keys(loaded),
	}, err
}

func (e *Engine) Plan() *velocity.Plan { return e.plan }

// FindsAs reports whether another engine finds the same facts in a question of a project.
func (e *Engine) FindsAs(other *Engine, project ident.ProjectID) bool {
	a, b := e.view(project), other.view(project)
	return a.network == b.network && a.plan.Same(b.plan) && a.knowledge.Same(b.knowledge)
}

// Revision names the policy: the revision of the bundle's manifest, otherwise a hash of its content. With does not change it.
func (e *Engine) Revision() string { return e.base.Revision }

// Hash is a hash of the bundle's content.
func (e *Engine) Hash() string { return e.base.Hash }

// Tests returns how many tests of its own the bundle passed; 0 if they were not run.
func (e *Engine) Tests() int { return e.base.Tests }

// Defaults are those of the parameters that the bundle does not give.
func (e *Engine) Defaults() []bundle.Default { return e.base.Bundle.Defaults }

// Knowledge returns what detection knows in a project.
func (e *Engine) Knowledge(project ident.ProjectID) *detect.Knowledge {
	return e.view(project).knowledge
}

func (e *Engine) view(project ident.ProjectID) *view {
	if own, ok := e.projects[project]; ok {
		return own
	}
	return &e.base
}

// MemoLen returns how many answers are remembered.
func (e *Engine) MemoLen() int { return e.memo.Len() }

// Evaluate returns the policy's answer document to given facts, as encoding/json would decode it, with numbers as json.Number. It evaluates
// the rules in every call. The document is not held against the form of an answer. An unknown action is an error.
func (e *Engine) Evaluate(ctx context.Context, action string, project ident.ProjectID, f *facts.Facts) (map[string]any, error) {
	q := slices.Index(actions[:], action)
	if q < 0 {
		return nil, fmt.Errorf("action %q: want one of %s", action, strings.Join(actions[:], ", "))
	}
	if answer := e.Undefined(action); answer != nil {
		return answer, nil
	}
	object, err := e.view(project).Eval(ctx, e.opts.EvalTimeout, entrypoints[q], f.Value())
	if err != nil {
		return nil, err
	}
	document, err := ast.JSON(object)
	if err != nil {
		return nil, fmt.Errorf("answer of %s: %w", entrypoints[q], err)
	}
	answer, ok := document.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("answer of %s: not an object with names", entrypoints[q])
	}
	return answer, nil
}

// probe asks each question once in every view, so that an answer of the wrong form is found now and not by a user.
func (e *Engine) probe(ctx context.Context) error {
	// The first evaluations are slow, and a busy machine must not have its policy refused.
	const patience = 20
	timeout := e.opts.EvalTimeout * patience
	errs := []error{e.base.probe(ctx, timeout)}
	for _, id := range slices.Sorted(maps.Keys(e.projects)) {
		errs = append(errs, e.projects[id].probe(ctx, timeout))
	}
	return errors.Join(errs...)
}

func (v *view) probe(ctx context.Context, timeout time.Duration) error {
	nobody := service.Question{Account: &account.Account{Status: account.StatusActive}}
	ev := Evidence{Complete: true}
	l, a := v.login(service.LoginQuestion{Question: nobody}, ev), v.append(service.AppendQuestion{Question: nobody}, ev)
	m := v.mediation(nobody, ev)
	_, loginErr := direct(ctx, v, timeout, login, &l.Facts, readLogin)
	_, appendErr := direct(ctx, v, timeout, appending, &a.Facts, readAppend)
	_, mediationErr := direct(ctx, v, timeout, mediation, &m.Facts, readMediation)
	return errors.Join(
		v.advise(login, loginErr), v.advise(appending, appendErr), v.advise(mediation, mediationErr), v.probeRollout(ctx, timeout),
		v.probeRisk(ctx, timeout, &l.Facts, &a.Facts, &m.Facts, v.probedFinish(nobody, ev, true), v.probedFinish(nobody, ev, false),
			v.probedAction(nobody, ev)),
	)
}

func (v *view) probeRollout(ctx context.Context, timeout time.Duration) error {
	if !v.Defines(entrypoints[rollout]) {
		return nil
	}
	r := v.knowledge.Rollout(service.RolloutQuestion{Action: service.RolloutLogin})
	_, err := direct(ctx, v, timeout, rollout, &r.Facts, readRollout)
	return v.advise(rollout, err)
}

// advise says where the rule is that gave no usable answer, and what to do.
func (v *view) advise(q question, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bundle.ErrTimeout):
		late := v.AtRule(entrypoints[q], err.Error(), bundle.AdviseSlow)
		late.Exhausted = true
		return late
	default:
		return v.AtRule(
			entrypoints[q], err.Error(), "every row has to answer with every member that the default bundle's rows have, each of the same type",
		)
	}
}

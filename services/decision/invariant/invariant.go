// Package invariant holds what has to be true of any policy bundle against sampled situations: plausible clients, accounts and histories,
// made by a generator with a seed. An invariant is about one situation, or about two that differ in one thing. A counterexample is made
// as small as it gets and written as a scenario file whose last scenario fails.
//
// A bundle may waive an invariant by name, in its data, with a reason. The package is pure but for the time limit of its context: the same
// bundle, seed and number of situations have the same report.
package invariant

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/keyward/keyward/services/decision/draft"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/tablerow"
	"github.com/keyward/keyward/services/decision/invariant/internal/waiver"
)

// Options say how much is sampled. The zero value samples nothing.
type Options struct {
	Situations int
	Seed       uint64
	Parameters map[string]any // overrides of the bundle's, by name

	// Each calls do with every number below count, in any order or at once, and returns when all calls have; nil = one after the other.
	Each func(count int, do func(number int))
}

// Report is what was found.
type Report struct {
	Situations int      `json:"situations"` // fewer than were asked for if the time ran out
	Asked      int      `json:"asked"`
	Seed       uint64   `json:"seed"`
	Invariants []Result `json:"invariants"`
	Scenarios  string   `json:"scenarios,omitempty"` // the first situation that breaks each, as one scenario file
}

// Cut reports whether the time ran out before as many situations were sampled as were asked for.
func (r *Report) Cut() bool { return r.Situations < r.Asked }

// Result is how an invariant fared.
type Result struct {
	Name     string `json:"name"`
	Says     string `json:"says"`
	Broken   int    `json:"broken"`             // situations that break it
	Waived   string `json:"waived,omitempty"`   // why the bundle does not keep it; then it is not sampled
	Scenario string `json:"scenario,omitempty"` // the first of them, as a scenario file

	shown []draft.Scenario // what Scenario is written of
}

// ErrBroken says that a bundle breaks an invariant that it does not waive.
var ErrBroken = errors.New("breaks invariants")

// Err wraps ErrBroken if the bundle breaks an invariant, and says which.
func (r *Report) Err() error {
	var broken []string
	for _, one := range r.Invariants {
		if one.Broken > 0 {
			broken = append(broken, fmt.Sprintf("%s, that %s, in %d of %d situations", one.Name, one.Says, one.Broken, r.Situations))
		}
	}
	if len(broken) == 0 {
		return nil
	}
	return fmt.Errorf("%w:\n%s", ErrBroken, strings.Join(broken, "\n"))
}

// Sample holds the invariants against situations. An error says that a waiver of the bundle or an option cannot be used.
func Sample(ctx context.Context, bundle *engine.Engine, source fs.FS, opts Options) (*Report, error) {
	all := claims()
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].name
	}
	waived, err := waiver.Of(bundle, names)
	if err != nil {
		return nil, err
	}
	if len(opts.Parameters) > 0 {
		if bundle, err = bundle.With(opts.Parameters); err != nil {
			return nil, err
		}
	}
	listed, err := tablerow.List(source)
	if err != nil {
		return nil, fmt.Errorf("list the rows of the decision tables: %w", err)
	}
	base := &trial{ctx: ctx, engine: bundle, rows: map[string]map[string]bool{}}
	for action, rows := range listed {
		base.rows[action] = map[string]bool{}
		for _, row := range rows {
			base.rows[action][row] = true
		}
	}
	report := &Report{Seed: opts.Seed, Asked: opts.Situations, Invariants: make([]Result, len(all))}
	for i, c := range all {
		report.Invariants[i] = Result{Name: c.name, Says: c.says, Waived: waived[c.name]}
	}
	if err := report.sample(&sampler{base, all, opts, waived}); err != nil {
		return nil, err
	}
	return report, report.write()
}

// sample adds what is found in one situation after the other, until there are enough or the time ends.
func (r *Report) sample(from *sampler) error {
	for r.Situations < r.Asked {
		for _, found := range from.hold(r.Situations, min(r.Asked-r.Situations, batch)) {
			if found.cut {
				return nil // what was answered at the end may have been cut off
			}
			for _, i := range found.broken {
				if err := r.Invariants[i].add(from.trial(r.Situations), &from.claims[i], r.Situations); err != nil {
					return err
				}
			}
			r.Situations++
		}
	}
	return nil
}

// add counts a situation that breaks a claim. The first one is shown.
func (r *Result) add(t *trial, c *claim, number int) error {
	r.Broken++
	if len(r.shown) > 0 {
		return nil
	}
	broken := t.shrink(c)
	for i := range broken {
		name := fmt.Sprintf("%s situation %d", c.name, number)
		if len(broken) > 1 {
			name += []string{" before", " after"}[i]
		}
		r.shown = append(r.shown, t.written(&broken[i], name))
	}
	text, err := draft.Text(r.heading(), r.shown...)
	r.Scenario = string(text)
	return err
}

func (r *Result) heading() string { return r.Name + ": " + r.Says }

// write puts what is shown of every invariant into one file.
func (r *Report) write() error {
	var headings []string
	var shown []draft.Scenario
	for i := range r.Invariants {
		if one := &r.Invariants[i]; len(one.shown) > 0 {
			headings, shown = append(headings, one.heading()), append(shown, one.shown...)
		}
	}
	if len(shown) == 0 {
		return nil
	}
	text, err := draft.Text(strings.Join(headings, "\n"), shown...)
	r.Scenarios = string(text)
	return err
}

// written is a question with what must be answered. What is right as it is, is what was answered.
func (t *trial) written(a *asked, name string) draft.Scenario {
	expect := a.expect
	if expect == nil {
		switch a.action {
		case login:
			v := t.login(a.s, a.s.Strategy)
			expect = append(v.same(), draft.Expected{Key: "rule", Value: v.Rule})
		case creation:
			v := t.creation(a.s)
			expect = []draft.Expected{{Key: "allow", Value: v.Allow}, {Key: "tag", Value: string(v.Tag)}, {Key: "rule", Value: v.Rule}}
		}
	}
	return a.s.Scenario(name, a.action, expect...)
}

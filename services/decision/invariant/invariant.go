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
)

// Options say how much is sampled. The zero value samples nothing.
type Options struct {
	Situations int
	Seed       uint64
	Parameters map[string]any // overrides of the bundle's, by name
}

// Report is what was found.
type Report struct {
	Situations int      `json:"situations"` // fewer than were asked for if the time ran out
	Seed       uint64   `json:"seed"`
	Invariants []Result `json:"invariants"`
}

// Result is how an invariant fared.
type Result struct {
	Name     string `json:"name"`
	Says     string `json:"says"`
	Broken   int    `json:"broken"`             // situations that break it
	Waived   string `json:"waived,omitempty"`   // why the bundle does not keep it; then it is not sampled
	Scenario string `json:"scenario,omitempty"` // the first of them, as a scenario file
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
	waived, err := waivers(bundle)
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
	all := claims()
	report := &Report{Seed: opts.Seed, Invariants: make([]Result, len(all))}
	for i, c := range all {
		report.Invariants[i] = Result{Name: c.name, Says: c.says, Waived: waived[c.name]}
	}
	for n := range opts.Situations {
		t := base.of(sample(opts.Seed, uint64(n), opts.Parameters))
		for i := range all {
			if err := report.Invariants[i].judge(t, &all[i], n); err != nil {
				return nil, err
			}
		}
		if t.ended() {
			break // what was answered at the end may have been cut off
		}
		report.Situations = n + 1
	}
	return report, nil
}

// judge holds a claim against a situation.
func (r *Result) judge(t *trial, c *claim, number int) error {
	if r.Waived != "" || c.broken(t) == nil {
		return nil
	}
	// What is broken is broken again, unless the time of the first answer ran out.
	if t = t.of(t.s); c.broken(t) == nil || t.ended() {
		return nil
	}
	r.Broken++
	if r.Scenario != "" {
		return nil
	}
	broken := t.shrink(c)
	scenarios := make([]draft.Scenario, 0, len(broken))
	for i := range broken {
		name := fmt.Sprintf("%s situation %d", c.name, number)
		if len(broken) > 1 {
			name += []string{" before", " after"}[i]
		}
		scenarios = append(scenarios, t.written(&broken[i], name))
	}
	text, err := draft.Text(c.name+": "+c.says, scenarios...)
	r.Scenario = string(text)
	return err
}

// written is a question with what must be answered. What is right as it is, is what was answered.
func (t *trial) written(a *asked, name string) draft.Scenario {
	expect := a.expect
	if expect == nil {
		switch a.action {
		case login:
			v := t.login(a.s, a.s.strategy)
			expect = append(v.same(), draft.Expected{Key: "rule", Value: v.Rule})
		case creation:
			v := t.creation(a.s)
			expect = []draft.Expected{{Key: "allow", Value: v.Allow}, {Key: "tag", Value: string(v.Tag)}, {Key: "rule", Value: v.Rule}}
		}
	}
	return a.s.scenario(name, a.action, expect...)
}

package admit

import (
	"context"
	"errors"

	"github.com/keyward/keyward/services/decision/internal/archive"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/invariant"
	"github.com/keyward/keyward/services/decision/scenario"
)

// Tried is what came of the scenarios that a bundle brings along.
type Tried struct {
	Total  int               `json:"total"`
	Passed int               `json:"passed"`
	Ran    []TriedScenario   `json:"ran"`                // those that failed first
	Wrong  scenario.Problems `json:"problems,omitempty"` // of files that cannot be read, so that none was tried
}

// TriedScenario is what came of one.
type TriedScenario struct {
	File       string `json:"file"`
	Line       int    `json:"line"`
	Name       string `json:"name"`
	Row        string `json:"row"`                  // that answered
	Difference string `json:"difference,omitempty"` // the first; empty = it passed
}

// mostTried bounds how many are told by name.
const mostTried = 1000

// Try runs the scenarios of a packed bundle that was found good. Its own tests are not run again.
func (r *Report) Try(ctx context.Context, packed []byte) error {
	if len(r.Refused) > 0 {
		return nil
	}
	files, err := archive.Unpack(packed)
	if err != nil {
		return err
	}
	tried := &Tried{Ran: []TriedScenario{}}
	r.Tried = tried
	suite, err := scenario.Own(files, "")
	if err == nil && suite.Len() > 0 {
		var loaded *engine.Engine
		if loaded, err = engine.Load(ctx, files, engine.Options{Admitted: true, EvalTimeout: unhurried}); err != nil {
			return err
		}
		var ran *scenario.Report
		if ran, err = scenario.By(loaded).Run(ctx, suite); err == nil {
			tried.tell(ran)
		}
	}
	if errors.As(err, &tried.Wrong) {
		return nil
	}
	return err
}

func (t *Tried) tell(ran *scenario.Report) {
	t.Total, t.Passed = ran.Total, ran.Passed
	for _, passed := range [...]bool{false, true} {
		for i := range ran.Scenarios {
			one := &ran.Scenarios[i]
			if one.Passed != passed || len(t.Ran) == mostTried {
				continue
			}
			told := TriedScenario{File: one.File, Line: one.Line, Name: one.Name, Row: one.Rule}
			if !passed {
				told.Difference = one.First()
			}
			t.Ran = append(t.Ran, told)
		}
	}
}

// Checker checks a packed bundle.
type Checker func(ctx context.Context, packed []byte) (Report, error)

// Here returns who checks bundles in this process, and who runs their scenarios besides.
func Here(sampled invariant.Options) (check, try Checker) {
	check = func(ctx context.Context, packed []byte) (Report, error) { return Check(ctx, packed, sampled) }
	return check, func(ctx context.Context, packed []byte) (Report, error) {
		report, err := check(ctx, packed)
		if err == nil {
			err = report.Try(ctx, packed)
		}
		return report, err
	}
}

// Checks returns who has bundles checked by the process, and who has their scenarios run besides.
func (p Process) Checks() (check, try Checker) {
	trying := p
	trying.Args = append(append([]string{}, p.Args...), "--scenarios")
	return p.Check, trying.Check
}

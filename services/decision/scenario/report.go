package scenario

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"github.com/keyward/keyward/services/decision/scenario/internal/written"
)

// Report is what came of a run.
type Report struct {
	Revision  string   `json:"policyRevision"`
	Total     int      `json:"total"`
	Passed    int      `json:"passed"`
	Failed    int      `json:"failed"`
	Scenarios []Result `json:"scenarios"`
	// NotReached are the rows of the decision tables that answered no scenario, by action.
	NotReached map[string][]string `json:"notReached,omitempty"`
}

// Result is what came of one scenario.
type Result struct {
	File       string          `json:"file"`
	Line       int             `json:"line"`
	Name       string          `json:"name"`
	Action     string          `json:"action"`
	Passed     bool            `json:"passed"`
	Rule       string          `json:"rule"` // row that answered
	Tag        string          `json:"tag"`
	Mismatches []Mismatch      `json:"mismatches,omitempty"`
	Error      string          `json:"error,omitempty"` // why the policy gave no usable answer; what was compared then is the safe default
	Facts      json.RawMessage `json:"facts,omitempty"` // that the policy was asked about; of failed scenarios only
}

// Mismatch is an expectation that was not met. Of history, facts and passkeys only the members that differ are named, as
// history.defaultCount.
type Mismatch = written.Mismatch

// First is the first failed expectation in a line; empty if none failed.
func (r *Result) First() string {
	one := Result{Error: r.Error}
	if r.Error == "" && len(r.Mismatches) > 0 {
		one.Mismatches = r.Mismatches[:1]
	}
	return one.Summary()
}

// Summary is the failed expectations in one line.
func (r *Result) Summary() string {
	var parts []string
	if r.Error != "" {
		parts = append(parts, r.Error)
	}
	for _, m := range r.Mismatches {
		parts = append(parts, fmt.Sprintf("%s: expected %s, got %s", m.Key, shown(m.Expected), shown(m.Actual)))
	}
	return strings.Join(parts, "; ")
}

// Diff is the failed expectations as a diff: lines that begin with - were expected, with + came.
func (r *Result) Diff() string {
	var b strings.Builder
	for _, m := range r.Mismatches {
		fmt.Fprintf(&b, "- %s: %s\n+ %s: %s\n", m.Key, shown(m.Expected), m.Key, shown(m.Actual))
	}
	return b.String()
}

// shown writes a value as a scenario file would.
func shown(value any) string {
	switch v := value.(type) {
	case string:
		if v == "" {
			return `""`
		}
		return v
	case []string:
		return "[" + strings.Join(v, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

// WriteText writes a line for each failed scenario with its diff below, and a count. If verbose, also a line for each that passed, and
// the facts of those that failed.
func (r *Report) WriteText(w io.Writer, verbose bool) error {
	var b strings.Builder
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		switch {
		case !s.Passed:
			fmt.Fprintf(&b, "FAIL %s:%d %s (%s, answered by %s): %s\n", s.File, s.Line, s.Name, s.Action, s.Rule, s.Summary())
			indent(&b, s.Diff())
			if verbose && s.Facts != nil {
				indent(&b, "facts: "+string(s.Facts)+"\n")
			}
		case verbose:
			fmt.Fprintf(&b, "ok   %s:%d %s (%s, answered by %s)\n", s.File, s.Line, s.Name, s.Action, s.Rule)
		}
	}
	fmt.Fprintf(&b, "%d of %d scenarios passed, %d failed; policy revision %s\n", r.Passed, r.Total, r.Failed, r.Revision)
	for _, action := range written.Actions() {
		if rows := r.NotReached[action]; len(rows) > 0 {
			fmt.Fprintf(&b, "note: no scenario was answered by %s of %s\n", strings.Join(rows, ", "), action)
		}
	}
	_, err := io.WriteString(w, b.String())
	return wrapped(err)
}

func indent(b *strings.Builder, lines string) {
	for line := range strings.Lines(lines) {
		b.WriteString("       " + line)
	}
}

// WriteJSON writes the report as one JSON document.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return wrapped(encoder.Encode(r))
}

// WriteJUnit writes the report as JUnit XML: a test suite for each file.
func (r *Report) WriteJUnit(w io.Writer) error {
	all := junit.Testsuites{Name: "keyward policy test"}
	var suite *junit.Testsuite
	flush := func() {
		if suite != nil {
			all.AddSuite(*suite)
		}
	}
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		if suite == nil || suite.Name != s.File {
			flush()
			suite = &junit.Testsuite{Name: s.File, ID: len(all.Suites), File: s.File, Time: "0"}
			suite.AddProperty("policyRevision", r.Revision)
		}
		c := junit.Testcase{Name: s.Name, Classname: s.Action}
		switch {
		case s.Error != "":
			c.Error = &junit.Result{Message: s.Summary(), Type: "policy", Data: s.place() + s.Diff()}
		case !s.Passed:
			c.Failure = &junit.Result{Message: s.Summary(), Type: "expectation", Data: s.place() + s.Diff()}
		}
		suite.AddTestcase(c)
	}
	flush()
	return wrapped(all.WriteXML(w))
}

func (r *Result) place() string {
	return fmt.Sprintf("%s:%d, answered by %s\n", r.File, r.Line, r.Rule)
}

func wrapped(err error) error {
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

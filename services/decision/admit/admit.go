// Package admit checks a policy bundle in a process of its own, so that a rule that takes all memory, or for ever, ends the check and not
// whoever serves.
//
// Process is the side that asks; Check and Bound are what the process that is asked does. A bundle travels packed, as the archive keeps it:
// what was checked can be loaded, whatever has become of the files since. The package starts the program that it is told and touches
// nothing else.
package admit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/keyward/keyward/services/decision/internal/archive"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/invariant"
)

// Report is what a check found.
type Report struct {
	Revision   string            `json:"revision,omitempty"`   // of a good bundle
	Refused    []Refusal         `json:"refused,omitempty"`    // empty if the bundle is good
	Tests      int               `json:"tests,omitempty"`      // of its own that a good bundle passed
	Defaults   []bundle.Default  `json:"defaults,omitempty"`   // of the parameters that the bundle does not give
	Advice     []string          `json:"advice,omitempty"`     // on a good bundle: what it costs
	Memo       Memo              `json:"memo,omitempty"`       // of a good bundle
	Invariants *invariant.Report `json:"invariants,omitempty"` // nil if none were asked for; breaking one refuses no bundle
	Tried      *Tried            `json:"scenarios,omitempty"`  // nil if they were not asked for; one that fails refuses no bundle
}

// Memo is what tells remembered answers apart, by action.
type Memo = engine.MemoKeys

// Refusal is one reason to refuse a bundle.
type Refusal struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Message string `json:"message"`
	Advice  string `json:"advice,omitempty"`

	Exhausted bool `json:"exhausted,omitempty"` // time or memory ran out: another check of the same files may get through
}

// Err returns why the bundle is refused, with file and line; nil if it is good.
func (r Report) Err() error {
	refused := make([]error, 0, len(r.Refused))
	for _, one := range r.Refused {
		refused = append(refused, &bundle.Error{
			File: one.File, Line: one.Line, Message: one.Message, Advice: one.Advice, Exhausted: one.Exhausted,
		})
	}
	return errors.Join(refused...)
}

// Content returns the hash of a bundle's files by which a server that answers by them names them. They are read and not checked.
func Content(source fs.FS) (string, error) { return bundlefile.Hash(source) }

// Pack reads the bundle in a directory and packs it.
func Pack(source fs.FS) ([]byte, error) {
	files, err := bundlefile.Read(source)
	if err != nil {
		return nil, err
	}
	return archive.Pack(files)
}

// remembered is how many answers to sampled situations are kept: many of them are alike to the rules.
const remembered = 1 << 14

// unhurried is how long one answer to a sampled situation may take; the deadline of the check is for all of them.
const unhurried = time.Minute

// Check loads a packed bundle, its tests included, in this process, and holds the invariants against sampled situations. The deadline of
// ctx is one for all of it; sampling leaves a quarter of what remains.
func Check(ctx context.Context, packed []byte, sampled invariant.Options) (Report, error) {
	files, err := archive.Unpack(packed)
	if err != nil {
		return Report{}, err
	}
	loaded, err := engine.Load(ctx, files, engine.Options{})
	if err != nil {
		return Report{Refused: refusals(err)}, nil
	}
	report := Report{
		Revision: loaded.Revision(), Tests: loaded.Tests(), Defaults: loaded.Defaults(), Advice: loaded.Advice(), Memo: loaded.MemoKeys(""),
	}
	if sampled.Situations == 0 {
		return report, nil
	}
	if end, ok := ctx.Deadline(); ok {
		limited, cancel := context.WithTimeout(ctx, time.Until(end)/4*3)
		defer cancel()
		ctx = limited
	}
	// An answer that a busy machine cuts off says nothing of the bundle, and no invariant is about risk.
	patient, err := engine.Load(ctx, files, engine.Options{Admitted: true, MemoEntries: remembered, EvalTimeout: unhurried, Unjudged: true})
	if err != nil {
		return Report{Refused: refusals(err)}, nil
	}
	sampled.Each = abreast
	if report.Invariants, err = invariant.Sample(ctx, patient, files, sampled); err != nil {
		return Report{Refused: refusals(err)}, nil
	}
	return report, nil
}

// refusals are the errors that err joins.
func refusals(err error) []Refusal {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var all []Refusal
		for _, one := range several.Unwrap() {
			all = append(all, refusals(one)...)
		}
		return all
	}
	var place *bundle.Error
	if errors.As(err, &place) {
		return []Refusal{{
			File: place.File, Line: place.Line, Message: place.Message, Advice: place.Advice, Exhausted: place.Exhausted,
		}}
	}
	return []Refusal{{Message: err.Error(), Exhausted: errors.Is(err, context.DeadlineExceeded)}}
}

// Process checks bundles by a program that reads a packed one from its standard input and writes a Report.
type Process struct {
	Program    string
	Args       []string
	Processors int // that the program may use at once; 0 = 1, which leaves the others to whoever serves
}

// environ is all that the program knows of its surroundings.
func (p Process) environ() []string {
	return []string{"GOMAXPROCS=" + strconv.Itoa(max(p.Processors, 1)), "GOTRACEBACK=none"}
}

// adviseBounds is for bundles that no check gets through.
const adviseBounds = "look for a rule or a test that doubles a text or a list again and again; policy_check_memory and " +
	"policy_check_timeout are the bounds"

// last is how long a program that was told to end may hold its output open.
const last = time.Second

// Check has a packed bundle checked. The report refuses a bundle that the program did not get through; an error says that the check could
// not be made.
func (p Process) Check(ctx context.Context, packed []byte) (Report, error) {
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, p.Program, p.Args...) //nolint:gosec // the program is this one
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = bytes.NewReader(packed), &out, &limited{to: &complaints}, last
	cmd.Env = p.environ()
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return broken("the check of the bundle did not end in time"), nil
	case ctx.Err() != nil:
		return Report{}, fmt.Errorf("check the bundle: %w", ctx.Err())
	case errors.As(err, &ended):
		return broken("the check of the bundle ended with " + ended.String() + firstLine(complaints.String())), nil
	case err != nil:
		return Report{}, fmt.Errorf("check the bundle: %w", err)
	}
	var report Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		return Report{}, fmt.Errorf("check the bundle: read the report: %w", err)
	}
	if report.Revision == "" && len(report.Refused) == 0 {
		return Report{}, errors.New("check the bundle: the report says nothing")
	}
	return report, nil
}

// Admit has a packed bundle checked and returns why it is refused, or that it could not be checked.
func (p Process) Admit(ctx context.Context, packed []byte) error {
	report, err := p.Check(ctx, packed)
	if err != nil {
		return err
	}
	return report.Err()
}

// Keyward checks by "keyward policy check", which bounds itself, too.
func Keyward(program string, memory int64, timeout time.Duration, sampled invariant.Options) Process {
	return Process{Program: program, Args: []string{
		"policy", "check", "--bundle", "-", "--memory", strconv.FormatInt(memory, 10), "--timeout", timeout.String(), "--output", "json",
		"--situations", strconv.Itoa(sampled.Situations), "--seed", strconv.FormatUint(sampled.Seed, 10),
	}}
}

func broken(message string) Report {
	return Report{Refused: []Refusal{{Message: message, Advice: adviseBounds, Exhausted: true}}}
}

// firstLine is what a program that broke complained about first.
func firstLine(complaints string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(complaints), "\n")
	if line == "" {
		return ""
	}
	return ": " + line
}

// limited keeps the beginning of what is written.
type limited struct{ to *bytes.Buffer }

const kept = 16 << 10

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	if room := kept - l.to.Len(); room > 0 {
		l.to.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

var _ io.Writer = (*limited)(nil)

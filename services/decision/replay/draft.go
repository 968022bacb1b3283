package replay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/keyward/keyward/services/decision/draft"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/internal/kept"
	"github.com/keyward/keyward/services/decision/replay/internal/retold"
	"github.com/keyward/keyward/services/decision/scenario"
)

// Why a decision cannot be written down as a scenario, beside what Facts says. Errors of Draft wrap one of these.
var (
	ErrPolicyFailed = errors.New("the policy gave no answer and the safe default was answered, so there is no row to expect")
	ErrSwitchedOff  = errors.New("a switch was on, so that the rules were not asked, and there is no row to expect")
	ErrNotStated    = errors.New("it rests on something that a scenario cannot say")
)

// Drafts writes recorded decisions down. It is safe for concurrent use.
type Drafts struct{ *detector }

// NewDrafts returns who writes decisions down.
func NewDrafts(records *Records) *Drafts { return &Drafts{newDetector(records)} }

// Write writes a recorded decision down as a scenario file: what was known and had happened, relative to its moment, and what was decided.
// Nobody is named in it. The revision that decided gives the same answer to it, or the error wraps ErrNotStated and says what came instead.
func (d *Drafts) Write(ctx context.Context, record *Record) ([]byte, error) {
	text, err := d.write(ctx, record)
	if err != nil {
		return text, fmt.Errorf("decision %s: %w", record.ID, err)
	}
	return text, nil
}

func (d *Drafts) write(ctx context.Context, record *Record) ([]byte, error) {
	switch {
	case record.Switch() != "":
		return nil, ErrSwitchedOff
	case record.PolicyFailed():
		return nil, ErrPolicyFailed
	case record.Schema < kept.Schema || record.Question == nil:
		return nil, ErrRecordedBefore // before the archive is asked, which may not have the revision
	}
	policy, err := d.policy(ctx, record.PolicyHash)
	switch {
	case err != nil:
		return nil, err
	case policy == nil:
		return nil, ErrNotArchived
	}
	found, err := d.recorded(ctx, record)
	if err != nil {
		return nil, err
	}
	told, err := retold.Scenario(ctx, &retold.Decision{
		Judgement: record.Judgement, Question: record.Question, Answer: record.Answer, Enforced: record.Enforced,
	}, policy.Engine(), found)
	if err != nil {
		return nil, err
	}
	text, err := draft.Text(comment(record), told.Anonymous())
	if err != nil {
		return nil, err
	}
	return text, proven(ctx, policy, text)
}

func comment(record *Record) string {
	return fmt.Sprintf(
		"A decision about %s that revision %s made on %s.\nTimes are distances from it; whoever it was about is not named.",
		record.Action, record.PolicyRevision, record.Time.UTC().Format(time.DateOnly),
	)
}

// proven runs what was written.
func proven(ctx context.Context, policy *explain.Policy, text []byte) error {
	suite, err := scenario.Parse("draft", text)
	if err != nil {
		return fmt.Errorf("%w:\n%w", ErrNotStated, err)
	}
	report, err := scenario.By(policy.Engine()).Run(ctx, suite)
	if err != nil {
		return fmt.Errorf("%w:\n%w", ErrNotStated, err)
	}
	if report.Failed == 0 {
		return nil
	}
	var said strings.Builder
	if err := report.WriteText(&said, false); err != nil {
		return err
	}
	return fmt.Errorf("%w:\n%s", ErrNotStated, said.String())
}

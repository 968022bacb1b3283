package engine

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/comparison"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// member is one of an answer that may hold only certain texts.
type member struct {
	name  string
	known func(string) bool
	want  string
}

// isTag makes members of the tags that an action knows.
func isTag(known func(rest.DecisionTag) bool, want string) member {
	return member{name: "tag", known: func(text string) bool { return known(rest.DecisionTag(text)) }, want: want}
}

// memberRule names the row.
func memberRule() member {
	return member{
		name: "rule", known: func(text string) bool { return text != "" && len(text) <= maxRule },
		want: wantRule,
	}
}

var wantRule = fmt.Sprintf("a name of at most %d bytes", maxRule)

// members returns what answers to a question hold of such members.
func members(q question) []member {
	switch q {
	case login:
		return []member{memberRule(), isTag(rest.DecisionTag.Valid, wireTag), {"route", knownRoute, wantRoute}}
	case appending:
		return []member{
			memberRule(), isTag(rest.DecisionTag.Valid, wireTag), {"kind", knownKind, wantKind},
			{"variant", func(text string) bool { return rest.AppendVariant(text).Valid() }, wantVariant},
			{"attachment", knownAttachment, wantAttachment}, {"userVerification", knownVerification, wantVerification},
		}
	case rollout:
		return []member{memberRule(), isTag(ofRollout, rolloutTag)}
	case risky:
		return []member{memberRule(), {"action", knownRisk, wantRisk}, {"level", knownLevel, wantLevel}}
	default:
		return []member{memberRule(), isTag(rest.DecisionTag.Valid, wireTag)}
	}
}

// checkConstants refuses rows that can never answer in the right form, whether or not a test or a probe reaches them.
func checkConstants(b *bundle.Bundle) error {
	var refused []error
	for q, entrypoint := range entrypoints {
		if !b.Defines(entrypoint) {
			continue
		}
		for _, m := range members(question(q)) {
			for _, c := range b.Constants(entrypoint, m.name) {
				if !m.known(c.Text) {
					refused = append(refused, c.Refuse(fmt.Sprintf("%q: %s must be %s", c.Text, m.name, m.want), adviseMember))
				}
			}
		}
	}
	refused = append(refused, checkReasons(b)...)
	return errors.Join(append(refused, checkSteps(b)...)...)
}

// checkSteps refuses comparisons of facts that move in steps with numbers between two of them: they mean another number than they say.
func checkSteps(b *bundle.Bundle) []error {
	var refused []error
	for _, c := range comparison.Find(b.Modules(), b.Data) {
		steps := facts.Steps(c.Path)
		if steps == nil || slices.Contains(steps, int(c.Number)) {
			continue
		}
		said := strconv.FormatInt(c.Number, 10)
		if c.Named != "" {
			said = c.Named + ", which is " + said
		}
		refused = append(refused, &bundle.Error{
			File: c.File, Line: c.Line, Message: fmt.Sprintf("input.%s %s %s: %s", c.Path, c.Operator, said, meant(&c, steps)),
			Advice: "take one of the steps " + listed(steps),
		})
	}
	return refused
}

// meant says what a comparison with a number between two steps comes to.
func meant(c *comparison.Comparison, steps []int) string {
	above := slices.IndexFunc(steps, func(step int) bool { return int64(step) > c.Number })
	switch {
	case c.Operator == "==" || c.Operator == "!=":
		return "the fact moves in steps, and is never that"
	case above < 0:
		return "the fact moves in steps, all of which are smaller"
	case above == 0:
		return "the fact moves in steps, all of which are larger"
	case c.Operator == "<" || c.Operator == ">=":
		return fmt.Sprintf("the fact moves in steps, and that means the same as %d", steps[above])
	default:
		return fmt.Sprintf("the fact moves in steps, and that means the same as %d", steps[above-1])
	}
}

func listed(steps []int) string {
	texts := make([]string, len(steps))
	for i, step := range steps {
		texts[i] = strconv.Itoa(step)
	}
	return strings.Join(texts, ", ")
}

// checkReasons refuses rules that find reasons which the bundle's data does not describe.
func checkReasons(b *bundle.Bundle) []error {
	if !b.Defines(entrypoints[risky]) {
		return nil
	}
	known, err := learnReasons(b.Data)
	if err != nil {
		return nil // told with its place when the bundle is learned from
	}
	var refused []error
	for _, c := range b.Contained(entrypoints[risky], reasonsKey) {
		if _, described := known[c.Text]; !described {
			refused = append(refused, c.Refuse(fmt.Sprintf("%q: there is no such reason", c.Text), adviseReason))
		}
	}
	return refused
}

// What members must be.
const (
	adviseMember     = "take one that callers know; the default bundle's rows have them all"
	wireTag          = "a decision tag of the wire"
	wantRoute        = "local, cda or security-key"
	adviseReason     = "describe it in data.keyward.reasons, with severity and title"
	wantRisk         = "allow, review, challenge or deny"
	wantLevel        = "low, medium or high"
	wantKind         = "a kind of offer"
	wantVariant      = "a variant of the wire"
	wantAttachment   = "platform, cross-platform or empty"
	wantVerification = "required, preferred or discouraged"
)

// The empty text is for answers that offer nothing.

func knownRoute(text string) bool {
	switch event.Route(text) {
	case "", event.Local, event.CDA, event.SecurityKey:
		return true
	}
	return false
}

func knownKind(text string) bool {
	switch event.Kind(text) {
	case "", event.KindDefault, event.KindAfterError, event.KindAfterHybrid, event.KindAuto, event.KindConditionalCreate:
		return true
	}
	return false
}

func knownAttachment(text string) bool {
	return text == "" || text == "platform" || text == "cross-platform"
}

func knownVerification(text string) bool {
	return text == "" || text == "required" || text == "preferred" || text == "discouraged"
}

package engine

import (
	"errors"
	"fmt"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/judgement"
	"github.com/keyward/keyward/services/decision/internal/reading"
	"github.com/keyward/keyward/services/decision/internal/reasons"
	"github.com/keyward/keyward/services/decision/internal/steps"
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
		name: "rule", known: func(text string) bool { return text != "" && len(text) <= judgement.MaxRule },
		want: judgement.WantRule,
	}
}

// members returns what answers to a question hold of such members.
func members(q question) []member {
	switch q {
	case login:
		return []member{memberRule(), isTag(rest.DecisionTag.Valid, wireTag), {"route", reading.IsRoute, wantRoute}}
	case appending:
		return []member{
			memberRule(), isTag(rest.DecisionTag.Valid, wireTag), {"kind", reading.IsKind, wantKind},
			{"variant", func(text string) bool { return rest.AppendVariant(text).Valid() }, wantVariant},
			{"attachment", reading.IsAttachment, wantAttachment}, {"userVerification", reading.IsVerification, wantVerification},
		}
	case rollout:
		return []member{memberRule(), isTag(ofRollout, rolloutTag)}
	case risky:
		return []member{
			memberRule(), {"action", judgement.KnownAction, judgement.WantAction}, {"level", judgement.KnownLevel, judgement.WantLevel},
			{"stepUp", judgement.KnownMethod, judgement.WantMethod},
		}
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
	if b.Defines(entrypoints[risky]) {
		refused = append(refused, reasons.Check(b, entrypoints[risky])...)
	}
	return errors.Join(append(refused, steps.Check(b.Modules(), b.Data, b.Files())...)...)
}

// What members must be.
const (
	adviseMember     = "take one that callers know; the default bundle's rows have them all"
	wireTag          = "a decision tag of the wire"
	wantRoute        = "local, cda or security-key"
	wantKind         = "a kind of offer"
	wantVariant      = "a variant of the wire"
	wantAttachment   = "platform, cross-platform or empty"
	wantVerification = "required, preferred or discouraged"
)

package engine

import (
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/judgement"
	"github.com/keyward/keyward/services/decision/internal/reading"
)

const (
	rolloutTag     = "a tag of rollout, such as " + string(service.TagRolloutRuleBlocked)
	givenIfAllowed = "given when allow is true"
)

// verdict reads what all answers have. The tag has to be one that the action knows.
func readVerdict(a *reading.Answer, known func(rest.DecisionTag) bool, want string) verdict {
	v := verdict{rule: a.Text("rule"), allow: a.Boolean("allow"), tag: rest.DecisionTag(a.Text("tag"))}
	if v.rule == "" || len(v.rule) > judgement.MaxRule {
		a.Wrong("rule", judgement.WantRule)
	}
	if !known(v.tag) {
		a.Wrong("tag", want)
	}
	return v
}

// ofWire reads a verdict whose tag callers see.
func ofWire(a *reading.Answer) verdict {
	return readVerdict(a, rest.DecisionTag.Valid, wireTag)
}

// verdict is the part of an answer that all actions share.
type verdict struct {
	rule  string
	allow bool
	tag   rest.DecisionTag
}

// safeDefault is what is answered when the policy cannot say.
func safeDefault() verdict {
	return verdict{rule: "default", tag: rest.DecisionTagDefaultDeny}
}

type loginAnswer struct {
	verdict
	route       event.Route
	cda         bool
	immediately bool
	credentials []detect.Availability
	hints       []string
}

func readLogin(a *reading.Answer) loginAnswer {
	l := loginAnswer{
		verdict: ofWire(a), route: event.Route(a.Text("route")), cda: a.Boolean("isCDACandidate"),
		immediately: a.Boolean("preferImmediatelyAvailable"), hints: a.Texts("hints"),
	}
	switch {
	case !reading.IsRoute(string(l.route)):
		a.Wrong("route", wantRoute)
	case l.route == "" && l.allow:
		a.Wrong("route", givenIfAllowed)
	}
	for _, group := range a.Texts("credentials") {
		switch availability := detect.Availability(group); availability {
		case detect.Likely, detect.Uncertain, detect.Remote, detect.SecurityKey, detect.AvailabilityNot:
			l.credentials = append(l.credentials, availability)
		default:
			a.Wrong("credentials", "groups of passkeys: likely, uncertain, remote, security-key, none")
		}
	}
	return l
}

type appendAnswer struct {
	verdict
	kind                             event.Kind
	variant                          rest.AppendVariant
	auto, conditional, manualAllowed bool
	restrictedBrowser                bool
	reason, attachment               string
	hints                            []string
	userVerification                 string
}

func readAppend(a *reading.Answer) appendAnswer {
	p := appendAnswer{
		verdict: ofWire(a), kind: event.Kind(a.Text("kind")), variant: rest.AppendVariant(a.Text("variant")),
		auto: a.Boolean("auto"), conditional: a.Boolean("conditional"), manualAllowed: a.Boolean("manualAllowed"),
		restrictedBrowser: a.Boolean("isRestrictedBrowser"), reason: a.Text("reason"), attachment: a.Text("attachment"),
		hints: a.Texts("hints"), userVerification: a.Text("userVerification"),
	}
	switch {
	case !reading.IsKind(string(p.kind)):
		a.Wrong("kind", wantKind)
	case p.kind == "" && p.allow:
		a.Wrong("kind", givenIfAllowed)
	}
	if !p.variant.Valid() {
		a.Wrong("variant", wantVariant)
	}
	if !reading.IsAttachment(p.attachment) {
		a.Wrong("attachment", wantAttachment)
	}
	switch {
	case !reading.IsVerification(p.userVerification):
		a.Wrong("userVerification", wantVerification)
	case p.userVerification == "" && p.allow:
		a.Wrong("userVerification", givenIfAllowed)
	}
	return p
}

func readMediation(a *reading.Answer) verdict { return ofWire(a) }

func readRollout(a *reading.Answer) verdict {
	a.Text("reason")
	return readVerdict(a, ofRollout, rolloutTag)
}

func ofRollout(tag rest.DecisionTag) bool {
	switch tag {
	case rest.DecisionTagDefaultDeny, service.TagRolloutAllowed, service.TagRolloutKillSwitch, service.TagRolloutRuleBlocked,
		service.TagRolloutSampledOut, service.TagRolloutIdentifierNotListed:
		return true
	default:
		return false
	}
}

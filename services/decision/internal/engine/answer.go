package engine

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/detect"
)

const (
	rolloutTag     = "a tag of rollout, such as " + string(service.TagRolloutRuleBlocked)
	givenIfAllowed = "given when allow is true"
)

// answer reads the object that a policy returned. The first thing that does not fit is kept in err; later reads return zero values.
type answer struct {
	object ast.Object
	err    error
}

// maxRule bounds the name of a row, which becomes part of records and metrics.
const maxRule = 32

func (a *answer) wrong(key, want string) {
	if a.err == nil {
		a.err = fmt.Errorf("%s must be %s", key, want)
	}
}

func (a *answer) value(key string) ast.Value {
	if term := a.object.Get(keys[key]); term != nil {
		return term.Value
	}
	return nil
}

// keys are the terms of every key that is read, made once.
var keys = terms(
	"rule", "allow", "tag", "route", "isCDACandidate", "preferImmediatelyAvailable", "credentials", "hints",
	"kind", "variant", "auto", "conditional", "manualAllowed", "isRestrictedBrowser", "reason", "attachment", "userVerification",
	"action", "level", "reasons",
)

func terms(names ...string) map[string]*ast.Term {
	made := make(map[string]*ast.Term, len(names))
	for _, name := range names {
		made[name] = ast.StringTerm(name)
	}
	return made
}

func (a *answer) text(key string) string {
	s, ok := a.value(key).(ast.String)
	if !ok {
		a.wrong(key, "a string")
	}
	return string(s)
}

func (a *answer) boolean(key string) bool {
	b, ok := a.value(key).(ast.Boolean)
	if !ok {
		a.wrong(key, "true or false")
	}
	return bool(b)
}

func (a *answer) texts(key string) []string {
	list, ok := a.value(key).(*ast.Array)
	if !ok {
		a.wrong(key, "an array of strings")
		return []string{}
	}
	texts := make([]string, list.Len())
	for i := range texts {
		text, ok := list.Elem(i).Value.(ast.String)
		if !ok {
			a.wrong(key, "an array of strings")
		}
		texts[i] = string(text)
	}
	return texts
}

// verdict reads what all answers have. The tag has to be one that the action knows.
func (a *answer) verdict(known func(rest.DecisionTag) bool, want string) verdict {
	v := verdict{rule: a.text("rule"), allow: a.boolean("allow"), tag: rest.DecisionTag(a.text("tag"))}
	if v.rule == "" || len(v.rule) > maxRule {
		a.wrong("rule", wantRule)
	}
	if !known(v.tag) {
		a.wrong("tag", want)
	}
	return v
}

// ofWire reads a verdict whose tag callers see.
func (a *answer) ofWire() verdict {
	return a.verdict(rest.DecisionTag.Valid, wireTag)
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

func readLogin(a *answer) loginAnswer {
	l := loginAnswer{
		verdict: a.ofWire(), route: event.Route(a.text("route")), cda: a.boolean("isCDACandidate"),
		immediately: a.boolean("preferImmediatelyAvailable"), hints: a.texts("hints"),
	}
	switch {
	case !knownRoute(string(l.route)):
		a.wrong("route", wantRoute)
	case l.route == "" && l.allow:
		a.wrong("route", givenIfAllowed)
	}
	for _, group := range a.texts("credentials") {
		switch availability := detect.Availability(group); availability {
		case detect.Likely, detect.Uncertain, detect.Remote, detect.SecurityKey, detect.AvailabilityNot:
			l.credentials = append(l.credentials, availability)
		default:
			a.wrong("credentials", "groups of passkeys: likely, uncertain, remote, security-key, none")
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

func readAppend(a *answer) appendAnswer {
	p := appendAnswer{
		verdict: a.ofWire(), kind: event.Kind(a.text("kind")), variant: rest.AppendVariant(a.text("variant")),
		auto: a.boolean("auto"), conditional: a.boolean("conditional"), manualAllowed: a.boolean("manualAllowed"),
		restrictedBrowser: a.boolean("isRestrictedBrowser"), reason: a.text("reason"), attachment: a.text("attachment"),
		hints: a.texts("hints"), userVerification: a.text("userVerification"),
	}
	switch {
	case !knownKind(string(p.kind)):
		a.wrong("kind", wantKind)
	case p.kind == "" && p.allow:
		a.wrong("kind", givenIfAllowed)
	}
	if !p.variant.Valid() {
		a.wrong("variant", wantVariant)
	}
	if !knownAttachment(p.attachment) {
		a.wrong("attachment", wantAttachment)
	}
	switch {
	case !knownVerification(p.userVerification):
		a.wrong("userVerification", wantVerification)
	case p.userVerification == "" && p.allow:
		a.wrong("userVerification", givenIfAllowed)
	}
	return p
}

func readMediation(a *answer) verdict { return a.ofWire() }

func readRollout(a *answer) verdict {
	a.text("reason")
	return a.verdict(ofRollout, rolloutTag)
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

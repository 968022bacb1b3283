// Package rollout turns what a client names of itself into the facts by which passkeys are switched on gradually: whether an identifier is
// listed, which invitation it has, and whether it is in a sample. It promises that no identifier and no token becomes a fact. It is pure.
package rollout

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/document"
	"github.com/keyward/keyward/services/decision/internal/experiment"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Parameters are those of the gradual rollout, as far as detection reads them. A bundle that has none of them switches passkeys on
// for everybody.
type Parameters struct {
	Rules              map[string]Rule   `json:"rules"`
	Invitations        map[string]string `json:"invitations"` // SHA-256 of the token in hexadecimal, by the name of the invitation
	AllowedIdentifiers []string          `json:"allowedIdentifiers"`
	AllowedDomains     []string          `json:"allowedDomains"`
}

// Rule is the part of a rule of the rollout that has to be known before rules are evaluated.
type Rule struct {
	Verdict     string            `json:"verdict"`
	Share       *int              `json:"share"` // clients sampled, of 10,000
	Invitations []string          `json:"invitations"`
	Flags       map[string]string `json:"flags"`
}

// verdictSample is the verdict of rules that let in a share.
const verdictSample = "sample"

// Rollout is what is taken of the parameters, ready to use. It is immutable.
type Rollout struct {
	division    experiment.Division
	samples     []sample // by rule, sorted by name
	flags       map[flagValue]bool
	invitations map[[sha256.Size]byte]string
	identifiers map[string]bool // in lower case
	domains     map[string]bool // in lower case
}

// sample is a rule that lets in a share.
type sample struct {
	rule  string
	share int
}

// flagValue is a flag with a value that a rule asks for.
type flagValue struct{ name, value string }

// Learn reads the parameters. Names of invitations that there are not would make a rule that never holds. The error is a
// *document.MisfitError.
func Learn(p *Parameters, division experiment.Division) (Rollout, error) {
	r := Rollout{
		division: division, flags: map[flagValue]bool{}, invitations: map[[sha256.Size]byte]string{}, identifiers: fold(p.AllowedIdentifiers),
		domains: fold(p.AllowedDomains),
	}
	for _, name := range slices.Sorted(maps.Keys(p.Rules)) {
		if err := r.learnRule(p, name); err != nil {
			return Rollout{}, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Invitations)) {
		sum, err := hex.DecodeString(p.Invitations[name])
		if err != nil || len(sum) != sha256.Size {
			return Rollout{}, misfit("must be a SHA-256 in hexadecimal, as sha256sum prints it", "invitations", name)
		}
		if other, twice := r.invitations[[sha256.Size]byte(sum)]; twice {
			return Rollout{}, misfit("has the same token as "+other, "invitations", name)
		}
		r.invitations[[sha256.Size]byte(sum)] = name
	}
	return r, nil
}

func (r *Rollout) learnRule(p *Parameters, name string) error {
	rule := p.Rules[name]
	if samples := rule.Verdict == verdictSample; samples != (rule.Share != nil) {
		return misfit("share goes with the verdict sample, and with no other", "rules", name)
	}
	if rule.Share != nil {
		r.samples = append(r.samples, sample{rule: name, share: *rule.Share})
	}
	for _, invitation := range rule.Invitations {
		if _, known := p.Invitations[invitation]; !known {
			return misfit(fmt.Sprintf("there is no invitation %q in rollout.invitations", invitation), "rules", name, "invitations")
		}
	}
	for flag, value := range rule.Flags {
		r.flags[flagValue{flag, value}] = true
	}
	return nil
}

func misfit(message string, keys ...string) *document.MisfitError {
	at := append([]string{"rollout"}, keys...)
	return &document.MisfitError{
		Keys: append([]string{"keyward", "parameters"}, at...), Message: "parameter " + strings.Join(at, ".") + ": " + message,
	}
}

// fold makes a set of texts that are compared without regard to case.
func fold(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, entry := range list {
		set[folded(entry)] = true
	}
	return set
}

func folded(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// Facts finds the facts of a question from a browser of a major version.
func (r *Rollout) Facts(q service.RolloutQuestion, browserVersion int) *facts.Rollout {
	return &facts.Rollout{
		Action: q.Action, Identifier: r.membership(q.Identifier), Invitation: r.invitation(q.Invitation),
		BrowserVersion: browserVersion, Samples: r.draw(q), Flags: r.known(q.Flags),
	}
}

// membership looks for an identifier as a whole, and for the domain of an e-mail address.
func (r *Rollout) membership(identifier string) facts.Membership {
	plain := folded(identifier)
	if plain == "" {
		return facts.NotNamed
	}
	at := strings.LastIndexByte(plain, '@')
	if r.identifiers[plain] || (at > 0 && r.domains[plain[at+1:]]) {
		return facts.Listed
	}
	return facts.Unlisted
}

func (r *Rollout) invitation(token string) string {
	if token == "" {
		return ""
	}
	return r.invitations[sha256.Sum256([]byte(token))]
}

// known returns the flags that a rule asks for. Others cannot matter, and what a client makes up must not become facts.
func (r *Rollout) known(flags map[string]string) facts.Assignments {
	var known facts.Assignments
	for name, value := range flags {
		if r.flags[flagValue{name, value}] {
			known = append(known, facts.Assignment{Experiment: name, Arm: facts.Arm(value)})
		}
	}
	slices.SortFunc(known, func(a, b facts.Assignment) int { return cmp.Compare(a.Experiment, b.Experiment) })
	return known
}

// draw draws for every rule that samples. The browser profile or app installation comes before the identifier: it is there before anybody
// is named and is still the same then. What cannot be told apart is in no sample that does not hold everybody.
func (r *Rollout) draw(q service.RolloutQuestion) facts.Assignments {
	subject := cmp.Or(string(q.Environment.ID), folded(q.Identifier))
	drawn := make(facts.Assignments, len(r.samples))
	for i, s := range r.samples {
		// The name cannot be that of an experiment, which has no slash.
		drawn[i] = facts.Assignment{Experiment: s.rule, Arm: r.division.Arm(q.Project, "rollout/"+s.rule, subject, s.share)}
	}
	return drawn
}

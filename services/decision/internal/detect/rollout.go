package detect

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/agent"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Rollout are the parameters of the gradual rollout, as far as detection reads them. A bundle that has none of them switches passkeys on
// for everybody.
type Rollout struct {
	Rules              map[string]RolloutRule `json:"rules"`
	Invitations        map[string]string      `json:"invitations"` // SHA-256 of the token in hexadecimal, by the name of the invitation
	AllowedIdentifiers []string               `json:"allowedIdentifiers"`
	AllowedDomains     []string               `json:"allowedDomains"`
}

// RolloutRule is the part of a rule of the rollout that has to be known before rules are evaluated.
type RolloutRule struct {
	Verdict     string            `json:"verdict"`
	Share       *int              `json:"share"` // clients sampled, of 10,000
	Invitations []string          `json:"invitations"`
	Flags       map[string]string `json:"flags"`
}

// verdictSample is the verdict of rules that let in a share.
const verdictSample = "sample"

// rollout is what is taken of the parameters, ready to use. It is immutable.
type rollout struct {
	samples     []experiment // by rule, sorted by name
	flags       map[flagValue]bool
	invitations map[[sha256.Size]byte]string
	identifiers map[string]bool // in lower case
	domains     map[string]bool // in lower case
}

// flagValue is a flag with a value that a rule asks for.
type flagValue struct{ name, value string }

// learnRollout reads the parameters. Names of invitations that there are not would make a rule that never holds.
func learnRollout(p *Rollout) (rollout, error) {
	r := rollout{
		flags: map[flagValue]bool{}, invitations: map[[sha256.Size]byte]string{}, identifiers: fold(p.AllowedIdentifiers),
		domains: fold(p.AllowedDomains),
	}
	for _, name := range slices.Sorted(maps.Keys(p.Rules)) {
		if err := r.learnRule(p, name); err != nil {
			return rollout{}, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Invitations)) {
		sum, err := hex.DecodeString(p.Invitations[name])
		if err != nil || len(sum) != sha256.Size {
			return rollout{}, misfit("must be a SHA-256 in hexadecimal, as sha256sum prints it", "invitations", name)
		}
		if other, twice := r.invitations[[sha256.Size]byte(sum)]; twice {
			return rollout{}, misfit("has the same token as "+other, "invitations", name)
		}
		r.invitations[[sha256.Size]byte(sum)] = name
	}
	return r, nil
}

func (r *rollout) learnRule(p *Rollout, name string) error {
	rule := p.Rules[name]
	if samples := rule.Verdict == verdictSample; samples != (rule.Share != nil) {
		return misfit("share goes with the verdict sample, and with no other", "rules", name)
	}
	if rule.Share != nil {
		r.samples = append(r.samples, experiment{name: name, share: *rule.Share})
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

func misfit(message string, keys ...string) *MisfitError {
	at := append([]string{"rollout"}, keys...)
	return &MisfitError{Keys: append([]string{"keyward", "parameters"}, at...), Message: "parameter " + strings.Join(at, ".") + ": " + message}
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

// Rollout finds the facts of a rollout, where there is no user yet.
func (k *Knowledge) Rollout(q service.RolloutQuestion) Detection {
	d := Detection{Client: k.DetectClient(q.Client, q.Environment), Experiments: []string{}}
	d.Facts = clientFacts(&d.Client, q.Environment, !q.LookupFailed)
	d.Facts.Rollout = &facts.Rollout{
		Action: q.Action, Identifier: k.rollout.membership(q.Identifier), Invitation: k.rollout.invitation(q.Invitation),
		BrowserVersion: agent.Major(d.Client.BrowserVersion), Samples: k.sample(q), Flags: k.rollout.known(q.Flags),
	}
	d.Insights = d.insights(nil, history.History{}, k.Parameters.StreakThreshold)
	return d
}

// membership looks for an identifier as a whole, and for the domain of an e-mail address.
func (r *rollout) membership(identifier string) facts.Membership {
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

func (r *rollout) invitation(token string) string {
	if token == "" {
		return ""
	}
	return r.invitations[sha256.Sum256([]byte(token))]
}

// Known returns the flags that a rule asks for. Others cannot matter, and what a client makes up must not become facts.
func (r *rollout) known(flags map[string]string) facts.Assignments {
	var known facts.Assignments
	for name, value := range flags {
		if r.flags[flagValue{name, value}] {
			known = append(known, facts.Assignment{Experiment: name, Arm: facts.Arm(value)})
		}
	}
	slices.SortFunc(known, func(a, b facts.Assignment) int { return cmp.Compare(a.Experiment, b.Experiment) })
	return known
}

// sample draws for every rule that samples. The browser profile or app installation comes before the identifier: it is there before anybody
// is named and is still the same then. What cannot be told apart is in no sample that does not hold everybody.
func (k *Knowledge) sample(q service.RolloutQuestion) facts.Assignments {
	subject := cmp.Or(string(q.Environment.ID), folded(q.Identifier))
	drawn := make(facts.Assignments, len(k.rollout.samples))
	for i, s := range k.rollout.samples {
		drawn[i] = facts.Assignment{Experiment: s.name, Arm: k.experiments.drawSample(q.Project, s, subject)}
	}
	return drawn
}

// drawSample divides as experiments do. The name cannot be that of an experiment, which has no slash.
func (x *experiments) drawSample(project ident.ProjectID, s experiment, subject string) facts.Arm {
	if s.share >= buckets || (subject != "" && x.bucket(project, "rollout/"+s.name, subject) < s.share) {
		return facts.Treatment
	}
	return facts.Control
}

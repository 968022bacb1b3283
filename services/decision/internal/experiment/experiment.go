// Package experiment divides users, browsers and identifiers into arms. It promises that a division never changes: whoever is in an arm
// stays there while its share grows, and two divisions do not depend on one another. It is pure.
package experiment

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/internal/document"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// buckets is how finely users are divided; shares are counted in it.
const buckets = 10_000

// Shares are the parameters of experiments.
type Shares struct {
	ExperimentSalt            string         `json:"experimentSalt"`
	DeviceLocalTreatmentShare int            `json:"deviceLocalTreatmentShare"` // users treated, of 10,000
	Experiments               map[string]int `json:"experiments"`               // the same of further experiments, by name
}

// Division divides whoever is to be told apart. Another salt shuffles them.
type Division struct{ Salt string }

// Arm is the arm of a subject, as a rule a user, in the experiment of the name. A share treats so many of 10,000; a subject that cannot be
// told apart is treated with everybody, or not at all.
func (d Division) Arm(project ident.ProjectID, name, subject string, share int) facts.Arm {
	if share >= buckets || (share > 0 && subject != "" && d.bucket(project, name, subject) < share) {
		return facts.Treatment
	}
	return facts.Control
}

// bucket is where a subject stands in an experiment, from 0 up to buckets: the first 52 bits of HMAC-SHA256(salt and project, experiment
// ":" subject) modulo buckets. It never changes, so an arm keeps its users when its share grows; another salt, project or experiment
// shuffles them.
func (d Division) bucket(project ident.ProjectID, name, subject string) int {
	const unused = 64 - 52
	mac := hmac.New(sha256.New, []byte(d.Salt+":"+string(project)))
	mac.Write([]byte(name + ":" + subject))
	return int(binary.BigEndian.Uint64(mac.Sum(nil)) >> unused % buckets)
}

// Experiments are all experiments of a bundle, ready to assign users. They are immutable.
type Experiments struct {
	division Division
	all      []experiment      // sorted by name
	fixed    facts.Assignments // what every user has, if nobody has to be told apart
	told     []string          // the same as the wire tells it
}

type experiment struct {
	name  string
	share int
}

// Learn reads what the parameters define. The engine's own experiment has a parameter of its own, so the list may not name it again. The
// error is a *document.MisfitError.
func Learn(p Shares) (Experiments, error) {
	if _, twice := p.Experiments[facts.DeviceLocalPasskey]; twice {
		return Experiments{}, &document.MisfitError{
			Keys:    []string{"keyward", "parameters", "experiments", facts.DeviceLocalPasskey},
			Message: fmt.Sprintf("parameter experiments.%s: set deviceLocalTreatmentShare instead", facts.DeviceLocalPasskey),
		}
	}
	x := Experiments{division: Division{p.ExperimentSalt}, all: []experiment{{facts.DeviceLocalPasskey, p.DeviceLocalTreatmentShare}}}
	for name, share := range p.Experiments {
		x.all = append(x.all, experiment{name, share})
	}
	slices.SortFunc(x.all, func(a, b experiment) int { return cmp.Compare(a.name, b.name) })
	divides := func(e experiment) bool { return e.share > 0 && e.share < buckets }
	if !slices.ContainsFunc(x.all, divides) {
		x.fixed, x.told = x.draw("", "")
	}
	return x, nil
}

// Assign returns the arms of a user and those that the wire tells: name:arm of every experiment that runs, which is to say treats anyone at
// all. A user that does not exist takes part in none. Both are shared, read only.
func (x *Experiments) Assign(project ident.ProjectID, a *account.Account) (facts.Assignments, []string) {
	switch {
	case a == nil:
		return nil, []string{}
	case x.fixed != nil:
		return x.fixed, x.told
	default:
		return x.draw(project, a.ID)
	}
}

func (x *Experiments) draw(project ident.ProjectID, user ident.UserID) (facts.Assignments, []string) {
	arms, told := make(facts.Assignments, 0, len(x.all)), make([]string, 0, len(x.all))
	for _, e := range x.all {
		arm := x.division.Arm(project, e.name, string(user), e.share)
		arms = append(arms, facts.Assignment{Experiment: e.name, Arm: arm})
		if e.share > 0 {
			told = append(told, e.name+":"+string(arm))
		}
	}
	return arms, told
}

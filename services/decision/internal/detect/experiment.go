package detect

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// buckets is how finely users are divided; shares are counted in it.
const buckets = 10_000

// experiments are all experiments of a bundle, ready to assign users. They are immutable.
type experiments struct {
	salt  string
	all   []experiment      // sorted by name
	fixed facts.Assignments // what every user has, if nobody has to be told apart
	told  []string          // the same as the wire tells it
}

type experiment struct {
	name  string
	share int
}

// learnExperiments reads what the parameters define. The engine's own experiment has a parameter of its own, so the list may not name it
// again.
func learnExperiments(p *Parameters) (experiments, error) {
	if _, twice := p.Experiments[facts.DeviceLocalPasskey]; twice {
		return experiments{}, &MisfitError{
			Keys:    []string{"keyward", "parameters", "experiments", facts.DeviceLocalPasskey},
			Message: fmt.Sprintf("parameter experiments.%s: set deviceLocalTreatmentShare instead", facts.DeviceLocalPasskey),
		}
	}
	x := experiments{salt: p.ExperimentSalt, all: []experiment{{facts.DeviceLocalPasskey, p.DeviceLocalTreatmentShare}}}
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

// assign returns the arms of a user and those that the wire tells: name:arm of every experiment that runs, which is to say treats anyone at
// all. A user that does not exist takes part in none.
func (x *experiments) assign(project ident.ProjectID, a *account.Account) (facts.Assignments, []string) {
	switch {
	case a == nil:
		return nil, []string{}
	case x.fixed != nil:
		return x.fixed, x.told
	default:
		return x.draw(project, a.ID)
	}
}

func (x *experiments) draw(project ident.ProjectID, user ident.UserID) (facts.Assignments, []string) {
	arms, told := make(facts.Assignments, 0, len(x.all)), make([]string, 0, len(x.all))
	for _, e := range x.all {
		arm := facts.Control
		if e.share >= buckets || (e.share > 0 && x.bucket(project, e.name, string(user)) < e.share) {
			arm = facts.Treatment
		}
		arms = append(arms, facts.Assignment{Experiment: e.name, Arm: arm})
		if e.share > 0 {
			told = append(told, e.name+":"+string(arm))
		}
	}
	return arms, told
}

// bucket is where somebody, as a rule a user, stands in an experiment, from 0 up to buckets: the first 52 bits of HMAC-SHA256(salt and
// project, experiment ":" user) modulo buckets. It never changes, so an arm keeps its users when its share grows; another salt, project or
// experiment shuffles them.
func (x *experiments) bucket(project ident.ProjectID, name, who string) int {
	const unused = 64 - 52
	mac := hmac.New(sha256.New, []byte(x.salt+":"+string(project)))
	mac.Write([]byte(name + ":" + who))
	return int(binary.BigEndian.Uint64(mac.Sum(nil)) >> unused % buckets)
}

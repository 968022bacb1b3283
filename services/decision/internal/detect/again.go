package detect

import (
	"reflect"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/agent"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/rollout"
)

// Same reports whether two bundles detect alike: whether each finds the facts in a question that the other finds.
func (k *Knowledge) Same(other *Knowledge) bool {
	return k == other || reflect.DeepEqual(&k.Parameters, &other.Parameters) && reflect.DeepEqual(k.Authenticators, other.Authenticators) &&
		k.Clients.Same(&other.Clients) && k.Lists.Same(other.Lists)
}

// RolloutAgain finds the facts of a rollout anew, of which was is recorded and own is what detection knew then, nil if that is not known
// any more. It returns rollout.ErrNotKept where something could matter that is not recorded.
func (k *Knowledge) RolloutAgain(q service.RolloutQuestion, was *facts.Rollout, own *Knowledge) (Detection, error) {
	q.Action = was.Action
	d := k.nobody(q.Question)
	var before *rollout.Rollout
	if own != nil {
		before = &own.rollout
	}
	var err error
	d.Facts.Rollout, err = k.rollout.Again(q, agent.Major(d.Client.BrowserVersion), was, before)
	return d, err
}

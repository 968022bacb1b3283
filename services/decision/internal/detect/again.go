package detect

import (
	"errors"
	"maps"
	"net/netip"
	"reflect"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Why facts cannot be found anew from what is recorded.
var (
	ErrAddressNotKept = errors.New("the record has the network of the client, and the parameters bar a part of it")
	ErrRolloutNotKept = errors.New("the parameters of the rollout are others, and identifiers, invitations and flags are not recorded")
)

// Same reports whether two bundles detect alike: whether each finds the facts in a question that the other finds.
func (k *Knowledge) Same(other *Knowledge) bool {
	return k == other || reflect.DeepEqual(&k.Parameters, &other.Parameters) && reflect.DeepEqual(k.Authenticators, other.Authenticators) &&
		k.ownAgents == other.ownAgents && reflect.DeepEqual(&k.Agents, &other.Agents)
}

// TellsNetwork returns ErrAddressNotKept if some addresses of the network are barred and others are not.
func (k *Knowledge) TellsNetwork(network netip.Prefix) error {
	for _, barred := range k.addresses {
		if network.IsValid() && barred.Bits() > network.Bits() && barred.Overlaps(network) {
			return ErrAddressNotKept
		}
	}
	return nil
}

// RolloutAgain finds the facts of a rollout anew, of which was is recorded and own is what detection knew then, nil if that is not known
// any more. The identifier, the invitation and the flags as they were sent are not recorded, so it returns ErrRolloutNotKept where they
// could matter.
func (k *Knowledge) RolloutAgain(q service.RolloutQuestion, was *facts.Rollout, own *Knowledge) (Detection, error) {
	q.Action = was.Action
	d := k.Rollout(q)
	found := d.Facts.Rollout
	if own == nil {
		return d, ErrRolloutNotKept
	}
	named := was.Identifier != facts.NotNamed
	mine, theirs := &k.rollout, &own.rollout
	switch {
	case named && !(maps.Equal(mine.identifiers, theirs.identifiers) && maps.Equal(mine.domains, theirs.domains)),
		!maps.Equal(mine.invitations, theirs.invitations),
		!contains(theirs.flags, mine.flags):
		return d, ErrRolloutNotKept
	}
	found.Identifier, found.Invitation, found.Flags = was.Identifier, was.Invitation, nil
	for _, flag := range was.Flags {
		if mine.flags[flagValue{flag.Experiment, string(flag.Arm)}] {
			found.Flags = append(found.Flags, flag)
		}
	}
	if q.Environment.ID != "" || !named {
		return d, nil
	}
	// Samples were drawn by the identifier. They come out as they did if they are drawn alike.
	if own.Parameters.ExperimentSalt != k.Parameters.ExperimentSalt || !reflect.DeepEqual(theirs.samples, mine.samples) {
		return d, ErrRolloutNotKept
	}
	found.Samples = was.Samples
	return d, nil
}

func contains[K comparable](all, some map[K]bool) bool {
	for key := range some {
		if !all[key] {
			return false
		}
	}
	return true
}

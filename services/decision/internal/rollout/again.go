package rollout

import (
	"errors"
	"maps"
	"slices"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// ErrNotKept says why facts cannot be found anew from what is recorded.
var ErrNotKept = errors.New("the parameters of the rollout are others, and identifiers, invitations and flags are not recorded")

// Again finds the facts of a question anew, of which was is recorded and own is the rollout that found them, nil if that is not known any
// more. The identifier, the invitation and the flags as they were sent are not recorded, so it returns ErrNotKept where they could matter.
func (r *Rollout) Again(q service.RolloutQuestion, browserVersion int, was *facts.Rollout, own *Rollout) (*facts.Rollout, error) {
	found := r.Facts(q, browserVersion)
	if own == nil {
		return found, ErrNotKept
	}
	named := was.Identifier != facts.NotNamed
	switch {
	case named && !(maps.Equal(r.identifiers, own.identifiers) && maps.Equal(r.domains, own.domains)),
		!maps.Equal(r.invitations, own.invitations),
		!contains(own.flags, r.flags):
		return found, ErrNotKept
	}
	found.Identifier, found.Invitation, found.Flags = was.Identifier, was.Invitation, nil
	for _, flag := range was.Flags {
		if r.flags[flagValue{flag.Experiment, string(flag.Arm)}] {
			found.Flags = append(found.Flags, flag)
		}
	}
	if q.Environment.ID != "" || !named {
		return found, nil
	}
	// Samples were drawn by the identifier. They come out as they did if they are drawn alike.
	if own.division != r.division || !slices.Equal(own.samples, r.samples) {
		return found, ErrNotKept
	}
	found.Samples = was.Samples
	return found, nil
}

func contains[K comparable](all, some map[K]bool) bool {
	for key := range some {
		if !all[key] {
			return false
		}
	}
	return true
}

// Package labelling is the room of the labels of users: names that the policy declares, callers set and rules of risk read. It promises
// that whoever is given one that the policy does not declare is refused, and that each change is told of.
package labelling

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/outbox"
)

const fieldLabels = "labels"

// Service is the room.
type Service struct {
	accounts *account.Store
	outbox   *outbox.Store
	labels   Labels
}

// New returns the room.
func New(accounts *account.Store, told *outbox.Store, declared Labels) *Service {
	return &Service{accounts: accounts, outbox: told, labels: declared}
}

// Labels tells which labels users may be given. The decision service is one.
type Labels interface {
	Labels(ctx context.Context, of service.ForProject[service.Empty]) ([]string, error)
}

// GetUserLabels implements service.Users.
func (s *Service) GetUserLabels(ctx context.Context, req service.ForUser[service.Empty]) (rest.UserLabels, error) {
	a, _, err := s.accounts.Get(ctx, req.Project, req.User)
	if err != nil {
		return rest.UserLabels{}, err
	}
	return labelsOf(a), nil
}

// SetUserLabels implements service.Users. A label that the policy has ceased to declare may stay where it is.
func (s *Service) SetUserLabels(ctx context.Context, req service.ForUser[rest.UserLabels]) (rest.UserLabels, error) {
	before, _, err := s.accounts.Get(ctx, req.Project, req.User)
	if err != nil {
		return rest.UserLabels{}, err
	}
	wanted := append([]string{}, slices.Compact(slices.Sorted(slices.Values(req.Body.Labels)))...)
	if slices.Equal(wanted, before.Labels) {
		return labelsOf(before), s.outbox.Announce(ctx, before) // an earlier attempt may have to tell of it still
	}
	declared, err := s.labels.Labels(ctx, service.ForProject[service.Empty]{Project: req.Project})
	if err != nil {
		return rest.UserLabels{}, err
	}
	for _, label := range wanted {
		if !slices.Contains(declared, label) && !slices.Contains(before.Labels, label) {
			return rest.UserLabels{}, undeclared(label, declared)
		}
	}
	tidings := s.outbox.NewEvent(req.Project, req.User, event.UserLabelled)
	tidings.Labels = (*event.Labels)(&wanted)
	a, err := s.outbox.Change(ctx, tidings, func(a *account.Account) error {
		a.Labels = wanted
		return nil
	})
	if err != nil {
		return rest.UserLabels{}, err
	}
	return labelsOf(a), nil
}

func undeclared(label string, declared []string) error {
	if len(declared) == 0 {
		return fault.Field(fieldLabels, "%s", fmt.Sprintf("%s is no label: the policy declares none", label))
	}
	why := fmt.Sprintf("%s is no label that the policy declares; there are %s", label, strings.Join(declared, ", "))
	return fault.Field(fieldLabels, "%s", why)
}

func labelsOf(a account.Account) rest.UserLabels {
	return rest.UserLabels{Labels: append([]string{}, a.Labels...)}
}

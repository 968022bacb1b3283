package environments

import (
	"context"
	"slices"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/core/service"
)

// ErrUnknown says that the user was never seen in the environment.
var ErrUnknown = fault.NotFound("the user has no such client environment").Named("environment-unknown")

// DeleteClientEnv implements service.Directory. The account lists the environments that a ceremony was finished in; where none was, the
// events of the user still know it.
func (s *Service) DeleteClientEnv(ctx context.Context, req service.ForUser[ident.EnvironmentID]) (service.Empty, error) {
	a, _, err := s.accounts.Get(ctx, req.Project, req.User)
	if err != nil {
		return service.Empty{}, err
	}
	if !slices.ContainsFunc(a.Environments, func(e account.Environment) bool { return e.ID == req.Body }) {
		last, err := s.last(ctx, req)
		switch {
		case err != nil:
			return service.Empty{}, err
		case last == "":
			return service.Empty{}, ErrUnknown
		case last == event.EnvironmentForgotten:
			return service.Empty{}, nil
		}
	}
	tidings := s.outbox.NewEvent(req.Project, req.User, event.EnvironmentForgotten)
	tidings.Environment = req.Body
	_, err = s.outbox.Change(ctx, tidings, func(a *account.Account) error {
		forget(a, req.Body)
		return nil
	})
	return service.Empty{}, err
}

// forget takes an environment out of what an account says of itself. Its events are closed by the one that tells of this.
func forget(a *account.Account, id ident.EnvironmentID) {
	a.Environments = slices.DeleteFunc(a.Environments, func(e account.Environment) bool { return e.ID == id })
	for i := range a.Credentials {
		if c := &a.Credentials[i]; c.Environment == id {
			c.Environment = ""
		}
	}
}

// last returns the type of the newest event of the user that names the environment, or "".
func (s *Service) last(ctx context.Context, req service.ForUser[ident.EnvironmentID]) (event.Type, error) {
	for page := 1; ; page++ {
		list, err := s.events.List(ctx, service.ForUser[service.EventList]{
			Project: req.Project, User: req.User,
			Body: service.EventList{List: service.List{Page: page, PageSize: listing.MaxPageSize}, IncludeEngine: true},
		})
		if err != nil {
			return "", err
		}
		for _, e := range list.PasskeyEvents {
			if e.ClientEnvID != nil && *e.ClientEnvID == string(req.Body) {
				return event.Type(e.EventType), nil
			}
		}
		if len(list.PasskeyEvents) < listing.MaxPageSize {
			return "", nil
		}
	}
}

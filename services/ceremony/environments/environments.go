// Package environments knows client environments again by the handles that clients keep, says what is remembered of them, and forgets it. A
// handle is never issued in private mode; what was forgotten counts in no later decision. It reads projects, accounts and events, changes
// accounts through the outbox alone, and calls no other room.
package environments

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/outbox"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// Events knows what happened to a user, and takes up what callers report. service.Events is one.
type Events interface {
	List(context.Context, service.ForUser[service.EventList]) (rest.PasskeyEventList, error)
	CreateAuthEvent(context.Context, service.ForUser[service.AuthReport]) (rest.AuthEvent, error)
}

// Deps is what the room works with. All fields are required.
type Deps struct {
	Projects tenant.Projects
	Accounts *account.Store
	Outbox   *outbox.Store
	Events   Events
	MaxAge   time.Duration // how long a handle is recognised
	Handles  *prometheus.CounterVec
	Now      func() time.Time
}

// Service knows client environments again.
type Service struct {
	projects tenant.Projects
	accounts *account.Store
	outbox   *outbox.Store
	events   Events
	maxAge   time.Duration
	handles  *prometheus.CounterVec
	now      func() time.Time
}

// New returns the room.
func New(d Deps) *Service {
	return &Service{
		projects: d.Projects, accounts: d.Accounts, outbox: d.Outbox, events: d.Events, maxAge: d.MaxAge, handles: d.Handles, now: d.Now,
	}
}

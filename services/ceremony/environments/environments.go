// Package environments knows client environments again by the handles that clients keep, and says what is remembered of them. A handle is
// never issued in private mode. It reads projects and accounts, writes nothing, and calls no other room.
package environments

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// Deps is what the room works with. All fields are required.
type Deps struct {
	Projects tenant.Projects
	Accounts *account.Store
	MaxAge   time.Duration // how long a handle is recognised
	Handles  *prometheus.CounterVec
	Now      func() time.Time
}

// Service knows client environments again.
type Service struct {
	projects tenant.Projects
	accounts *account.Store
	maxAge   time.Duration
	handles  *prometheus.CounterVec
	now      func() time.Time
}

// New returns the room.
func New(d Deps) *Service {
	return &Service{projects: d.Projects, accounts: d.Accounts, maxAge: d.MaxAge, handles: d.Handles, now: d.Now}
}

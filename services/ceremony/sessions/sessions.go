// Package sessions keeps sessions, knows who calls by them, and signs what proves a login elsewhere. A session that has ended, anywhere, is
// none at the next call; signed passkey data is accepted once. It touches the buckets of sessions, signing keys and spent data, reads
// accounts, and calls the room directory for names alone.
package sessions

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/session"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/signing"
)

// Config is what an operator can set.
type Config struct {
	Lifetime      time.Duration // how long a session lasts at most
	Inactivity    time.Duration // how long a session lasts without being used
	TokenLifetime time.Duration // how long a token of a session is valid; at most signing.MaxLifetime
	FrontendURL   string        // issuer of the sessions of projects without a CNAME
}

// Lists answers the list of sessions.
type Lists interface {
	Sessions(ctx context.Context, project ident.ProjectID, now time.Time, list service.List) (rest.SessionList, error)
}

// Deps is what the room works with. All fields are required.
type Deps struct {
	Config   Config
	Projects tenant.Projects
	Accounts *account.Store
	Sessions *session.Store
	Signing  *signing.Store
	Spent    jetstream.KeyValue // of signed passkey data: what was accepted once
	Lists    Lists
	Verified *prometheus.CounterVec
	Now      func() time.Time
	Log      *slog.Logger
}

// Service keeps sessions and signs what proves them.
type Service struct {
	cfg      Config
	projects tenant.Projects
	accounts *account.Store
	sessions *session.Store
	signing  *signing.Store
	spent    kv.Bucket[struct{}]
	lists    Lists
	verified *prometheus.CounterVec
	now      func() time.Time
	log      *slog.Logger
}

// New returns the room.
func New(d Deps) *Service {
	return &Service{
		cfg: d.Config, projects: d.Projects, accounts: d.Accounts, sessions: d.Sessions, signing: d.Signing, lists: d.Lists,
		spent: kv.Bucket[struct{}]{KV: d.Spent, Name: "use of the signed data"}, verified: d.Verified, now: d.Now, log: d.Log,
	}
}

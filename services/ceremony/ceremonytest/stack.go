// Package ceremonytest is what the tests of the ceremony service and of its rooms stand on: the service assembled as the product
// assembles it, on an embedded NATS that all tests of a process share (Main ends it; each test has a project of its own), with a clock, a
// decision service, an event log and a courier that do as they are told; virtual authenticators; storage that fails and processes that
// crash on demand. Helpers fail the test that they are given. Only tests import it; what the tests of one room alone need stays with
// them.
package ceremonytest

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/decisions"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/ledger"
	"github.com/keyward/keyward/services/ceremony/signing"
)

// What most tests speak of.
const (
	Process     = "prc-1"
	Email       = "ada@example.com"
	Mobile      = "+4915112345678"
	FrontendURL = "http://localhost:8080" // the default of frontend_url
)

// Started is when the clock of a Stack begins.
var Started = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// Stack is the service with everything around it.
type Stack struct {
	*ceremony.Service
	Project  project.Project
	Projects *Projects
	DNS      DNS
	Accounts *account.Store
	Decision *decisions.Service
	Events   *Events
	Clock    *Clock
	Delivery *Courier
	Guessed  *Guessed
	storage  *bus.Bus
	Lists    *ceremony.Lists
	Buckets  Buckets
	Metadata *Metadata
	Signing  *signing.Store
	Keyring  *keyring.Store
	Log      *Buffer
	Registry *prometheus.Registry
}

// Metadata is what is known of models of authenticators: nothing, until a test says what.
type Metadata struct {
	atomic.Pointer[metadata.Snapshot]
}

// Now implements ceremony.Metadata.
func (m *Metadata) Now() *metadata.Snapshot { return m.Load() }

// Guessed counts the accounts whose codes were guessed at until none was taken.
type Guessed struct{ atomic.Int64 }

// CodesGuessed implements codes.Audit.
func (g *Guessed) CodesGuessed(ident.ProjectID) { g.Add(1) }

// New returns the service on the storage that all tests of a process share, with a project, a clock and fakes of its own.
func New(tb testing.TB) *Stack {
	tb.Helper()
	return NewOn(tb, OpenBuckets(tb))
}

// NewOn is New with the buckets given, which may fail on demand.
func NewOn(tb testing.TB, b Buckets) *Stack {
	tb.Helper()
	return NewWith(tb, b, account.NewStore(b.Accounts))
}

// NewWith is NewOn with the store of accounts given.
func NewWith(tb testing.TB, b Buckets, accounts *account.Store) *Stack {
	tb.Helper()
	here := ofAll.open(tb)
	offers, err := eventlog.NewLog(tb.Context(), here.storage.JS)
	if err != nil {
		tb.Fatal(err)
	}
	origins := []string{authenticator.Origin, "android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"}
	p, err := project.New(ident.NewProjectID(), "Shop", authenticator.RPID, "Shop", origins, project.NewSecret(), Started)
	if err != nil {
		tb.Fatal(err)
	}
	// Nothing has to be verified, unless a test says so.
	p.Frontend.Identifiers = []project.IdentifierRule{{Type: account.IdentifierTypeEmail}, {Type: account.IdentifierTypeUsername}}
	st := &Stack{
		Project:  p,
		Projects: &Projects{known: map[ident.ProjectID]project.Project{p.ID: p}}, DNS: DNS{},
		Decision: &decisions.Service{},
		Events:   &Events{Offers: offers},
		Clock:    &Clock{now: Started},
		Delivery: &Courier{},
		Guessed:  &Guessed{},
		storage:  here.storage,
		Lists:    here.lists,
		Buckets:  b,
		Metadata: &Metadata{},
		Log:      &Buffer{},
		Registry: prometheus.NewRegistry(),
	}
	st.Accounts = accounts.With(ledger.Shared{Mu: &st.Events.Mu, Of: &st.Events.ledger})
	st.Signing, err = signing.Open(tb.Context(), signing.Deps{
		Bucket: b.Keys, MaxAge: ceremony.DefaultConfig().SigningKeyMaxAge, Now: st.Clock.Now, Log: slog.New(slog.NewJSONHandler(st.Log, nil)),
	})
	if err != nil {
		tb.Fatal(err)
	}
	st.Keyring = st.OpenKeys(tb)
	if st.Project.Ring, err = st.Keyring.Ring(tb.Context(), p.ID); err != nil {
		tb.Fatal(err)
	}
	st.Service, err = ceremony.New(Config(), st.Deps(b))
	if err != nil {
		tb.Fatal(err)
	}
	return st
}

// Config is the default one, but that nobody loses patience on a busy machine.
func Config() ceremony.Config {
	cfg := ceremony.DefaultConfig()
	cfg.LookupTimeout = time.Minute
	return cfg
}

// OpenKeys opens the keys of projects as another instance does.
func (st *Stack) OpenKeys(tb testing.TB) *keyring.Store {
	tb.Helper()
	keys, err := keyring.Open(tb.Context(), keyring.Deps{
		Bucket: st.Buckets.roots, Keep: ceremony.DefaultConfig().HandleMaxAge, Now: st.Clock.Now,
		Log: slog.New(slog.NewJSONHandler(st.Log, nil)),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

// Deps is everything around the service, with the buckets given.
func (st *Stack) Deps(b Buckets) ceremony.Deps {
	return ceremony.Deps{
		Projects: st.Projects, Keys: st.Keyring, Accounts: st.Accounts,
		Challenges: b.Challenges, Marks: b.Marks, Index: b.Index, Names: b.Names, Sessions: b.Sessions, SessionIDs: b.SessionIDs,
		Tokens: b.Tokens, Codes: b.Codes, Nobodies: b.Nobodies, Spent: b.Spent, Processes: b.Processes, StepUps: b.StepUps, Attested: b.Attested,
		Metadata: st.Metadata,
		Delivery: st.Delivery, Signing: st.Signing, Events: st.Events, Offers: st.Events, Positions: st.Events, DNS: st.DNS, Lists: st.Lists,
		Decision: st.Decision, Records: st.Decision, Audit: st.Guessed, AAGUIDs: Names{}, ChallengeMaxAge: bus.DefaultConfig().ChallengeMaxAge,
		Now: st.Clock.Now, Log: slog.New(slog.NewJSONHandler(st.Log, nil)), Metrics: st.Registry,
	}
}

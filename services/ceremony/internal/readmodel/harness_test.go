package readmodel_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/ceremony/internal/connecttoken"
	"github.com/keyward/keyward/services/ceremony/internal/readmodel"
	"github.com/keyward/keyward/services/ceremony/internal/session"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var started = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// storage is an embedded NATS with the three buckets.
type storage struct {
	*bus.Bus
	accounts, sessions, tokens jetstream.KeyValue
}

func newStorage(tb testing.TB) *storage {
	tb.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.SyncInterval = tb.TempDir(), time.Minute
	b, err := bus.Open(tb.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.Close)
	st := &storage{Bus: b}
	st.open(tb)
	return st
}

func (st *storage) open(tb testing.TB) {
	tb.Helper()
	for name, place := range map[string]*jetstream.KeyValue{
		bus.AccountsBucket: &st.accounts,
		bus.SessionsBucket: &st.sessions,
		bus.TokensBucket:   &st.tokens,
	} {
		kv, err := st.Bucket(tb.Context(), name)
		if err != nil {
			tb.Fatal(err)
		}
		*place = kv
	}
}

// model is a read model that runs until its test ends or stop is called.
type model struct {
	*readmodel.Store
	registry *prometheus.Registry
	stop     func()
}

func newModel(tb testing.TB, st *storage, dir string) *model {
	tb.Helper()
	return newModelAt(tb, st, dir, func() time.Time { return started })
}

// newModelAt looks for rows whose entries are gone all the time.
func newModelAt(tb testing.TB, st *storage, dir string, now func() time.Time) *model {
	tb.Helper()
	return newModelOf(tb, readmodel.Deps{JetStream: st.JS, Dir: dir, Now: now, Upkeep: 20 * time.Millisecond})
}

// newModelOf completes deps.
func newModelOf(tb testing.TB, deps readmodel.Deps) *model {
	tb.Helper()
	m := &model{registry: prometheus.NewRegistry()}
	deps.Log, deps.Metrics = benchLog(tb), m.registry
	var err error
	m.Store, err = readmodel.Open(deps)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	stopped := false
	m.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
		if err := m.Close(); err != nil {
			tb.Error(err)
		}
	}
	tb.Cleanup(m.stop)
	return m
}

// metric returns the value of a metric, 0 if it has none. labels are pairs.
func (m *model) metric(tb testing.TB, name string, labels ...string) float64 {
	tb.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			matches := true
			for _, pair := range metric.GetLabel() {
				matches = matches && len(labels) == 2 && pair.GetName() == labels[0] && pair.GetValue() == labels[1]
			}
			if matches {
				return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
	}
	return 0
}

func put(tb testing.TB, kv jetstream.KeyValue, project ident.ProjectID, id string, document any) {
	tb.Helper()
	raw, err := json.Marshal(document)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := kv.Put(tb.Context(), string(project)+"."+id, raw); err != nil {
		tb.Fatal(err)
	}
}

func (st *storage) putUser(tb testing.TB, a account.Account) {
	tb.Helper()
	put(tb, st.accounts, a.Project, string(a.ID), a)
}

func (st *storage) putSession(tb testing.TB, s session.Session) {
	tb.Helper()
	put(tb, st.sessions, s.Project, string(s.ID), s)
}

func (st *storage) putToken(tb testing.TB, t connecttoken.Token) {
	tb.Helper()
	put(tb, st.tokens, t.Project, string(t.ID), t)
}

func named(project ident.ProjectID, name string) account.Account {
	return account.Account{
		Project:    project,
		ID:         ident.NewUserID(),
		FullName:   &name,
		Status:     "active",
		UserHandle: []byte("handle"),
		CreatedMs:  started.UnixMilli(),
		UpdatedMs:  started.UnixMilli(),
	}
}

// benchLog shows what a benchmark's read model says.
func benchLog(tb testing.TB) *slog.Logger {
	tb.Helper()
	if _, bench := tb.(*testing.B); bench {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

package ceremonytest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/services/ceremony"
)

// shared is what all tests of a process work on: one embedded NATS and one read model of it. Each test has projects of its own. It starts
// with the first test that needs it, so a binary that runs others alone, as each worker of a fuzz test does, has no server.
type shared struct {
	once    sync.Once
	err     error
	storage *bus.Bus
	lists   *ceremony.Lists
	stop    func()
}

// ofAll is the one of this process: a test is handed nothing by its TestMain.
var ofAll shared

// Main runs the tests of a package, ends what they share, and returns the exit code: for its TestMain. A goroutine that is left is a
// failure.
func Main(m *testing.M) int {
	code := m.Run()
	if ofAll.stop != nil {
		ofAll.stop()
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func (s *shared) open(tb testing.TB) *shared {
	tb.Helper()
	s.once.Do(func() { s.err = s.start() })
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s
}

func (s *shared) start() error {
	dir, err := os.MkdirTemp("", "ceremony")
	if err != nil {
		return err
	}
	s.stop = func() { _ = os.RemoveAll(dir) }
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.SyncInterval = dir, time.Minute
	s.storage, err = bus.Open(context.Background(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	s.stop = func() {
		s.storage.Close()
		_ = os.RemoveAll(dir)
	}
	s.lists, err = ceremony.OpenLists(ceremony.ListsDeps{
		JetStream: s.storage.JS, Now: time.Now, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.lists.Run(ctx)
	}()
	s.stop = func() {
		cancel()
		<-ended
		_ = s.lists.Close()
		s.storage.Close()
		_ = os.RemoveAll(dir)
	}
	return nil
}

// Buckets are those that the service works with.
type Buckets struct {
	Accounts, Challenges, Marks, Index, Names, Sessions, SessionIDs, Tokens, Codes, Nobodies, Spent, Processes, Keys, roots jetstream.KeyValue
	StepUps, Attested                                                                                                       jetstream.KeyValue
}

// OpenBuckets opens the buckets of the storage that all tests of a process share.
func OpenBuckets(tb testing.TB) Buckets {
	tb.Helper()
	return OpenBucketsOf(tb, ofAll.open(tb).storage)
}

// OpenBucketsOf opens the buckets of another storage.
func OpenBucketsOf(tb testing.TB, storage *bus.Bus) Buckets {
	tb.Helper()
	open := func(name string) jetstream.KeyValue {
		bucket, err := kv.Open(tb.Context(), storage.JS, name)
		if err != nil {
			tb.Fatal(err)
		}
		return bucket
	}
	return Buckets{
		Accounts:   open(bus.AccountsBucket),
		Challenges: open(bus.ChallengesBucket),
		Marks:      open(bus.MarksBucket),
		Index:      open(bus.CredentialsBucket),
		Names:      open(bus.IdentifiersBucket),
		Sessions:   open(bus.SessionsBucket),
		SessionIDs: open(bus.SessionIndexBucket),
		Tokens:     open(bus.TokensBucket),
		Codes:      open(bus.CodesBucket),
		Nobodies:   open(bus.NobodiesBucket),
		Spent:      open(bus.SpentBucket),
		Processes:  open(bus.ProcessesBucket),
		StepUps:    open(bus.StepUpsBucket),
		Attested:   open(bus.AttestationsBucket),
		Keys:       open(bus.KeysBucket),
		roots:      open(bus.ProjectKeysBucket),
	}
}

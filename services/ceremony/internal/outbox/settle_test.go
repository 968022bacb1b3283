package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/metrics"
)

const (
	project = ident.ProjectID("pro-1")
	user    = ident.UserID("usr-1")
)

// installation is a bucket of accounts that counts what is written, and a log.
type installation struct {
	jetstream.KeyValue
	writes atomic.Int32
	away   atomic.Bool

	mu  sync.Mutex
	log []ident.EventID // as they were appended
}

func (i *installation) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	if i.away.Load() {
		return 0, nats.ErrConnectionClosed
	}
	revision, err := i.KeyValue.Update(ctx, key, value, last)
	if err == nil {
		i.writes.Add(1)
	}
	return revision, err
}

func (i *installation) Append(_ context.Context, e event.Event) (service.Appended, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.log = append(i.log, e.ID)
	return service.Appended{Sequence: uint64(len(i.log))}, nil
}

func (i *installation) Conclude(context.Context, service.Conclusion) (service.Concluded, error) {
	panic("no login ends here")
}

func open(t *testing.T) *installation {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	i := &installation{}
	if i.KeyValue, err = b.Bucket(t.Context(), bus.AccountsBucket); err != nil {
		t.Fatal(err)
	}
	if err := account.NewStore(i).Create(t.Context(), account.Account{Project: project, ID: user}); err != nil {
		t.Fatal(err)
	}
	return i
}

// instance is one of those that change accounts.
func (i *installation) instance(t *testing.T, running bool) *Store {
	t.Helper()
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s := New(Deps{
		Accounts: account.NewStore(i), Events: i, Now: time.Now, Log: slog.New(slog.DiscardHandler), Metrics: m.Outbox,
	})
	s.settling.run(running)
	return s
}

func (i *installation) account(t *testing.T) account.Account {
	t.Helper()
	a, _, err := account.NewStore(i).Get(t.Context(), project, user)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func change(ctx context.Context, s *Store, name string) (event.Event, error) {
	tidings := s.NewEvent(project, user, event.UserUpdated)
	_, err := s.Change(ctx, tidings, func(a *account.Account) error {
		a.FullName = &name
		return nil
	})
	return tidings, err
}

func TestWhatWasToldGoesWithTheNextChangeAndTheLastALittleLater(t *testing.T) {
	t.Parallel()
	i := open(t)
	s := i.instance(t, true)
	const changes = 2 * maxUnannounced // none is held up by those before
	for n := range changes {
		tidings, err := change(t.Context(), s, fmt.Sprintf("name %d", n))
		if err != nil {
			t.Fatal(err)
		}
		if left := i.account(t).Unannounced; len(left) != 1 || left[0].ID != tidings.ID {
			t.Fatalf("change %d left %+v", n, left)
		}
	}
	if n := i.writes.Load(); n != changes || len(i.log) != changes {
		t.Errorf("%d changes made %d writes and %d events", changes, n, len(i.log))
	}
	if refs := s.settling.due(false); len(refs) != 0 {
		t.Errorf("%v do not rest yet", refs)
	}
	s.settleAll(t.Context(), s.settling.due(false))
	if left := i.account(t).Unannounced; len(left) != 0 || i.writes.Load() != changes+1 {
		t.Errorf("left: %+v", left)
	}
	if len(s.settling.told) != 0 {
		t.Errorf("still remembered: %v", s.settling.told)
	}
}

func TestWithoutRunWhatWasToldGoesAtOnce(t *testing.T) {
	t.Parallel()
	i := open(t)
	if _, err := change(t.Context(), i.instance(t, false), "Ada"); err != nil {
		t.Fatal(err)
	}
	if left := i.account(t).Unannounced; len(left) != 0 || i.writes.Load() != 2 {
		t.Errorf("left: %+v", left)
	}
}

func TestWhatADeadProcessHasToldIsToldOnceMoreUnderItsID(t *testing.T) {
	t.Parallel()
	i := open(t)
	tidings, err := change(t.Context(), i.instance(t, true), "Ada")
	if err != nil {
		t.Fatal(err)
	}
	if err := i.instance(t, false).Announce(t.Context(), i.account(t)); err != nil {
		t.Fatal(err)
	}
	if left := i.account(t).Unannounced; len(left) != 0 || len(i.log) != 2 || i.log[0] != tidings.ID || i.log[1] != tidings.ID {
		t.Errorf("left: %+v, in the log: %v", left, i.log)
	}
}

func TestChangesOfTwoInstancesAreAllToldAndNoneIsLeft(t *testing.T) {
	t.Parallel()
	i := open(t)
	instances := []*Store{i.instance(t, true), i.instance(t, true)}
	var mu sync.Mutex
	var changing sync.WaitGroup
	var want []ident.EventID
	for n := range 24 {
		s := instances[n%2]
		changing.Go(func() {
			for { // writers who meet too often are told to come again
				tidings, err := change(context.Background(), s, fmt.Sprintf("name %d", n))
				if err != nil {
					continue
				}
				mu.Lock()
				want = append(want, tidings.ID)
				mu.Unlock()
				return
			}
		})
	}
	changing.Wait()
	told := map[ident.EventID]bool{}
	for _, id := range i.log {
		told[id] = true
	}
	for _, id := range want {
		if !told[id] {
			t.Errorf("%s is not told", id)
		}
	}
	for _, s := range instances {
		s.settleAll(t.Context(), s.settling.due(true))
	}
	if left := i.account(t).Unannounced; len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

func TestWhatIsNotToldYetStaysWhateverIsRemoved(t *testing.T) {
	t.Parallel()
	i := open(t)
	s := i.instance(t, true)
	if _, err := change(t.Context(), s, "Ada"); err != nil {
		t.Fatal(err)
	}
	untold := s.NewEvent(project, user, event.UserUpdated) // of an instance that died before it was told
	if _, err := account.NewStore(i).Update(t.Context(), project, user, func(a *account.Account) error {
		Note(a, untold)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s.settleAll(t.Context(), s.settling.due(true))
	if left := i.account(t).Unannounced; len(left) != 1 || left[0].ID != untold.ID {
		t.Errorf("left: %+v", left)
	}
}

func TestWhatCannotBeRemovedNowIsRemovedLater(t *testing.T) {
	t.Parallel()
	i := open(t)
	s := i.instance(t, true)
	if _, err := change(t.Context(), s, "Ada"); err != nil {
		t.Fatal(err)
	}
	i.away.Store(true)
	s.settleAll(t.Context(), s.settling.due(true))
	if n := testutil.ToFloat64(s.metrics.Unsettled); n != 1 {
		t.Errorf("counted %v", n)
	}
	i.away.Store(false)
	s.settleAll(t.Context(), s.settling.due(false))
	if left := i.account(t).Unannounced; len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

func TestRunLeavesNothingWhenItEnds(t *testing.T) {
	t.Parallel()
	i := open(t)
	s := i.instance(t, false)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	for n := 0; len(i.account(t).Unannounced) == 0; n++ { // until it runs
		if _, err := change(t.Context(), s, fmt.Sprintf("name %d", n)); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	running.Wait()
	if left := i.account(t).Unannounced; len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	if _, err := change(t.Context(), s, "Ada"); err != nil || len(i.account(t).Unannounced) != 0 {
		t.Errorf("after its end: %v", err)
	}
}

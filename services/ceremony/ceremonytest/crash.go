package ceremonytest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/ledger"
)

// Crash is the end of a process: it lets a number of writes be made, and everything after that fails. If late, the write it fails at has
// been made and only its answer is lost.
type Crash struct {
	mu   sync.Mutex
	Left int // -1: never
	late bool
	dead bool
}

var errCrashed = nats.ErrConnectionClosed

// write makes one write, or fails it.
func (c *Crash) write(do func() error) error {
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return errCrashed
	}
	now := c.Left == 0
	c.dead = now
	if c.Left > 0 {
		c.Left--
	}
	c.mu.Unlock()
	if now && !c.late {
		return errCrashed
	}
	err := do()
	if now {
		return errCrashed
	}
	return err
}

func (c *Crash) alive() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return errCrashed
	}
	return nil
}

func (c *Crash) happened() bool { return c.alive() != nil }

// mortal is a bucket as a process sees it that will crash.
type mortal struct {
	jetstream.KeyValue
	crash *Crash
}

func (m mortal) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	if err := m.crash.alive(); err != nil {
		return nil, err
	}
	return m.KeyValue.Get(ctx, key)
}

func (m mortal) Watch(ctx context.Context, keys string, opts ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	if err := m.crash.alive(); err != nil {
		return nil, err
	}
	return m.KeyValue.Watch(ctx, keys, opts...)
}

func (m mortal) Put(ctx context.Context, key string, value []byte) (revision uint64, err error) {
	err = m.crash.write(func() (err error) { revision, err = m.KeyValue.Put(ctx, key, value); return err })
	return revision, err
}

func (m mortal) Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (revision uint64, err error) {
	err = m.crash.write(func() (err error) { revision, err = m.KeyValue.Create(ctx, key, value, opts...); return err })
	return revision, err
}

func (m mortal) Update(ctx context.Context, key string, value []byte, last uint64) (revision uint64, err error) {
	err = m.crash.write(func() (err error) { revision, err = m.KeyValue.Update(ctx, key, value, last); return err })
	return revision, err
}

func (m mortal) Purge(ctx context.Context, key string, opts ...jetstream.KVDeleteOpt) error {
	return m.crash.write(func() error { return m.KeyValue.Purge(ctx, key, opts...) })
}

// mortalEvents is the log as a process sees it that will crash.
type mortalEvents struct {
	*Events
	crash *Crash
}

func (m mortalEvents) Append(ctx context.Context, e event.Event) (appended service.Appended, err error) {
	err = m.crash.write(func() error { appended, err = m.Events.Append(ctx, e); return err })
	return appended, err
}

func (m mortalEvents) Conclude(ctx context.Context, c service.Conclusion) (done service.Concluded, err error) {
	err = m.crash.write(func() error { done, err = m.Events.Conclude(ctx, c); return err })
	return done, err
}

func (m mortalEvents) Erase(ctx context.Context, req service.ForUser[service.Empty]) (service.Empty, error) {
	return service.Empty{}, m.crash.write(func() error { _, err := m.Events.Erase(ctx, req); return err })
}

// Mortal returns another process of the same installation. It crashes as c says.
func (st *Stack) Mortal(tb testing.TB, c *Crash) *ceremony.Service {
	tb.Helper()
	wrap := func(kv jetstream.KeyValue) jetstream.KeyValue { return mortal{kv, c} }
	b := st.Buckets
	b.Challenges, b.Marks, b.Index, b.Names = wrap(b.Challenges), wrap(b.Marks), wrap(b.Index), wrap(b.Names)
	b.Sessions, b.SessionIDs, b.Tokens, b.Codes = wrap(b.Sessions), wrap(b.SessionIDs), wrap(b.Tokens), wrap(b.Codes)
	b.Processes = wrap(b.Processes)
	deps := st.Deps(b)
	logins := ledger.Shared{Mu: &st.Events.Mu, Of: &st.Events.ledger}
	deps.Accounts = account.NewStore(wrap(b.Accounts)).With(logins)
	deps.Events, deps.Metrics = mortalEvents{st.Events, c}, prometheus.NewRegistry()
	deps.Unfinished = unfinishedOf{st}
	svc, err := ceremony.New(Config(), deps)
	if err != nil {
		tb.Fatal(err)
	}
	return svc
}

// unfinishedOf finds the unfinished accounts of one project.
type unfinishedOf struct{ st *Stack }

func (u unfinishedOf) Unfinished(ctx context.Context, _ time.Time, limit int) ([]account.Ref, error) {
	var refs []account.Ref
	all, err := u.st.everyAccount(ctx)
	for _, a := range all {
		if a.Unfinished() && len(refs) < limit {
			refs = append(refs, account.Ref{Project: a.Project, User: a.ID})
		}
	}
	return refs, err
}

// everyAccount returns all accounts of the project, those that are being deleted too. A watch would leave out what is written at that
// moment.
func (st *Stack) everyAccount(ctx context.Context) ([]account.Account, error) {
	const prefix = "$KV." + bus.AccountsBucket + "."
	stream, err := st.storage.Stream(ctx, "KV_"+bus.AccountsBucket)
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(prefix+string(st.Project.ID)+".*"))
	if err != nil {
		return nil, err
	}
	var all []account.Account
	for subject := range info.State.Subjects {
		a, _, err := st.Accounts.Inspect(ctx, st.Project.ID, ident.UserID(subject[strings.LastIndexByte(subject, '.')+1:]))
		if err != nil && fault.As(err).Status != http.StatusBadRequest {
			return nil, err
		}
		if err == nil {
			all = append(all, a)
		}
	}
	return all, nil
}

// Everyone returns them as they are now.
func (st *Stack) Everyone(tb testing.TB) []account.Account {
	tb.Helper()
	all, err := st.everyAccount(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// Restart starts the installation anew after a crash and waits until what was interrupted is finished.
func (st *Stack) Restart(tb testing.TB) *Stack {
	tb.Helper()
	again := *st
	again.Service = st.Mortal(tb, &Crash{Left: -1})
	ctx, stop := context.WithCancel(tb.Context())
	ended := make(chan error, 1)
	go func() { ended <- again.Run(ctx) }()
	for deadline := time.Now().Add(time.Minute); ; {
		left, err := unfinishedOf{st}.Unfinished(tb.Context(), time.Time{}, 10)
		if err == nil && len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			tb.Fatalf("still unfinished: %v, %v", left, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		tb.Fatal(err)
	}
	return &again
}

// EveryCrash calls try for every write that a call makes: with a crash before the write, and with one after it. It ends when the call is
// done before the crash.
func EveryCrash(t *testing.T, try func(t *testing.T, c *Crash)) {
	t.Helper()
	const bound = 60
	for _, late := range []bool{false, true} {
		for n := 0; ; n++ {
			c := &Crash{Left: n, late: late}
			when := "before"
			if late {
				when = "after"
			}
			t.Run(fmt.Sprintf("%s write %d", when, n+1), func(t *testing.T) { try(t, c) })
			if !c.happened() {
				if n == 0 {
					t.Fatal("nothing was written")
				}
				break
			}
			if n > bound {
				t.Fatal("the call does not end")
			}
		}
	}
}

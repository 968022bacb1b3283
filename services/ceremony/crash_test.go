package ceremony_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony"
)

// crash is the end of a process: it lets a number of writes be made, and everything after that fails. If late, the write it fails at has been made and only
// its answer is lost.
type crash struct {
	mu   sync.Mutex
	left int // -1: never
	late bool
	dead bool
}

var errCrashed = nats.ErrConnectionClosed

// write makes one write, or fails it.
func (c *crash) write(do func() error) error {
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return errCrashed
	}
	now := c.left == 0
	c.dead = now
	if c.left > 0 {
		c.left--
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

func (c *crash) alive() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return errCrashed
	}
	return nil
}

func (c *crash) happened() bool { return c.alive() != nil }

// mortal is a bucket as a process sees it that will crash.
type mortal struct {
	jetstream.KeyValue
	crash *crash
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
	*events
	crash *crash
}

func (m mortalEvents) Append(ctx context.Context, e event.Event) (appended service.Appended, err error) {
	err = m.crash.write(func() error { appended, err = m.events.Append(ctx, e); return err })
	return appended, err
}

func (m mortalEvents) Erase(ctx context.Context, req service.ForUser[service.Empty]) (service.Empty, error) {
	return service.Empty{}, m.crash.write(func() error { _, err := m.events.Erase(ctx, req); return err })
}

// process returns another process of the same installation. It crashes as c says.
func (st *stack) process(tb testing.TB, c *crash) *ceremony.Service {
	tb.Helper()
	wrap := func(kv jetstream.KeyValue) jetstream.KeyValue { return mortal{kv, c} }
	b := st.buckets
	b.challenges, b.marks, b.index, b.names = wrap(b.challenges), wrap(b.marks), wrap(b.index), wrap(b.names)
	b.sessions, b.sessionIDs, b.tokens, b.codes = wrap(b.sessions), wrap(b.sessionIDs), wrap(b.tokens), wrap(b.codes)
	b.processes = wrap(b.processes)
	deps := st.deps(b)
	deps.Accounts, deps.Events, deps.Metrics = account.NewStore(wrap(b.accounts)), mortalEvents{st.events, c}, prometheus.NewRegistry()
	deps.Unfinished = unfinishedOf{st}
	svc, err := ceremony.New(ceremony.DefaultConfig(), deps)
	if err != nil {
		tb.Fatal(err)
	}
	return svc
}

// unfinishedOf finds the unfinished accounts of one project.
type unfinishedOf struct{ st *stack }

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

// everyAccount returns all accounts of the project, those that are being deleted too. A watch would leave out what is written at that moment.
func (st *stack) everyAccount(ctx context.Context) ([]account.Account, error) {
	const prefix = "$KV." + bus.AccountsBucket + "."
	stream, err := storage.Stream(ctx, "KV_"+bus.AccountsBucket)
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(prefix+string(st.project.ID)+".*"))
	if err != nil {
		return nil, err
	}
	var all []account.Account
	for subject := range info.State.Subjects {
		a, _, err := st.accounts.Inspect(ctx, st.project.ID, ident.UserID(subject[strings.LastIndexByte(subject, '.')+1:]))
		if err != nil && fault.As(err).Status != http.StatusBadRequest {
			return nil, err
		}
		if err == nil {
			all = append(all, a)
		}
	}
	return all, nil
}

// everyone returns them as they are now.
func (st *stack) everyone(tb testing.TB) []account.Account {
	tb.Helper()
	all, err := st.everyAccount(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// restart starts the installation anew after a crash and waits until what was interrupted is finished.
func (st *stack) restart(tb testing.TB) *stack {
	tb.Helper()
	again := *st
	again.Service = st.process(tb, &crash{left: -1})
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

// everyCrash calls try for every write that a call makes: with a crash before the write, and with one after it. It ends when the call is done before the crash.
func everyCrash(t *testing.T, try func(t *testing.T, c *crash)) {
	t.Helper()
	const bound = 60
	for _, late := range []bool{false, true} {
		for n := 0; ; n++ {
			c := &crash{left: n, late: late}
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

func (st *stack) createIdentifier(tb testing.TB, svc service.Directory, user ident.UserID, kind account.IdentifierType, value string) (rest.Identifier, error) {
	tb.Helper()
	return svc.CreateIdentifier(tb.Context(), service.ForUser[rest.IdentifierCreateReq]{Project: st.project.ID, User: user, Body: rest.IdentifierCreateReq{
		IdentifierType: rest.IdentifierType(kind), IdentifierValue: value, Status: rest.IdentifierStatusPrimary,
	}})
}

// wantTold checks that each change of an account is in the log exactly once, and that no account has anything left to tell.
func (st *stack) wantTold(t *testing.T, user ident.UserID, want ...event.Type) {
	t.Helper()
	told := st.events.told(user)
	types := make([]event.Type, len(told))
	for i, e := range told {
		types[i] = e.Type
	}
	if fmt.Sprint(types) != fmt.Sprint(want) {
		t.Errorf("told %v, want %v", types, want)
	}
	for _, a := range st.everyone(t) {
		if a.Unfinished() {
			t.Errorf("unfinished: %+v", a)
		}
	}
}

const email = "ada@example.com"

func TestNoCrashLeavesHalfAnIdentifier(t *testing.T) {
	t.Parallel()
	everyCrash(t, func(t *testing.T, c *crash) {
		st := newStack(t)
		ada, bob := st.user(t), st.user(t)
		_, err := st.createIdentifier(t, st.process(t, c), ada, account.IdentifierTypeEmail, email)
		st.clock.advance(time.Minute)
		again := st.restart(t)
		a := st.get(t, ada)
		if err == nil && len(a.Identifiers) != 1 {
			t.Fatalf("acknowledged and lost: %+v", a)
		}
		if len(a.Identifiers) == 0 {
			st.wantTold(t, ada, event.UserCreated)
			if _, err := again.createIdentifier(t, again, bob, account.IdentifierTypeEmail, email); err != nil {
				t.Errorf("nobody has the address, and it is not free: %v", err)
			}
			return
		}
		st.wantTold(t, ada, event.UserCreated, event.UserUpdated)
		_, err = again.createIdentifier(t, again, bob, account.IdentifierTypeEmail, email)
		wantField(t, err, 409, "identifierValue", "already exists")
	})
}

func TestAnInterruptedCallerMayTryAgainAtOnce(t *testing.T) {
	t.Parallel()
	everyCrash(t, func(t *testing.T, c *crash) {
		st := newStack(t)
		ada := st.user(t)
		_, _ = st.createIdentifier(t, st.process(t, c), ada, account.IdentifierTypeEmail, email)
		again := st.restart(t)
		before := len(st.get(t, ada).Identifiers)
		_, err := again.createIdentifier(t, again, ada, account.IdentifierTypeEmail, email)
		if before == 0 && err != nil {
			t.Errorf("got %v", err)
		}
		if before == 1 {
			wantField(t, err, 409, "identifierValue", "already exists")
		}
	})
}

func TestNoCrashLeavesHalfADeletedIdentifier(t *testing.T) {
	t.Parallel()
	everyCrash(t, func(t *testing.T, c *crash) {
		st := newStack(t)
		ada, bob := st.user(t), st.user(t)
		created, err := st.createIdentifier(t, st, ada, account.IdentifierTypeEmail, email)
		if err != nil {
			t.Fatal(err)
		}
		named := service.ForUser[ident.IdentifierID]{Project: st.project.ID, User: ada, Body: ident.IdentifierID(created.IdentifierID)}
		_, err = st.process(t, c).DeleteIdentifier(t.Context(), named)
		if err != nil {
			st.clock.advance(time.Minute)
		}
		again := st.restart(t)
		a := st.get(t, ada)
		if err == nil && len(a.Identifiers) != 0 {
			t.Fatalf("acknowledged and still there: %+v", a)
		}
		_, claimed := again.createIdentifier(t, again, bob, account.IdentifierTypeEmail, email)
		if len(a.Identifiers) == 0 {
			st.wantTold(t, ada, event.UserCreated, event.UserUpdated, event.UserUpdated)
			if claimed != nil {
				t.Errorf("nobody has the address, and it is not free: %v", claimed)
			}
			return
		}
		st.wantTold(t, ada, event.UserCreated, event.UserUpdated)
		wantField(t, claimed, 409, "identifierValue", "already exists")
		if _, err := again.DeleteIdentifier(t.Context(), named); err != nil {
			t.Errorf("the deletion cannot be repeated: %v", err)
		}
	})
}

func TestNoCrashLeavesHalfAUser(t *testing.T) {
	t.Parallel()
	body := rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: ptr("ada")}
	everyCrash(t, func(t *testing.T, c *crash) {
		st := newStack(t)
		created, err := st.process(t, c).CreateUser(t.Context(), service.ForProject[rest.UserCreateReq]{Project: st.project.ID, Body: body})
		st.clock.advance(time.Minute)
		again := st.restart(t)
		all := st.everyone(t)
		if err == nil && (len(all) != 1 || string(all[0].ID) != created.UserID) {
			t.Fatalf("acknowledged and lost: %+v", all)
		}
		_, second := again.createUser(t, body)
		if len(all) == 0 {
			if second != nil {
				t.Errorf("nobody has the handle, and it is not free: %v", second)
			}
			return
		}
		st.wantTold(t, all[0].ID, event.UserCreated)
		wantField(t, second, 409, "explicitWebauthnID", "is another user's already")
	})
}

// populated makes a user of whom there is something in every place.
func (st *stack) populated(t *testing.T) (user ident.UserID, d *device) {
	t.Helper()
	created, err := st.createUser(t, rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: ptr("ada"), FullName: ptr("Ada")})
	if err != nil {
		t.Fatal(err)
	}
	user, d = ident.UserID(created.UserID), phone()
	st.enroll(t, user, d)
	gone := st.enroll(t, user, phone())
	if _, err := st.DeleteCredential(t.Context(), service.ForUser[ident.CredentialID]{Project: st.project.ID, User: user, Body: ident.CredentialID(gone.ID)}); err != nil {
		t.Fatal(err)
	}
	st.loginStart(t, user, d)
	if _, err := st.createIdentifier(t, st, user, account.IdentifierTypeEmail, email); err != nil {
		t.Fatal(err)
	}
	if _, err := st.createSocialAccount(t, st, user, "4711"); err != nil {
		t.Fatal(err)
	}
	if _, err := st.createCode(t, user, codeTo(rest.ChallengeTypeEmailOtp, email)); err != nil {
		t.Fatal(err)
	}
	if _, err := st.CreateLongSession(t.Context(), service.ForUser[rest.LongSessionCreateReq]{Project: st.project.ID, User: user, Body: rest.LongSessionCreateReq{
		AppType: rest.AppTypeWeb, IdentifierValue: email,
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := st.CreateConnectToken(t.Context(), service.ForProject[rest.ConnectTokenCreateReq]{Project: st.project.ID, Body: rest.ConnectTokenCreateReq{
		Type: rest.ConnectTokenTypePasskeyList, Data: rest.ConnectTokenData{Identifier: "Ada@Example.com"},
	}}); err != nil {
		t.Fatal(err)
	}
	return user, d
}

// wantErased checks that of the user nothing is left but one event, and that everything that was the user's can be another's.
func (st *stack) wantErased(t *testing.T, user ident.UserID) {
	t.Helper()
	st.wantNoTrace(t, user)
	left := st.events.everything()
	for _, e := range left {
		if e.User == user && e.Type != event.UserDeleted {
			t.Errorf("left in the log: %+v", e)
		}
	}
	st.wantTold(t, user, event.UserDeleted)
	named := service.ForUser[service.Empty]{Project: st.project.ID, User: user}
	_, err := st.GetUser(t.Context(), named)
	wantField(t, err, 400, "userID", "does not exist")
	_, err = st.DeleteUser(t.Context(), named)
	wantField(t, err, 400, "userID", "does not exist")

	other, err := st.createUser(t, rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: ptr("ada")})
	if err != nil {
		t.Fatalf("the handle is not free: %v", err)
	}
	if _, err := st.createIdentifier(t, st, ident.UserID(other.UserID), account.IdentifierTypeEmail, email); err != nil {
		t.Errorf("the address is not free: %v", err)
	}
	if _, err := st.createSocialAccount(t, st, ident.UserID(other.UserID), "4711"); err != nil {
		t.Errorf("the social account is not free: %v", err)
	}
}

func TestNoCrashLeavesHalfADeletedUser(t *testing.T) {
	t.Parallel()
	for name, resume := range map[string]func(t *testing.T, st *stack, user ident.UserID) *stack{
		"finished in the background": func(t *testing.T, st *stack, _ ident.UserID) *stack {
			st.clock.advance(time.Minute)
			return st.restart(t)
		},
		"asked for again": func(t *testing.T, st *stack, user ident.UserID) *stack {
			again := *st
			again.Service = st.process(t, &crash{left: -1})
			named := service.ForUser[service.Empty]{Project: st.project.ID, User: user}
			if _, err := again.DeleteUser(t.Context(), named); err != nil {
				if len(st.everyone(t)) == 1 { // the other user alone: only the answer was lost
					wantField(t, err, 400, "userID", "does not exist")
					return &again
				}
				wantUnderWay(t, err)
				st.clock.advance(time.Minute)
				if _, err := again.DeleteUser(t.Context(), named); err != nil {
					t.Fatal(err)
				}
			}
			return &again
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyCrash(t, func(t *testing.T, c *crash) {
				st := newStack(t)
				user, d := st.populated(t)
				bystander := st.user(t)
				st.enroll(t, bystander, phone())
				named := service.ForUser[service.Empty]{Project: st.project.ID, User: user}

				_, err := st.process(t, c).DeleteUser(t.Context(), named)
				_, reading := st.GetUser(t.Context(), named)
				switch {
				case err == nil:
					st.wantErased(t, user)
				case reading == nil:
					// Not begun: the user is as before.
					data, err := st.loginFinish(t, user, d, d.get(t, st.loginStart(t, user, d).AssertionOptions))
					if err != nil || data.UserID != string(user) {
						t.Errorf("a user whose deletion did not begin cannot log in: %v", err)
					}
				default:
					wantStatus(t, err, 503)
					wantField(t, reading, 400, "userID", "does not exist")
					resume(t, st, user).wantErased(t, user)
				}
				if a := st.get(t, bystander); len(a.Credentials) != 1 || len(st.events.told(bystander)) != 1 {
					t.Errorf("another user lost something: %+v", a)
				}
			})
		})
	}
}

func wantUnderWay(t *testing.T, err error) {
	t.Helper()
	wantStatus(t, err, 503)
	if !strings.Contains(err.Error(), "goes on by itself") {
		t.Errorf("got %v", err)
	}
}

func TestAnErasureThatIsResumedTakesNothingFromWhoHasTheNamesNow(t *testing.T) {
	t.Parallel()
	// The crash comes after the indexes have been cleared, when all names are free; another user takes them before the erasure is resumed.
	for n := 0; ; n++ {
		st := newStack(t)
		user, _ := st.populated(t)
		c := &crash{left: n}
		if _, err := st.process(t, c).DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: user}); err == nil {
			break
		}
		second, err := st.createUser(t, rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: ptr("ada")})
		if err != nil {
			continue
		}
		other := ident.UserID(second.UserID)
		_, err = st.createIdentifier(t, st, other, account.IdentifierTypeEmail, email)
		took := err == nil
		st.clock.advance(time.Minute)
		again := st.restart(t)
		_, err = again.createUser(t, rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: ptr("ada")})
		wantField(t, err, 409, "explicitWebauthnID", "is another user's already")
		if took {
			_, err = again.createIdentifier(t, again, st.user(t), account.IdentifierTypeEmail, email)
			wantField(t, err, 409, "identifierValue", "already exists")
		}
	}
}

func TestADeletionIsDoneOnceHoweverManyAskForIt(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, _ := st.populated(t)
	processes := []*ceremony.Service{st.process(t, &crash{left: -1}), st.process(t, &crash{left: -1})}
	var wait sync.WaitGroup
	results := make([]error, 20)
	for i := range results {
		wait.Go(func() {
			_, results[i] = processes[i%2].DeleteUser(context.Background(), service.ForUser[service.Empty]{Project: st.project.ID, User: user})
		})
	}
	wait.Wait()
	done := 0
	for _, err := range results {
		switch {
		case err == nil:
			done++
		case statusOf(err) == 503:
			wantUnderWay(t, err)
		default:
			wantField(t, err, 400, "userID", "does not exist")
		}
	}
	if done == 0 {
		t.Errorf("nobody was told that the user is gone: %v", errors.Join(results...))
	}
	st.wantErased(t, user)
}

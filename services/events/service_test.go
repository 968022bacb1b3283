package events_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/historycache"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/redistest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/events"
)

func TestMain(m *testing.M) {
	// After it could not reach a server, the client looks for it once a second and only then sees that it has been closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

const project = ident.ProjectID("pro-1")

// world is the service over an embedded NATS and cache, with a clock that moves a second at each look.
type world struct {
	*events.Service
	t     *testing.T
	bus   *bus.Bus
	cache *cache.Cache
	store *eventlog.Store

	mu  sync.Mutex
	now time.Time
}

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func begin(t *testing.T) *world {
	t.Helper()
	return beginSweeping(t, events.DefaultSweepAfter)
}

func beginSweeping(t *testing.T, after time.Duration) *world {
	t.Helper()
	w := &world{t: t, now: start}
	config := bus.DefaultConfig()
	config.DataDir = t.TempDir()
	var err error
	if w.bus, err = bus.Open(t.Context(), config, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.bus.Close)
	redis := cache.DefaultConfig()
	redis.URL = redistest.Double(t)
	if w.cache, err = cache.Open(redis); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.cache.Close() })
	epochs, err := w.bus.Bucket(t.Context(), bus.EpochsBucket)
	if err != nil {
		t.Fatal(err)
	}
	w.store, err = eventlog.Open(t.Context(), eventlog.Deps{
		JetStream: w.bus.JS,
		Epochs:    epochs,
		Redis:     w.cache.Client,
		Metrics:   prometheus.NewRegistry(),
		Clock:     time.Now,
		Log:       slog.New(slog.DiscardHandler),
	}, historycache.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	kv, err := w.bus.Bucket(t.Context(), bus.AccountsBucket)
	if err != nil {
		t.Fatal(err)
	}
	accounts := account.NewStore(kv).With(w.store)
	for _, user := range []ident.UserID{"usr-1", "usr-2"} {
		if err := accounts.Create(t.Context(), account.Account{Project: project, ID: user}); err != nil {
			t.Fatal(err)
		}
	}
	if w.Service, err = events.New(events.Deps{
		Accounts: accounts, Store: w.store, JetStream: w.bus.JS, Clock: w.tick, Log: slog.New(slog.DiscardHandler), SweepAfter: after,
		Metrics: prometheus.NewRegistry(), Unproven: events.DefaultUnproven(),
	}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	running.Go(func() { w.store.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return w
}

func (w *world) tick() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(time.Second)
	return w.now
}

func (w *world) create(body rest.PasskeyEventCreateReq) rest.PasskeyEvent {
	w.t.Helper()
	created, err := w.Create(w.t.Context(), service.ForUser[rest.PasskeyEventCreateReq]{Project: project, User: "usr-1", Body: body})
	if err != nil {
		w.t.Fatal(err)
	}
	return created
}

func (w *world) append(e event.Event) event.Event {
	w.t.Helper()
	e.Project, e.User = project, "usr-1"
	if e.ID == "" {
		e.ID = ident.NewEventID()
	}
	if e.CreatedMs == 0 {
		e.CreatedMs = w.tick().UnixMilli()
	}
	if _, err := w.Append(w.t.Context(), e); err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) list(list service.EventList) rest.PasskeyEventList {
	w.t.Helper()
	answer, err := w.List(w.t.Context(), service.ForUser[service.EventList]{Project: project, User: "usr-1", Body: list})
	if err != nil {
		w.t.Fatal(err)
	}
	return answer
}

func (w *world) stored(id string) event.Event {
	w.t.Helper()
	all, err := w.store.Events(w.t.Context(), project, "usr-1")
	if err != nil {
		w.t.Fatal(err)
	}
	e, found := event.NewSet(all).Find(ident.EventID(id))
	if !found {
		w.t.Fatalf("%s is not stored", id)
	}
	return e
}

func types(list rest.PasskeyEventList) []string {
	out := []string{}
	for _, e := range list.PasskeyEvents {
		out = append(out, e.EventType)
	}
	return out
}

func wantField(t *testing.T, err error, field string) {
	t.Helper()
	var f *fault.Fault
	if !errors.As(err, &f) || f.Status != 400 || len(f.Validation) != 1 || f.Validation[0].Field != field {
		t.Errorf("want a 400 that names %s, got %v", field, err)
	}
}

func TestCreateAnswersWhatWasStored(t *testing.T) {
	t.Parallel()
	w := begin(t)
	got := w.create(rest.PasskeyEventCreateReq{
		EventType:    rest.PasskeyEventTypeLoginError,
		Expires:      new(int64(1_800_000_000)),
		ProcessID:    new("p1"),
		ClientEnvID:  new("env-1"),
		CredentialID: new("cre-1"),
		Challenge:    new("ab+/="),
	})
	want := rest.PasskeyEvent{
		PasskeyEventID: got.PasskeyEventID,
		UserID:         "usr-1",
		EventType:      "login-error",
		Created:        "2026-11-22T12:00:01",
		CreatedMs:      start.Add(time.Second).UnixMilli(),
		Expires:        new(int64(1_800_000_000)),
		ProcessID:      new("p1"),
		ClientEnvID:    new("env-1"),
		CredentialID:   new("cre-1"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := ident.ParseEventID(got.PasskeyEventID); err != nil {
		t.Error(err)
	}
	if e := w.stored(got.PasskeyEventID); e.Challenge != "ab-_" {
		t.Errorf("challenge %q, want base64url without padding", e.Challenge)
	}
	bare := w.create(rest.PasskeyEventCreateReq{EventType: rest.PasskeyEventTypeLocalUnlock})
	if bare.ProcessID != nil || bare.ClientEnvID != nil || bare.CredentialID != nil || bare.Expires != nil {
		t.Errorf("what was not sent is not answered: %+v", bare)
	}
}

func TestAnEventSaysThatItIsTheWordOfAClientWithoutAProof(t *testing.T) {
	t.Parallel()
	w := begin(t)
	got := w.create(rest.PasskeyEventCreateReq{EventType: rest.PasskeyEventTypeLoginError, Proven: new(false)})
	if e := w.stored(got.PasskeyEventID); !e.Unproven() || got.Proven == nil || *got.Proven {
		t.Errorf("stored %+v, answered %+v", e, got)
	}
	vouched := w.create(rest.PasskeyEventCreateReq{EventType: rest.PasskeyEventTypeLoginError, Proven: new(true)})
	if e := w.stored(vouched.PasskeyEventID); e.Proven != nil || vouched.Proven != nil {
		t.Errorf("stored %+v, answered %+v", e, vouched)
	}
}

func TestEveryTypeOfTheWireIsAccepted(t *testing.T) {
	t.Parallel()
	w := begin(t)
	names := slices.DeleteFunc(event.Types(), func(kind event.Type) bool { return !kind.OnWire() })
	for _, name := range names {
		w.create(rest.PasskeyEventCreateReq{EventType: rest.PasskeyEventType(name)})
	}
	if got := w.list(service.EventList{List: service.List{PageSize: 100}}).Paging.TotalItems; int(got) != len(names) {
		t.Errorf("%d events listed of %d", got, len(names))
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	w := begin(t)
	for _, c := range []struct {
		name  string
		user  ident.UserID
		body  rest.PasskeyEventCreateReq
		field string
	}{
		{"an unknown type", "usr-1", rest.PasskeyEventCreateReq{EventType: "login-mystery"}, "eventType"},
		{"a type of the engine's own", "usr-1", rest.PasskeyEventCreateReq{EventType: "login-completed"}, "eventType"},
		{"a deletion", "usr-1", rest.PasskeyEventCreateReq{EventType: "event-deleted"}, "eventType"},
		{"an end before time began", "usr-1", rest.PasskeyEventCreateReq{EventType: "login-error", Expires: new(int64(0))}, "expires"},
		{
			"a duration for an end", "usr-1",
			rest.PasskeyEventCreateReq{EventType: "user-login-blacklisted", Expires: new(int64(3600))}, "expires",
		},
		{"an end in the past", "usr-1", rest.PasskeyEventCreateReq{EventType: "login-error", Expires: new(start.UnixMilli())}, "expires"},
		{
			"what bars a user without a proof", "usr-1",
			rest.PasskeyEventCreateReq{EventType: "user-login-blacklisted", Proven: new(false)}, "proven",
		},
		{"a creation without a proof", "usr-1", rest.PasskeyEventCreateReq{EventType: "append-error", Proven: new(false)}, "proven"},
		{"an unknown user", "usr-404", rest.PasskeyEventCreateReq{EventType: "login-error"}, "userID"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := w.Create(t.Context(), service.ForUser[rest.PasskeyEventCreateReq]{Project: project, User: c.user, Body: c.body})
			wantField(t, err, c.field)
		})
	}
	t.Run("a user of another project", func(t *testing.T) {
		t.Parallel()
		_, err := w.Create(
			t.Context(),
			service.ForUser[rest.PasskeyEventCreateReq]{Project: "pro-2", User: "usr-1", Body: rest.PasskeyEventCreateReq{EventType: "login-error"}},
		)
		wantField(t, err, "userID")
	})
}

func TestAnEnvironmentThatIsNoneOfTheUsersIsRefused(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.append(event.Event{Type: event.LoginOffered, Ceremony: "was-1", Process: "p1", Environment: "env-1"})
	w.append(event.Event{Type: event.AppendOffered, Ceremony: "was-2", Process: "p2", Environment: "env-2"})
	for name, c := range map[string]struct {
		kind                 rest.PasskeyEventType
		environment, process string
		taken                bool
	}{
		"a login was offered there":                           {rest.PasskeyEventTypeUserLoginBlacklisted, "env-1", "", true},
		"a passkey was offered there":                         {rest.PasskeyEventTypeUserLoginBlacklisted, "env-2", "", true},
		"nobody has it":                                       {rest.PasskeyEventTypeUserLoginBlacklisted, "env-3", "", false},
		"nobody has it, in a process":                         {rest.PasskeyEventTypeUserLoginBlacklisted, "env-3", "p3", false},
		"it is a handle":                                      {rest.PasskeyEventTypeUserLoginBlacklisted, "1.abc.def", "", false},
		"nobody has it, of what clients tell":                 {rest.PasskeyEventTypeLoginError, "env-3", "", false},
		"a process that is elsewhere names it":                {rest.PasskeyEventTypeLoginError, "env-3", "p1", false},
		"a process that begins there is the first to know it": {rest.PasskeyEventTypeLoginError, "env-4", "p4", true},
		"none is named":                                       {rest.PasskeyEventTypeUserLoginBlacklisted, "", "", true},
	} {
		req := rest.PasskeyEventCreateReq{EventType: c.kind}
		if c.environment != "" {
			req.ClientEnvID = &c.environment
		}
		if c.process != "" {
			req.ProcessID = &c.process
		}
		_, err := w.Create(t.Context(), service.ForUser[rest.PasskeyEventCreateReq]{Project: project, User: "usr-1", Body: req})
		f := fault.As(err)
		if c.taken && err != nil || !c.taken && (err == nil || len(f.Validation) != 1 || f.Validation[0].Field != "clientEnvID") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAnEventIsJoinedToItsOfferWhenItIsCreated(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.append(event.Event{Type: event.LoginOffered, Route: event.CDA, Ceremony: "was-1", Challenge: "Y2hhbGxlbmdl", Process: "p1"})
	w.append(event.Event{Type: event.AppendOffered, Kind: event.KindAuto, Ceremony: "was-2", Process: "p1", Environment: "env-1"})
	failed := w.stored(
		w.create(rest.PasskeyEventCreateReq{EventType: rest.PasskeyEventTypeLoginError, Challenge: new("Y2hhbGxlbmdl")}).PasskeyEventID,
	)
	if failed.Ceremony != "was-1" || failed.Route != event.CDA {
		t.Errorf("login event joined to %q over %q", failed.Ceremony, failed.Route)
	}
	declined := w.stored(
		w.create(rest.PasskeyEventCreateReq{EventType: rest.PasskeyEventTypeAppendExplicitAbort, ClientEnvID: new("env-1")}).PasskeyEventID,
	)
	if declined.Ceremony != "was-2" || declined.Kind != event.KindAuto {
		t.Errorf("append event joined to %q of kind %q", declined.Ceremony, declined.Kind)
	}
	alone := w.stored(
		w.create(rest.PasskeyEventCreateReq{EventType: rest.PasskeyEventTypeAppendError, ClientEnvID: new("env-1")}).PasskeyEventID,
	)
	if alone.Ceremony != "" || alone.Kind != event.KindDefault {
		t.Errorf("an offer was answered twice: %q of kind %q", alone.Ceremony, alone.Kind)
	}
}

func TestListSortsFiltersAndPages(t *testing.T) {
	t.Parallel()
	w := begin(t)
	for _, name := range []rest.PasskeyEventType{"login-error", "append-error", "login-error", "local-unlock"} {
		w.create(rest.PasskeyEventCreateReq{EventType: name})
	}
	w.append(event.Event{Type: event.LoginOffered, Ceremony: "was-1", Route: event.Local})
	w.append(event.Event{Type: event.LoginCompleted, Ceremony: "was-1", Route: event.Local, Credential: "cre-1"})
	for _, c := range []struct {
		name string
		list service.EventList
		want []string
	}{
		{"newest first, without the engine's", service.EventList{}, []string{"local-unlock", "login-error", "append-error", "login-error"}},
		{
			"oldest first", service.EventList{List: service.List{Sort: "created:asc"}},
			[]string{"login-error", "append-error", "login-error", "local-unlock"},
		},
		{
			"by type", service.EventList{List: service.List{Sort: "eventType:asc"}},
			[]string{"append-error", "local-unlock", "login-error", "login-error"},
		},
		{
			"of one type", service.EventList{List: service.List{Filter: []string{"eventType:eq:login-error"}}},
			[]string{"login-error", "login-error"},
		},
		{"the second page", service.EventList{List: service.List{Page: 2, PageSize: 3}}, []string{"login-error"}},
		{"a page beyond", service.EventList{List: service.List{Page: 9}}, []string{}},
		{
			"with the engine's", service.EventList{IncludeEngine: true},
			[]string{"login-completed", "login-offered", "local-unlock", "login-error", "append-error", "login-error"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, types(w.list(c.list))); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, c := range []struct {
		name  string
		user  ident.UserID
		list  service.List
		field string
	}{
		{"sorted by what cannot be", "usr-1", service.List{Sort: "processID:asc"}, "processID"},
		{"filtered by what cannot be", "usr-1", service.List{Filter: []string{"created:gt:2026-01-01T00:00:00"}}, "filter[]"},
		{"of an unknown user", "usr-404", service.List{}, "userID"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := w.List(t.Context(), service.ForUser[service.EventList]{Project: project, User: c.user, Body: service.EventList{List: c.list}})
			wantField(t, err, c.field)
		})
	}
	if got := w.list(service.EventList{List: service.List{PageSize: 3}}).Paging; got != (rest.Paging{Page: 1, TotalPages: 2, TotalItems: 4}) {
		t.Errorf("paging %+v", got)
	}
}

func TestADeletedEventIsGoneAtOnce(t *testing.T) {
	t.Parallel()
	w := begin(t)
	first := w.create(rest.PasskeyEventCreateReq{EventType: "login-error"})
	w.create(rest.PasskeyEventCreateReq{EventType: "local-unlock"})
	remove := func(user ident.UserID, id string) error {
		_, err := w.Delete(t.Context(), service.ForUser[ident.EventID]{Project: project, User: user, Body: ident.EventID(id)})
		return err
	}
	wantField(t, remove("usr-2", first.PasskeyEventID), "passkeyEventID")
	wantField(t, remove("usr-404", first.PasskeyEventID), "userID")
	if err := remove("usr-1", first.PasskeyEventID); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"local-unlock"}, types(w.list(service.EventList{IncludeEngine: true}))); diff != "" {
		t.Error(diff)
	}
	wantField(t, remove("usr-1", first.PasskeyEventID), "passkeyEventID")
	if err := w.cache.Client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"local-unlock"}, types(w.list(service.EventList{}))); diff != "" {
		t.Error(diff)
	}
	own := w.append(event.Event{Type: event.LoginCompleted, Ceremony: "was-1"})
	wantField(t, remove("usr-1", string(own.ID)), "passkeyEventID")
}

func TestAppendIsIdempotentByID(t *testing.T) {
	t.Parallel()
	w := begin(t)
	first := w.append(event.Event{Type: event.LoginCompleted, Ceremony: "was-1", Credential: "cre-1", Route: event.Local})
	again := first
	again.Credential = "cre-2"
	w.append(again)
	if err := w.cache.Client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	w.append(again)
	all, err := w.store.Events(t.Context(), project, "usr-1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]event.Event{first}, all); diff != "" {
		t.Error(diff)
	}
	stream, err := w.bus.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State.Msgs; got != 1 {
		t.Errorf("%d messages in the log", got)
	}
	if _, err := w.Append(
		t.Context(), event.Event{ID: "pke-1", Project: project, User: "usr-1", Type: event.Deleted, Deletes: first.ID},
	); err == nil {
		t.Error("a deletion was appended past Delete")
	}
}

func TestALoginIsConcludedOnceAndByWhoKnowsAll(t *testing.T) {
	t.Parallel()
	w := begin(t)
	e := event.Event{
		ID: ident.NewEventID(), Project: project, User: "usr-1", Type: event.LoginCompleted, Ceremony: "was-1", Credential: "cre-1", CreatedMs: 1,
	}
	for _, step := range []struct {
		name string
		c    service.Conclusion
		want service.Concluded
	}{
		{"the first", service.Conclusion{Event: e, Attempt: "a"}, service.Concluded{Sequence: 1}},
		{"the same again", service.Conclusion{Event: e, Attempt: "a"}, service.Concluded{Sequence: 1}},
		{"another of the same ceremony", service.Conclusion{Event: e, Attempt: "b"}, service.Concluded{Ended: true}},
		{"one who does not know of it", service.Conclusion{Event: func() event.Event {
			other := e
			other.ID, other.Ceremony = ident.NewEventID(), "was-2"
			return other
		}(), Attempt: "c"}, service.Concluded{Moved: true}},
	} {
		if got, err := w.Conclude(t.Context(), step.c); err != nil || got != step.want {
			t.Errorf("%s: %+v, %v", step.name, got, err)
		}
	}
	e.Type = event.LoginError
	_, err := w.Conclude(t.Context(), service.Conclusion{Event: e, After: 1, Attempt: "d"})
	wantField(t, err, "type")
}

func TestEraseLeavesNothingToList(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.create(rest.PasskeyEventCreateReq{EventType: "login-error"})
	w.append(event.Event{Type: event.LoginOffered, Ceremony: "was-1"})
	if _, err := w.Erase(t.Context(), service.ForUser[service.Empty]{Project: project, User: "usr-1"}); err != nil {
		t.Fatal(err)
	}
	if got := w.list(service.EventList{IncludeEngine: true}); len(got.PasskeyEvents) != 0 || got.Paging.TotalItems != 0 {
		t.Errorf("left: %+v", got)
	}
}

func TestNothingIsAcknowledgedWhenNATSIsGone(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.create(rest.PasskeyEventCreateReq{EventType: "login-error"})
	w.bus.Close()
	for name, call := range map[string]func() error{
		"create": func() error {
			_, err := w.Create(
				t.Context(),
				service.ForUser[rest.PasskeyEventCreateReq]{
					Project: project, User: "usr-1", Body: rest.PasskeyEventCreateReq{EventType: "login-error"},
				},
			)
			return err
		},
		"append": func() error {
			_, err := w.Append(
				t.Context(),
				event.Event{ID: ident.NewEventID(), Project: project, User: "usr-1", Type: event.LoginCompleted, CreatedMs: 1, Ceremony: "was-1"},
			)
			return err
		},
		"offer": func() error {
			_, err := w.Append(
				t.Context(),
				event.Event{ID: ident.NewEventID(), Project: project, User: "usr-1", Type: event.LoginOffered, CreatedMs: 1},
			)
			return err
		},
		"erase": func() error {
			_, err := w.Erase(t.Context(), service.ForUser[service.Empty]{Project: project, User: "usr-1"})
			return err
		},
	} {
		var f *fault.Fault
		if err := call(); !errors.As(err, &f) || f.Status != 503 || f.RetryAfter <= 0 {
			t.Errorf("%s: want 503 with Retry-After, got %v", name, err)
		}
	}
}

func TestReadYourWritesWithTheCacheGone(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.create(rest.PasskeyEventCreateReq{EventType: "login-error"})
	if err := w.cache.Close(); err != nil {
		t.Fatal(err)
	}
	w.create(rest.PasskeyEventCreateReq{EventType: "local-unlock"})
	if diff := cmp.Diff([]string{"local-unlock", "login-error"}, types(w.list(service.EventList{}))); diff != "" {
		t.Error(diff)
	}
}

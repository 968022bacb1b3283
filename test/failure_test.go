package test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/bus"
)

func TestARedisThatHangsSlowsNobodyDownForLong(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second // more than a write has time for in all
	const wait = 8 * time.Second     // less than a call waits, and so long that one which is only slow does not look like one that waited
	st := shape{redis: true}.start(t, func(cfg *settings.Config) { cfg.Redis.Timeout = timeout })
	ada := st.newPerson(t)
	ada.createPasskey(t)
	barAndLift(t, ada, "with Redis")
	if err := st.redis.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	barAndLift(t, ada, "while Redis hangs")
	const calls = 20
	var waited atomic.Int32
	var all sync.WaitGroup
	for range calls {
		body := ada.loginStartBody(ada.nextProcess())
		all.Go(func() {
			began := time.Now()
			if a, err := ada.do("POST", "/v2/passkey/login/start", body); err != nil || a.status != http.StatusOK {
				t.Errorf("%d %s, %v", a.status, a.body, err)
			}
			if time.Since(began) >= wait {
				waited.Add(1)
			}
		})
	}
	all.Wait()
	// Each call alone would wait for the cache's time limit; the circuit breaker spares most of them that.
	if waited.Load() > calls/2 {
		t.Errorf("%d of %d logins waited for Redis while it hung", waited.Load(), calls)
	}
	event := ada.postEvent(t, map[string]any{"eventType": "user-login-blacklisted"})
	if err := st.redis.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := ada.loginStart(t, ada.nextProcess()); got.DecisionTag != rest.DecisionTagUserLoginBlacklisted {
		t.Errorf("after Redis went on, the event is forgotten: %s", got.DecisionTag)
	}
	as[rest.GenericRsp](t, ada.call(t, "DELETE", "/v2/users/"+ada.id+"/passkeyEvents/"+event.PasskeyEventID, nil))
	barAndLift(t, ada, "after Redis went on")
}

func TestWithoutNATSNothingIsAcknowledgedAndAfterItsReturnNothingIsLost(t *testing.T) {
	t.Parallel()
	external := bus.DefaultConfig()
	external.DataDir, external.Addr, external.PingInterval = t.TempDir(), "127.0.0.1:0", patientPing
	nats := openBus(t, external)
	external.Addr = nats.ListenAddr()
	address, err := bus.ServerURL(external.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	st := shape{redis: true}.start(t, func(cfg *settings.Config) {
		cfg.NATS.URL = settings.Secret(address)
		cfg.HTTP.RequestTimeout = shortLimit()
	})
	ada := st.newPerson(t)
	ada.createPasskey(t)
	login := ada.loginFinishBody(t, "signed before", ada.loginStart(t, "signed before").AssertionOptions)
	bea := st.newPerson(t)
	made := bea.appendStart(t, "made before").AttestationOptions
	kept := ada.postEvent(t, map[string]any{"eventType": "user-login-blacklisted"})

	nats.Close()
	refused := map[string]answer{
		"create a user":    ada.call(t, "POST", "/v2/users", map[string]any{"status": "active"}),
		"create an event":  ada.call(t, "POST", "/v2/users/"+ada.id+"/passkeyEvents", map[string]any{"eventType": "local-unlock"}),
		"list events":      ada.call(t, "GET", "/v2/users/"+ada.id+"/passkeyEvents", nil),
		"delete the user":  ada.call(t, "DELETE", "/v2/users/"+ada.id, nil),
		"delete the event": ada.call(t, "DELETE", "/v2/users/"+ada.id+"/passkeyEvents/"+kept.PasskeyEventID, nil),
		// Both are judged, and a verdict whose event cannot be stored is not given.
		"finish a login":   ada.call(t, "POST", "/v2/passkey/login/finish", login),
		"finish a passkey": bea.appendFinish(t, "made before", made),
	}
	for what, a := range refused {
		e := a.fault(t, http.StatusServiceUnavailable)
		if e.Error.Type != rest.ErrorTypeUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: type %s, Retry-After %q", what, e.Error.Type, a.header.Get("Retry-After"))
		}
		if told := risk(a); told != "" {
			t.Errorf("%s: judged %s", what, told)
		}
	}
	// A start stores nothing that could be lost: it answers with the safe default, so that the login page falls back to what else it has.
	if got := ada.loginStart(t, "p"); got.LoginAllow || got.DecisionTag != rest.DecisionTagDefaultDeny {
		t.Errorf("login start without NATS: %+v", got)
	}
	eventually(t, "readiness does not say that NATS is away", func() bool { return st.ready(t) == http.StatusServiceUnavailable })

	openBus(t, external)
	eventually(t, "calls are not answered after NATS came back", func() bool {
		a, err := ada.do("GET", "/v2/users/"+ada.id+"/passkeyEvents", nil)
		return err == nil && a.status == http.StatusOK
	})
	page := as[rest.PasskeyEventList](t, ada.call(t, "GET", "/v2/users/"+ada.id+"/passkeyEvents", nil))
	if page.Paging.TotalItems != 1 || page.PasskeyEvents[0].PasskeyEventID != kept.PasskeyEventID {
		t.Errorf("events after NATS came back: %+v", page)
	}
	as[rest.GenericRsp](t, ada.call(t, "DELETE", "/v2/users/"+ada.id+"/passkeyEvents/"+kept.PasskeyEventID, nil))
	barAndLift(t, ada, "after NATS came back")
	eventually(t, "readiness did not return", func() bool { return st.ready(t) == http.StatusOK })
}

// shortLimit is how long a request may take where some are meant to fail.
func shortLimit() time.Duration {
	if detecting {
		return 10 * time.Second
	}
	return 2 * time.Second
}

// ready asks the gateway's process.
func (s *stack) ready(t *testing.T) int {
	t.Helper()
	rsp, err := http.Get("http://" + s.gateway.AdminAddr() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = rsp.Body.Close()
	return rsp.StatusCode
}

func openBus(t *testing.T, cfg bus.Config) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestATermSignalLetsCallsUnderWayFinish(t *testing.T) {
	t.Parallel()
	server := run(t, build(t), t.TempDir())
	results := make(chan answer)
	stop := make(chan struct{})
	for range 8 {
		go func() {
			for {
				a, err := server.do("POST", "/v2/users", map[string]any{"status": "active"})
				if err != nil {
					a = answer{}
				}
				select {
				case results <- a:
				case <-stop:
					return
				}
			}
		}()
	}
	defer close(stop)
	for range 100 {
		if a := <-results; a.status != http.StatusOK {
			t.Fatalf("before the signal: status %d", a.status)
		}
	}
	if err := server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.cmd.Wait() }()
	for {
		select {
		case a := <-results:
			// 0: the listener is closed. Whoever was let in gets a whole answer.
			if a.status != http.StatusOK && a.status != http.StatusServiceUnavailable && a.status != 0 {
				t.Errorf("after the signal: status %d: %s", a.status, a.body)
			}
		case err := <-ended:
			if err != nil {
				t.Errorf("the process ended with %v", err)
			}
			return
		case <-time.After(patience):
			t.Fatal("the process did not end")
		}
	}
}

func TestEventsUnderWayWhenNATSIsRestartedAreAnsweredWithTheTruth(t *testing.T) {
	t.Parallel()
	external := bus.DefaultConfig()
	external.DataDir, external.Addr, external.PingInterval = t.TempDir(), "127.0.0.1:0", patientPing
	nats := openBus(t, external)
	external.Addr = nats.ListenAddr()
	address, err := bus.ServerURL(external.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	limit := shortLimit()
	st := shape{redis: true}.start(t, func(cfg *settings.Config) {
		cfg.NATS.URL = settings.Secret(address)
		cfg.HTTP.RequestTimeout = limit
	})
	// Enough callers for their appends to be stored in batches.
	const callers, restarts = 48, 3
	users := make([]string, callers)
	for i := range users {
		users[i] = st.newPerson(t).id
	}
	var (
		mu           sync.Mutex
		acknowledged = map[string][]string{}
		count        int
	)
	stop := make(chan struct{})
	var calling sync.WaitGroup
	finish := sync.OnceFunc(func() { close(stop); calling.Wait() })
	t.Cleanup(finish)
	for _, user := range users {
		calling.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				began := time.Now()
				a, err := st.do("POST", "/v2/users/"+user+"/passkeyEvents", map[string]any{"eventType": "local-unlock"})
				if took := time.Since(began); took > limit+patience/2 {
					t.Errorf("an answer took %s", took)
				}
				var created rest.PasskeyEvent
				switch {
				case err != nil:
					t.Errorf("no answer: %v", err)
				case a.status == http.StatusOK && json.Unmarshal(a.body, &created) == nil:
					mu.Lock()
					acknowledged[user] = append(acknowledged[user], created.PasskeyEventID)
					count++
					mu.Unlock()
				case a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "":
					t.Errorf("status %d: %s", a.status, a.body)
				}
			}
		})
	}
	more := func(by int) {
		t.Helper()
		mu.Lock()
		enough := count + by
		mu.Unlock()
		within(t, 2*patience, "events are not acknowledged", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return count >= enough
		})
	}
	for range restarts {
		more(4 * callers)
		nats.Close()
		nats = openBus(t, external)
	}
	more(4 * callers)
	finish()
	for _, user := range users {
		page := as[rest.PasskeyEventList](t, st.call(t, "GET", "/v2/users/"+user+"/passkeyEvents?pageSize=1000&sort=created:asc", nil))
		have := map[string]int{}
		for i, e := range page.PasskeyEvents {
			have[e.PasskeyEventID] = i + 1
		}
		last := 0
		for _, id := range acknowledged[user] {
			if have[id] == 0 {
				t.Errorf("event %s of %s was acknowledged and is lost", id, user)
			} else if have[id] < last {
				t.Errorf("event %s of %s is out of order", id, user)
			}
			last = max(last, have[id])
		}
	}
	t.Logf("%d events were acknowledged over %d restarts", count, restarts)
}

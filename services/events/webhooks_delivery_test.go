package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/sdk/webhook"
)

func userOf(k int) ident.UserID { return ident.UserID(fmt.Sprintf("usr-%d", k+1)) }

// perUser returns the events in the order in which each user's were taken first.
func perUser(got []delivery) map[ident.UserID][]ident.EventID {
	order := make(map[ident.UserID][]ident.EventID)
	for _, d := range got {
		if !slices.Contains(order[d.Data.UserID], d.Data.EventID) {
			order[d.Data.UserID] = append(order[d.Data.UserID], d.Data.EventID)
		}
	}
	return order
}

// complete waits until every event was taken, and checks that each user's were in the order of the log.
func (r *receiver) complete(want map[ident.UserID][]ident.EventID) {
	r.t.Helper()
	total := 0
	for _, events := range want {
		total += len(events)
	}
	got := r.until(fmt.Sprintf("all %d events", total), func(got []delivery) bool {
		seen := make(map[ident.EventID]bool)
		for _, d := range got {
			seen[d.Data.EventID] = true
		}
		return len(seen) >= total
	})
	if diff := cmp.Diff(want, perUser(got)); diff != "" {
		r.t.Error("not in the order of the log:", diff)
	}
}

// fill appends events of several users in turns.
func (h *hooks) fill(users, each int) map[ident.UserID][]ident.EventID {
	h.t.Helper()
	want := make(map[ident.UserID][]ident.EventID)
	for range each {
		for k := range users {
			e := h.publish(userOf(k), event.LoginError)
			want[e.User] = append(want[e.User], e.ID)
		}
	}
	return want
}

func merge(a, b map[ident.UserID][]ident.EventID) map[ident.UserID][]ident.EventID {
	for user, events := range b {
		a[user] = append(a[user], events...)
	}
	return a
}

func TestADeliveryIsSignedAsStandardWebhooksVerifiesIt(t *testing.T) {
	t.Parallel()
	h := newHooks(t, quickHooks())
	d := h.start("one")
	r := receive(t, nil)
	made, err := d.CreateWebhook(
		t.Context(),
		service.ForProject[rest.WebhookEndpointCreateReq]{Project: project, Body: rest.WebhookEndpointCreateReq{
			URL: r.URL + "/hook?x=1", SubscribedEvents: []string{"user.created"},
			BasicAuthUsername: new("bob"), BasicAuthPassword: new("swordfish"), CustomHeaders: &map[string]string{"X-Tenant": "blue"},
		}},
	)
	if err != nil {
		t.Fatal(err)
	}
	second, err := d.CreateWebhookSecret(
		t.Context(), service.ForWebhook[rest.WebhookSecretCreateReq]{Project: project, Webhook: ident.WebhookID(made.ID)},
	)
	if err != nil {
		t.Fatal(err)
	}
	h.publish("usr-1", event.LoginError) // not subscribed to
	want := h.publish("usr-1", event.UserCreated)
	got := r.atLeast(1)[0]
	for _, secret := range []*string{made.Secret, second.Secret} {
		verifier, err := standardwebhooks.NewWebhook(*secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(got.body, got.header); err != nil {
			t.Errorf("not verified: %v", err)
		}
		if err := verifier.Verify(append(got.body, ' '), got.header); err == nil {
			t.Error("a changed body was verified")
		}
	}
	if got.Type != "user.created" || got.Data.EventID != want.ID || got.Data.UserID != "usr-1" {
		t.Errorf("got %s", got.body)
	}
	verifiedByClients(t, got, *made.Secret, *second.Secret)
	user, password, _ := (&http.Request{Header: got.header}).BasicAuth()
	headers := map[string]string{
		"user":        user,
		"password":    password,
		"tenant":      got.header.Get("X-Tenant"),
		"type":        got.header.Get("Content-Type"),
		"agent":       got.header.Get("User-Agent"),
		"signatures":  fmt.Sprint(len(strings.Fields(got.header.Get("Webhook-Signature")))),
		"idempotency": got.header.Get("Idempotency-Key"),
	}
	if diff := cmp.Diff(map[string]string{
		"user":        "bob",
		"password":    "swordfish",
		"tenant":      "blue",
		"type":        "application/json",
		"agent":       "Keyward",
		"signatures":  "2",
		"idempotency": "",
	}, headers); diff != "" {
		t.Error(diff)
	}
}

// verifiedByClients holds a delivery against the package that the clients' module has for it.
func verifiedByClients(t *testing.T, got delivery, secrets ...string) {
	t.Helper()
	const ago = time.Hour
	for _, secret := range secrets {
		verifier, err := webhook.New(webhook.Options{}, secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(got.header, got.body); err != nil {
			t.Errorf("not verified: %v", err)
		}
		if err := verifier.Verify(got.header, append(slices.Clone(got.body), ' ')); !errors.Is(err, webhook.ErrSignature) {
			t.Errorf("a changed body: %v", err)
		}
		late, err := webhook.New(webhook.Options{Now: func() time.Time { return time.Now().Add(ago) }}, secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := late.Verify(got.header, got.body); !errors.Is(err, webhook.ErrTime) {
			t.Errorf("an old delivery: %v", err)
		}
	}
	var told webhook.Payload
	strict := json.NewDecoder(bytes.NewReader(got.body))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&told); err != nil || told.Type != got.Type || string(told.Data.EventID) != string(got.Data.EventID) {
		t.Errorf("%+v, %v", told, err)
	}
}

func TestARotatedSecretSignsNoMoreWhenItHasExpired(t *testing.T) {
	t.Parallel()
	h := newHooks(t, quickHooks())
	d := h.start("one")
	r := receive(t, nil)
	made := d.create(r.URL)
	second, err := d.CreateWebhookSecret(t.Context(), service.ForWebhook[rest.WebhookSecretCreateReq]{
		Project: project, Webhook: ident.WebhookID(made.ID), Body: rest.WebhookSecretCreateReq{ExpireOthersInSeconds: new(int32(0))},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The change reaches who delivers in a moment; from then on one signature is left.
	var got delivery
	for k := 1; got.header == nil; k++ {
		h.publish("usr-1", event.LoginError)
		if last := r.atLeast(k)[k-1]; len(strings.Fields(last.header.Get("Webhook-Signature"))) == 1 {
			got = last
			verifier, err := standardwebhooks.NewWebhook(*second.Secret)
			if err != nil {
				t.Fatal(err)
			}
			if verifier.Verify(last.body, last.header) != nil {
				got = delivery{} // still the first one's
			}
		}
	}
	old, err := standardwebhooks.NewWebhook(*made.Secret)
	if err != nil {
		t.Fatal(err)
	}
	if old.Verify(got.body, got.header) == nil {
		t.Error("the expired secret still verifies")
	}
}

func TestWhatAnEndpointMayDoToAnAttempt(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	target := receive(t, func(http.ResponseWriter, *http.Request, delivery) bool {
		elsewhere.Add(1)
		return true
	})
	for name, first := range map[string]func(http.ResponseWriter, *http.Request){
		"answer 500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
		},
		"hang":      func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"break off": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"fail with 10 MB": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write(make([]byte, 10<<20))
		},
		"ask for a pause": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := quickHooks()
			config.Timeout = 200 * time.Millisecond
			h := newHooks(t, config)
			d := h.start("one")
			var mu sync.Mutex
			ids := map[ident.EventID][]string{}
			r := receive(t, func(w http.ResponseWriter, req *http.Request, got delivery) bool {
				mu.Lock()
				ids[got.Data.EventID] = append(ids[got.Data.EventID], req.Header.Get("Webhook-Id"))
				attempt := len(ids[got.Data.EventID])
				mu.Unlock()
				if attempt == 1 {
					first(w, req)
					return false
				}
				return true
			})
			d.create(r.URL)
			r.complete(h.fill(2, 2))
			mu.Lock()
			defer mu.Unlock()
			for event, all := range ids {
				if len(slices.Compact(slices.Clone(all))) != 1 || len(all) < 2 {
					t.Errorf("%s came as %v", event, all)
				}
			}
		})
	}
	if elsewhere.Load() > 0 {
		t.Error("a redirect was followed")
	}
}

func TestAnEndpointThatIsGoneIsLeftAloneUntilItIsChangedAndThenGetsWhatWaited(t *testing.T) {
	t.Parallel()
	h := newHooks(t, quickHooks())
	d := h.start("one")
	var gone atomic.Bool
	var refused atomic.Int64
	gone.Store(true)
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, _ delivery) bool {
		if gone.Load() {
			refused.Add(1)
			w.WriteHeader(http.StatusGone)
			return false
		}
		return true
	})
	other := receive(t, nil)
	made := d.create(r.URL)
	d.create(other.URL)
	listed := func() rest.WebhookEndpoint {
		t.Helper()
		list, err := d.ListWebhooks(t.Context(), service.ForProject[service.Empty]{Project: project})
		if err != nil {
			t.Fatal(err)
		}
		return list.WebhookEndpoints[slices.IndexFunc(list.WebhookEndpoints, func(e rest.WebhookEndpoint) bool { return e.ID == made.ID })]
	}
	want := make(map[ident.UserID][]ident.EventID)
	more := func() {
		t.Helper()
		for user, events := range h.fill(2, 2) {
			want[user] = append(want[user], events...)
		}
		other.complete(want)
	}
	more()
	for deadline := time.Now().Add(time.Minute); listed().GoneMs == nil; {
		if time.Now().After(deadline) {
			t.Fatal("nobody is told that the endpoint is gone")
		}
		more() // the other goes on, and gives the first time
	}
	more()
	before := refused.Load()
	more()
	if now := refused.Load(); now != before || before == 0 {
		t.Errorf("an endpoint that said it is gone was sent %d, then %d", before, now)
	}
	ended := audit.Event{Type: audit.WebhookEnded, Project: project, Webhook: ident.WebhookID(made.ID)}
	if n := h.told.count(ended); n != 1 {
		t.Errorf("it is told %d times that it ended", n)
	}
	gone.Store(false)
	changed, err := d.UpdateWebhook(t.Context(), service.ForProject[patch.Webhook]{
		Project: project, Body: patch.Webhook{ID: ident.WebhookID(made.ID), Changes: rest.WebhookEndpointUpdateReq{URL: &r.URL}},
	})
	if err != nil || changed.GoneMs != nil || changed.URL != r.URL || changed.Secret != nil {
		t.Errorf("the changed endpoint is %+v, %v", changed, err)
	}
	r.complete(want)
}

// A paused endpoint is sent nothing, retries neither, and loses nothing: not by a change of it, nor by a restart of who delivers.
func TestAPausedEndpointGetsWhatWaitedInOrderWhenItIsResumed(t *testing.T) {
	t.Parallel()
	h := newHooks(t, quickHooks())
	d := h.start("one")
	var failing atomic.Bool
	var sent atomic.Int64
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, _ delivery) bool {
		sent.Add(1)
		if failing.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return false
		}
		return true
	})
	other := receive(t, nil)
	made := d.create(r.URL)
	d.create(other.URL)
	id := ident.WebhookID(made.ID)
	want := make(map[ident.UserID][]ident.EventID)
	more := func() {
		t.Helper()
		for user, events := range h.fill(2, 2) {
			want[user] = append(want[user], events...)
		}
		other.complete(want)
	}
	more()
	r.complete(want)
	failing.Store(true)
	more() // what fails is parked, to be tried again
	pause := func(d *dispatcher, paused bool) {
		t.Helper()
		asked := service.ForWebhook[inquiry.WebhookPause]{
			Project: project, Webhook: id, Body: inquiry.WebhookPause{Paused: paused, Reason: "they move"},
		}
		if _, err := d.PauseWebhook(t.Context(), asked); err != nil {
			t.Fatal(err)
		}
	}
	pause(d, true)
	pause(d, true)
	failing.Store(false)
	for before := int64(-1); before != sent.Load(); more() { // until whoever delivers has heard of it
		before = sent.Load()
	}
	before := sent.Load()
	if _, err := d.UpdateWebhook(t.Context(), service.ForProject[patch.Webhook]{
		Project: project, Body: patch.Webhook{ID: id, Changes: rest.WebhookEndpointUpdateReq{URL: &r.URL}},
	}); err != nil {
		t.Fatal(err)
	}
	d.stop()
	d = h.start("two")
	more()
	more()
	list, err := d.ListWebhooks(t.Context(), service.ForProject[service.Empty]{Project: project})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list.WebhookEndpoints {
		if (e.PausedMs != nil) != (e.ID == made.ID) {
			t.Errorf("an endpoint is %+v", e)
		}
	}
	if now := sent.Load(); now != before {
		t.Errorf("a paused endpoint was sent %d, then %d", before, now)
	}
	pause(d, false)
	r.complete(want)
	for act, n := range map[string]int{"webhook-paused": 1, "webhook-resumed": 1} {
		e := audit.Event{Type: audit.OperatorActed, Project: project, Webhook: id, Act: act, Reason: "they move"}
		if told := h.told.count(e); told != n {
			t.Errorf("%s is told %d times", act, told)
		}
	}
	_, err = d.PauseWebhook(t.Context(), service.ForWebhook[inquiry.WebhookPause]{Project: project, Webhook: "whe-1"})
	if err == nil || fault.As(err).Status != http.StatusBadRequest {
		t.Errorf("one that there is not: %v", err)
	}
}

func TestALargeAnswerOfSuccessIsHarmless(t *testing.T) {
	t.Parallel()
	// Deliveries are counted, and an instance that is too busy to keep a short lease delivers what was under way again.
	config := quickHooks()
	config.Lease = time.Minute
	h := newHooks(t, config)
	d := h.start("one")
	r := receive(t, nil)
	// Whoever sent the event goes on before all of this is written.
	r.after = func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, 10<<20)) }
	d.create(r.URL)
	want := h.fill(4, 5)
	r.complete(want)
	if got := r.atLeast(20); len(got) != 20 {
		t.Errorf("%d deliveries of 20 events", len(got))
	}
}

func TestADeliveryNamesTheTraceOfItsEventAlsoWhenItIsTriedAgain(t *testing.T) {
	t.Parallel()
	h := newHooks(t, quickHooks())
	d := h.start("one")
	var attempts atomic.Int64
	traces := make(chan string, 2)
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, got delivery) bool {
		traces <- got.header.Get("traceparent")
		if attempts.Add(1) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return false
		}
		return true
	})
	d.create(r.URL, "user.created")
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	msg := nats.NewMsg(fmt.Sprintf("%s.%s.usr-1.%s", bus.EventsPrefix, project, event.UserCreated))
	msg.Header.Set("traceparent", parent)
	raw, err := json.Marshal(
		event.Event{ID: ident.NewEventID(), Project: project, User: "usr-1", Type: event.UserCreated, CreatedMs: time.Now().UnixMilli()},
	)
	if err != nil {
		t.Fatal(err)
	}
	msg.Data = raw
	if _, err := h.bus.JS.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	r.atLeast(1)
	for range 2 {
		if got := <-traces; got != parent {
			t.Errorf("traceparent %q", got)
		}
	}
}

func TestADeletedEndpointGetsNothingMoreAndLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHooks(t, quickHooks())
	d := h.start("one")
	entered := make(chan struct{}, 100)
	left := make(chan struct{}, 100)
	r := receive(t, func(_ http.ResponseWriter, req *http.Request, _ delivery) bool {
		entered <- struct{}{}
		<-req.Context().Done()
		left <- struct{}{}
		return false
	})
	made := d.create(r.URL)
	id := ident.WebhookID(made.ID)
	h.fill(3, 2)
	<-entered
	if _, err := d.DeleteWebhook(t.Context(), service.ForProject[ident.WebhookID]{Project: project, Body: id}); err != nil {
		t.Fatal(err)
	}
	<-left // what was under way is broken off
	eventually(t, "nothing is left", func() bool {
		for _, stream := range []string{
			bus.WebhookRetriesStream, bus.WebhookDeadStream, bus.WebhookDeliveriesStream, "KV_" + bus.WebhookWorkBucket,
			bus.EventsStream,
		} {
			s, err := h.bus.Stream(t.Context(), stream)
			if err != nil {
				t.Fatal(err)
			}
			state := s.CachedInfo().State
			switch stream {
			case bus.EventsStream:
				if state.Consumers > 1 { // the one that is there from the start
					return false
				}
			case "KV_" + bus.WebhookWorkBucket: // markers of what was deleted may stay
				kv, err := h.bus.Bucket(t.Context(), bus.WebhookWorkBucket)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := kv.Get(t.Context(), "owner."+string(project)+"."+made.ID); err == nil {
					return false
				}
			default:
				if state.Msgs > 0 {
					return false
				}
			}
		}
		return true
	})
	if _, err := d.ListWebhookDeliveries(t.Context(), service.ForWebhook[service.List]{Project: project, Webhook: id}); err == nil {
		t.Error("the deleted endpoint still has a log")
	}
}

func TestADeadEndpointIsTriedSparinglyAndGetsEverythingWhenItIsBack(t *testing.T) {
	t.Parallel()
	config := quickHooks()
	config.Concurrency, config.MaxAttempts = 4, 1_000_000
	config.RetryMin, config.RetryMax = time.Second, time.Hour
	h := newHooks(t, config)
	d := h.start("one")
	var open atomic.Bool
	var tried atomic.Int64
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, _ delivery) bool {
		if open.Load() {
			return true
		}
		tried.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
		return false
	})
	d.create(r.URL)
	want := h.fill(1000, 2)
	eventually(t, "it is taken for down", func() bool { return tried.Load() >= 16 })
	// The events in hand are tried, and those that were being fetched; after that single ones.
	if n := tried.Load(); n > 500 {
		t.Errorf("%d attempts", n)
	}
	open.Store(true)
	r.complete(want)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if holds() {
			return
		}
		runtime.Gosched()
	}
	t.Fatalf("%s: waited in vain", what)
}

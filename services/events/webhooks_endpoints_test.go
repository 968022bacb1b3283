package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/events/internal/webhook"
	"github.com/keyward/keyward/services/events/internal/webhook/queue"
)

func at[T any](id string, body T) service.ForWebhook[T] {
	return service.ForWebhook[T]{Project: project, Webhook: ident.WebhookID(id), Body: body}
}

// expectFault checks which fields are at fault.
func expectFault(t *testing.T, err error, fields ...string) {
	t.Helper()
	var f *fault.Fault
	if !errors.As(err, &f) {
		t.Fatalf("want a fault of %v, got %v", fields, err)
	}
	var got []string
	for _, v := range f.Validation {
		got = append(got, v.Field)
	}
	if diff := cmp.Diff(fields, got); diff != "" {
		t.Error(diff, f)
	}
}

func TestAnEndpointIsKeptAndItsSecretsAreShownOnce(t *testing.T) {
	t.Parallel()
	d := newHooks(t, quickHooks()).start("one")
	made, err := d.CreateWebhook(
		t.Context(),
		service.ForProject[rest.WebhookEndpointCreateReq]{Project: project, Body: rest.WebhookEndpointCreateReq{
			URL: "https://example.com/", SubscribedEvents: []string{"user.created"}, BasicAuthUsername: new("bob"),
			BasicAuthPassword: new("swordfish"),
		}},
	)
	if err != nil {
		t.Fatal(err)
	}
	if made.Secret == nil || !strings.HasPrefix(*made.Secret, "whsec_") || made.BasicAuthPassword != "********" {
		t.Errorf("made %+v", made)
	}
	list, err := d.ListWebhooks(t.Context(), service.ForProject[service.Empty]{Project: project})
	if err != nil {
		t.Fatal(err)
	}
	want := made
	want.Secret = nil
	if diff := cmp.Diff([]rest.WebhookEndpoint{want}, list.WebhookEndpoints); diff != "" {
		t.Error(diff)
	}
	other, err := d.ListWebhooks(t.Context(), service.ForProject[service.Empty]{Project: "pro-2"})
	if err != nil || len(other.WebhookEndpoints) != 0 {
		t.Errorf("another project sees %v, %v", other, err)
	}
	change := func(changes rest.WebhookEndpointUpdateReq) error {
		_, err := d.UpdateWebhook(
			t.Context(),
			service.ForProject[patch.Webhook]{Project: project, Body: patch.Webhook{ID: ident.WebhookID(made.ID), Changes: changes}},
		)
		return err
	}
	// The password comes back as it was shown.
	if err := change(rest.WebhookEndpointUpdateReq{URL: new("https://example.org/"), BasicAuthPassword: new("********")}); err != nil {
		t.Fatal(err)
	}
	if list, err = d.ListWebhooks(t.Context(), service.ForProject[service.Empty]{Project: project}); err != nil {
		t.Fatal(err)
	}
	want.URL = "https://example.org/"
	if diff := cmp.Diff(
		[]rest.WebhookEndpoint{want}, list.WebhookEndpoints,
		cmpopts.IgnoreFields(rest.WebhookEndpoint{}, "Updated", "UpdatedMs"),
	); diff != "" {
		t.Error(diff)
	}
	expectFault(t, change(rest.WebhookEndpointUpdateReq{URL: new("ftp://x"), SubscribedEvents: &[]string{"x"}}), "url", "subscribedEvents")
	expectFault(t, change(rest.WebhookEndpointUpdateReq{CustomHeaders: &map[string]string{"Authorization": "x"}}), "customHeaders")
	if err := change(rest.WebhookEndpointUpdateReq{BasicAuthUsername: new(""), BasicAuthPassword: new("")}); err != nil {
		t.Fatal(err)
	}
	if list, err = d.ListWebhooks(
		t.Context(), service.ForProject[service.Empty]{Project: project},
	); err != nil ||
		list.WebhookEndpoints[0].BasicAuthPassword != "" {
		t.Errorf("the password stayed: %+v, %v", list, err)
	}
}

func TestFaultsOfCallsAboutEndpoints(t *testing.T) {
	t.Parallel()
	config := quickHooks()
	config.AllowHTTP, config.AllowPrivate, config.PerProject = false, false, 1
	d := newHooks(t, config).start("one")
	create := func(body rest.WebhookEndpointCreateReq) error {
		_, err := d.CreateWebhook(t.Context(), service.ForProject[rest.WebhookEndpointCreateReq]{Project: project, Body: body})
		return err
	}
	expectFault(t, create(rest.WebhookEndpointCreateReq{URL: "http://example.com/", SubscribedEvents: []string{"*"}}), "url")
	expectFault(
		t, create(rest.WebhookEndpointCreateReq{URL: "https://192.168.0.1/", SubscribedEvents: []string{"*", "*"}}), "url",
		"subscribedEvents",
	)
	expectFault(t, create(rest.WebhookEndpointCreateReq{
		URL:               "https://example.com/",
		SubscribedEvents:  []string{"user.created"},
		BasicAuthUsername: new("a:b"),
		BasicAuthPassword: new("\n"),
		CustomHeaders:     &map[string]string{"Host": "x"},
	}), "basicAuthUsername", "basicAuthPassword", "customHeaders")
	made := d.create("https://example.com/")
	expectFault(t, create(rest.WebhookEndpointCreateReq{URL: "https://example.com/", SubscribedEvents: []string{"*"}}), "url")
	for _, id := range []string{"whe-1", "nonsense", "whe-*"} {
		_, err := d.ListWebhookDeliveries(t.Context(), at(id, service.List{}))
		expectFault(t, err, "webhookEndpointID")
		_, err = d.DeleteWebhook(t.Context(), service.ForProject[ident.WebhookID]{Project: project, Body: ident.WebhookID(id)})
		expectFault(t, err, "webhookEndpointID")
	}
	_, err := d.ListWebhookSecrets(t.Context(), service.ForWebhook[service.Empty]{Project: "pro-2", Webhook: ident.WebhookID(made.ID)})
	expectFault(t, err, "webhookEndpointID")
	_, err = d.ReplayWebhookDeadLetters(t.Context(), at(made.ID, rest.WebhookReplayReq{Ids: &[]string{"msg_1_2"}}))
	expectFault(t, err, "ids")
	_, err = d.ReplayWebhookDeadLetters(
		t.Context(), at(made.ID, rest.WebhookReplayReq{Ids: &[]string{"msg_1_" + strings.TrimPrefix(made.ID, "whe-")}}),
	)
	expectFault(t, err, "ids")
	if rsp, err := d.ReplayWebhookDeadLetters(t.Context(), at(made.ID, rest.WebhookReplayReq{})); err != nil || rsp.Queued != 0 {
		t.Errorf("of no dead letters %+v, %v", rsp, err)
	}
	_, err = d.ListWebhookDeliveries(t.Context(), at(made.ID, service.List{Sort: "color:asc"}))
	expectFault(t, err, "color")
	_, err = d.ListWebhookDeadLetters(t.Context(), at(made.ID, service.List{Filter: []string{"outcome:eq:dead"}}))
	expectFault(t, err, "filter[]")
}

func TestOneSecretThatDoesNotExpireAlwaysRemains(t *testing.T) {
	t.Parallel()
	d := newHooks(t, quickHooks()).start("one")
	made := d.create("https://example.com/")
	secrets := func() []rest.WebhookSecret {
		list, err := d.ListWebhookSecrets(t.Context(), at(made.ID, service.Empty{}))
		if err != nil {
			t.Fatal(err)
		}
		return list.Secrets
	}
	first := secrets()
	if len(first) != 1 || first[0].Secret != nil || !strings.HasPrefix(first[0].ID, "whs-") {
		t.Fatalf("%+v", first)
	}
	_, err := d.DeleteWebhookSecret(t.Context(), at(made.ID, first[0].ID))
	expectFault(t, err, "secretID")
	second, err := d.CreateWebhookSecret(t.Context(), at(made.ID, rest.WebhookSecretCreateReq{ExpireOthersInSeconds: new(int32(3600))}))
	if err != nil || second.Secret == nil || second.ExpiresMs != nil {
		t.Fatalf("%+v, %v", second, err)
	}
	if now := secrets(); len(now) != 2 || now[0].ExpiresMs == nil || now[1].ExpiresMs != nil {
		t.Errorf("%+v", now)
	}
	_, err = d.DeleteWebhookSecret(t.Context(), at(made.ID, second.ID))
	expectFault(t, err, "secretID")
	_, err = d.DeleteWebhookSecret(t.Context(), at(made.ID, "whs-1"))
	expectFault(t, err, "secretID")
	if _, err = d.DeleteWebhookSecret(t.Context(), at(made.ID, first[0].ID)); err != nil {
		t.Error(err)
	}
	for range 9 {
		if _, err := d.CreateWebhookSecret(t.Context(), at(made.ID, rest.WebhookSecretCreateReq{})); err != nil {
			t.Fatal(err)
		}
	}
	_, err = d.CreateWebhookSecret(t.Context(), at(made.ID, rest.WebhookSecretCreateReq{}))
	expectFault(t, err, "webhookEndpointID")
}

func TestAPayloadTellsOfThePasskeyAndOfWhoUsedIt(t *testing.T) {
	t.Parallel()
	h := newHooks(t, quickHooks())
	kv, err := h.bus.Bucket(t.Context(), bus.AccountsBucket)
	if err != nil {
		t.Fatal(err)
	}
	if err := account.NewStore(kv).Create(t.Context(), account.Account{Project: project, ID: "usr-1", Credentials: []account.Credential{
		{ID: "cre-7", CredentialID: []byte{1, 2, 3}, CreatedOS: "macOS", CreatedBrowser: "Safari", AAGUID: "a", CreatedMs: 5, LastUsedMs: 6},
	}}); err != nil {
		t.Fatal(err)
	}
	d := h.start("one")
	r := receive(t, nil)
	d.create(r.URL)
	h.append(event.Event{
		ID:         "pke-1",
		Project:    project,
		User:       "usr-1",
		Type:       event.LoginCompleted,
		CreatedMs:  1_764_000_000_123,
		Credential: "cre-7",
		Ceremony:   "was-3",
		Route:      event.Local,
		Source:     "button",
		Client:     &event.Client{Address: "203.0.113.9", OS: "Windows", Browser: "Edge"},
	})
	want := `{"type":"passkey-login.completed","metadata":{"ip":"203.0.113.9","os":"Windows","browser":"Edge","customHeaders":{}},` +
		`"timestamp":"2025-11-24T16:00:00.123000000Z",` +
		`"data":{"userID":"usr-1","eventID":"pke-1","eventType":"login-completed","projectID":"pro-1","createdMs":1764000000123,` +
		`"credential":{"id":"cre-7","webAuthnID":"AQID","browser":"Safari","os":"macOS","aaguid":"a","createdMs":5,"lastUsedMs":6},` +
		`"ceremonyID":"was-3","ceremonyType":"local","source":"button"}}`
	if diff := cmp.Diff(want, string(r.atLeast(1)[0].body)); diff != "" {
		t.Error(diff)
	}
}

func TestAnErasedUserLeavesNothingAndComesNotBack(t *testing.T) {
	t.Parallel()
	config := quickHooks()
	config.MaxAttempts, config.RetryMax = 1_000_000, time.Minute
	h := newHooks(t, config)
	d := h.start("one")
	blocked, goOn := make(chan struct{}, 100), make(chan struct{})
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, got delivery) bool {
		if got.Data.UserID == "usr-1" && got.Type == string(event.LoginError) {
			w.WriteHeader(http.StatusInternalServerError)
			return false
		}
		if got.Data.UserID == "usr-2" {
			blocked <- struct{}{}
			<-goOn
			w.WriteHeader(http.StatusInternalServerError)
			return false
		}
		return true
	})
	made := d.create(r.URL)
	h.fill(1, 3) // parked
	retries := func() uint64 { return h.messages(bus.WebhookRetriesStream) }
	eventually(t, "three parked events, their head and the position", func() bool { return retries() == 5 })
	h.publish("usr-2", event.LoginError) // under way
	<-blocked
	log, err := h.bus.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []ident.UserID{"usr-1", "usr-2"} {
		if err := log.Purge(t.Context(), jetstream.WithPurgeSubject(fmt.Sprintf("%s.%s.%s.>", bus.EventsPrefix, project, user))); err != nil {
			t.Fatal(err)
		}
		if err := queue.PurgeUser(t.Context(), h.bus.JS, project, user); err != nil {
			t.Fatal(err)
		}
	}
	close(goOn)
	last := h.publish("usr-1", event.UserDeleted)
	if got := r.atLeast(1); got[0].Data.EventID != last.ID {
		t.Errorf("got %s", got[0].body)
	}
	eventually(t, "nothing is parked", func() bool { return retries() == 1 })
	// An attempt that was under way may have written its line afterwards.
	if err := queue.PurgeUser(t.Context(), h.bus.JS, project, "usr-1"); err != nil {
		t.Fatal(err)
	}
	list, err := d.ListWebhookDeliveries(t.Context(), at(made.ID, service.List{PageSize: 100, Filter: []string{"outcome:eq:retry"}}))
	if err != nil || len(list.Deliveries) > 0 {
		t.Errorf("in the log: %+v, %v", list, err)
	}
}

func (h *hooks) messages(stream string) uint64 {
	h.t.Helper()
	s, err := h.bus.Stream(h.t.Context(), stream)
	if err != nil {
		h.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func TestTheEndpointsOfAnInstanceThatDiedAreTakenOverAndThoseOfALivingOneAreNot(t *testing.T) {
	t.Parallel()
	h := newHooks(t, quickHooks())
	work, err := h.bus.Bucket(t.Context(), bus.WebhookWorkBucket)
	if err != nil {
		t.Fatal(err)
	}
	put := func(key, value string) {
		if _, err := work.Put(t.Context(), key, []byte(value)); err != nil {
			t.Error(err)
		}
	}
	put("instance.other", "1")
	h.start("")
	r := receive(t, nil)
	// Before the endpoint can be claimed it is the other's.
	e := webhook.Endpoint{
		ID: ident.NewWebhookID(), Project: project, URL: r.URL, Events: []string{"*"},
		Secrets: []webhook.Secret{webhook.NewSecret(time.Now())}, Start: 1,
	}
	put("owner."+webhook.Key(project, e.ID), "other")
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	endpoints, err := h.bus.Bucket(t.Context(), bus.WebhooksBucket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := endpoints.Put(t.Context(), webhook.Key(project, e.ID), raw); err != nil {
		t.Fatal(err)
	}
	living, die := context.WithCancel(t.Context())
	renewing := make(chan struct{})
	go func() {
		defer close(renewing)
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-living.Done():
				return
			case <-ticker.C:
				put("instance.other", "1")
			}
		}
	}()
	h.publish("usr-1", event.LoginError)
	began := time.Now()
	eventually(t, "three leases", func() bool { return time.Since(began) > 3*h.config.Lease })
	if entry, err := work.Get(t.Context(), "owner."+webhook.Key(project, e.ID)); err != nil || string(entry.Value()) != "other" {
		t.Errorf("the owner is now %s, %v", entry.Value(), err)
	}
	r.mu.Lock()
	early := len(r.got)
	r.mu.Unlock()
	die()
	<-renewing
	if early > 0 {
		t.Error("it was delivered while another instance had the endpoint")
	}
	r.atLeast(1)
}

func TestWhatIsDoneToAnEndpointIsToldAndWhatFailsOrChangesNothingIsNot(t *testing.T) {
	t.Parallel()
	h := newHooks(t, quickHooks())
	d := h.start("one")
	made, err := d.CreateWebhook(t.Context(), service.ForProject[rest.WebhookEndpointCreateReq]{
		Project: project, Body: rest.WebhookEndpointCreateReq{URL: "https://example.com/", SubscribedEvents: []string{"user.created"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := ident.WebhookID(made.ID)
	for _, changes := range []rest.WebhookEndpointUpdateReq{
		{URL: new("https://example.com/")}, {URL: new("ftp://example.com/")},
		{URL: new("https://example.com/new"), SubscribedEvents: &[]string{"*"}, BasicAuthPassword: new("********")},
	} {
		change := patch.Webhook{ID: id, Changes: changes}
		_, err := d.UpdateWebhook(t.Context(), service.ForProject[patch.Webhook]{Project: project, Body: change})
		if refused := *changes.URL == "ftp://example.com/"; (err != nil) != refused {
			t.Fatal(err)
		}
	}
	if _, err := d.CreateWebhookSecret(t.Context(), at(made.ID, rest.WebhookSecretCreateReq{})); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, _ = d.DeleteWebhook(t.Context(), service.ForProject[ident.WebhookID]{Project: project, Body: id})
	}
	want := []audit.Event{
		{Type: audit.WebhookCreated, Project: project, Webhook: id},
		{Type: audit.WebhookUpdated, Project: project, Webhook: id, Changed: []string{"url", "subscribedEvents"}},
		{Type: audit.WebhookUpdated, Project: project, Webhook: id, Changed: []string{"secrets"}},
		{Type: audit.WebhookDeleted, Project: project, Webhook: id},
	}
	if diff := cmp.Diff(want, h.told.events); diff != "" {
		t.Error(diff)
	}
}

package test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/policies/policiestest"
)

// holdings searches all that is kept, in NATS and in Redis.
type holdings struct {
	js    jetstream.JetStream
	redis *redisServer
}

// naming returns where the text is found: the subject of each message that holds it in its subject, its headers or its body, and each key
// of Redis that holds it in its name or its value. A marker with which a key-value bucket says that a key is gone has no body; it is left
// out.
func (e holdings) naming(t *testing.T, text string) []string {
	t.Helper()
	var found []string
	names := e.js.StreamNames(t.Context())
	for name := range names.Name() {
		stream, err := e.js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		state := stream.CachedInfo().State
		for sequence := state.FirstSeq; sequence <= state.LastSeq && state.Msgs > 0; sequence++ {
			msg, err := stream.GetMsg(t.Context(), sequence)
			if err != nil {
				continue // removed
			}
			if msg.Header.Get("KV-Operation") != "" && len(msg.Data) == 0 {
				continue
			}
			if strings.Contains(msg.Subject+fmt.Sprint(msg.Header), text) || bytes.Contains(msg.Data, []byte(text)) {
				found = append(found, name+" "+msg.Subject)
			}
		}
	}
	if err := names.Err(); err != nil {
		t.Fatal(err)
	}
	// What DUMP compresses is not found in it.
	if err := e.redis.ConfigSet(t.Context(), "rdbcompression", "no").Err(); err != nil {
		t.Fatal(err)
	}
	keys, err := e.redis.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		value, err := e.redis.Do(t.Context(), "DUMP", key).Text()
		if err != nil && !strings.Contains(err.Error(), "nil") {
			t.Fatal(err)
		}
		if strings.Contains(key+value, text) {
			found = append(found, "Redis "+key)
		}
	}
	return found
}

// live does all that leaves something of a user behind.
func (p *person) live(t *testing.T) {
	t.Helper()
	user := "/v2/users/" + p.id
	as[rest.Identifier](
		t,
		p.call(
			t, "POST", user+"/identifiers",
			map[string]any{"identifierType": "email", "identifierValue": p.id + "@example.com", "status": "verified"},
		),
	)
	as[rest.SocialAccount](t, p.call(t, "POST", user+"/socialAccounts", map[string]any{
		"providerType":    "github",
		"identifierValue": p.id + "@example.com",
		"foreignID":       "gh-" + p.id,
		"avatarURL":       "",
		"fullName":        "Ada Lovelace",
	}))
	p.createPasskey(t)
	process := p.nextProcess()
	start := p.loginStart(t, process)
	if a := p.loginFinish(t, process, start.AssertionOptions); a.status != http.StatusOK {
		t.Fatalf("login: %s", a.body)
	}
	p.loginStart(t, p.nextProcess()) // under way
	p.appendStart(t, p.nextProcess())
	p.postEvent(t, map[string]any{"eventType": "local-unlock"})
	deleted := p.postEvent(t, map[string]any{"eventType": "user-login-blacklisted"})
	as[rest.GenericRsp](t, p.call(t, "DELETE", user+"/passkeyEvents/"+deleted.PasskeyEventID, nil))
	as[rest.AuthEvent](t, p.call(t, "POST", user+"/authEvents", map[string]any{
		"username": p.id, "eventType": "login", "method": "password", "status": "success", "clientInformation": mac(p.handle),
	}))
	as[rest.LongSession](
		t,
		p.call(t, "POST", user+"/longSessions", map[string]any{"appType": "web", "identifierValue": p.id + "@example.com"}),
	)
}

func TestOfADeletedUserNothingIsLeftAnywhereButTheEventThatTellsOfIt(t *testing.T) {
	t.Parallel()
	var failing http.HandlerFunc = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	receiver := httptest.NewServer(failing)
	t.Cleanup(receiver.Close)
	address := startNATS(t, t.TempDir())
	bundle := policiestest.Dir(t, policiestest.Files(t))
	declareLabel(t, bundle, "admin")
	st := shape{redis: true}.start(t, func(cfg *settings.Config) {
		cfg.NATS.URL, cfg.Decision.PoliciesDir = settings.Secret(address), bundle
		cfg.Webhooks.AllowHTTP, cfg.Webhooks.AllowPrivate = true, true
		cfg.Webhooks.RetryMin = 10 * time.Millisecond
	})
	// What is delivered to it fails, so that it waits, is given up, and is in the log of deliveries.
	as[rest.WebhookEndpoint](
		t,
		st.call(
			t, "POST", "/v2/webhookEndpoints",
			map[string]any{"url": receiver.URL, "subscribedEvents": []string{"local-unlock", "passkey.created"}},
		),
	)
	conn, err := nats.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	kept := holdings{js, st.redis}
	ada, bea := st.newPerson(t), st.newPerson(t)
	for _, each := range []*person{ada, bea} {
		each.live(t)
		as[rest.UserLabels](t, each.call(t, "PUT", "/v2/users/"+each.id+"/labels", map[string]any{"labels": []string{"admin"}}))
		eventually(t, "not all that a user leaves is kept where it is looked for", func() bool {
			found := strings.Join(kept.naming(t, each.id), "\n")
			for _, stream := range []string{
				"PASSKEY_EVENTS", "PASSKEY_OFFERS", "PASSKEY_DECISIONS", "WEBHOOK_RETRIES", "WEBHOOK_DELIVERIES", "KV_accounts", "KV_credential-index",
				"KV_identifier-index", "KV_challenges", "KV_sessions", "KV_session-index", "Redis",
			} {
				if !strings.Contains(found, stream+" ") {
					return false
				}
			}
			return true
		})
	}
	before := len(kept.naming(t, bea.id))

	as[rest.GenericRsp](t, ada.call(t, "DELETE", "/v2/users/"+ada.id, nil))

	// At once, but for what was on its way to a log in the background.
	only := "PASSKEY_EVENTS passkey.events." + project1 + "." + ada.id + ".user-deleted"
	var found []string
	t.Cleanup(func() { t.Logf("found last: %v", found) })
	within(t, 6*patience, "something of the user is left", func() bool {
		found = kept.naming(t, ada.id)
		return len(found) == 1 && found[0] == only
	})
	if found := kept.naming(t, ada.id+"@example.com"); len(found) != 0 {
		t.Errorf("the identifier is left: %v", found)
	}
	if after := len(kept.naming(t, bea.id)); after < before/2 {
		t.Errorf("of another user %d of %d messages are left", after, before)
	}
	ada.call(t, "GET", "/v2/users/"+ada.id, nil).fault(t, http.StatusBadRequest)
	ada.call(t, "GET", "/v2/users/"+ada.id+"/labels", nil).fault(t, http.StatusBadRequest)
	ada.call(t, "GET", "/v2/users/"+ada.id+"/passkeyEvents", nil).fault(t, http.StatusBadRequest)
}

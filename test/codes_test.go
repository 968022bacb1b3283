package test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/services/ceremony/delivery"
)

// postbox is an operator's webhook that takes codes, and refuses while it is full.
type postbox struct {
	*httptest.Server
	secret string

	mu   sync.Mutex
	full bool
	sent []posted
}

type posted struct {
	ChallengeID, IdentifierValue, Value, Link string
	ChallengeMetadata                         map[string]any
}

func newPostbox(t *testing.T) *postbox {
	t.Helper()
	b := &postbox{secret: "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))}
	verifier, err := standardwebhooks.NewWebhook(b.secret)
	if err != nil {
		t.Fatal(err)
	}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		var envelope struct {
			Type string
			Data posted
		}
		if err == nil {
			err = json.Unmarshal(body, &envelope)
		}
		if err != nil || envelope.Type != "challenge.created" {
			t.Errorf("posted %s: %v", body, err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.full {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		b.sent = append(b.sent, envelope.Data)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *postbox) fill(full bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.full = full
}

func (b *postbox) last(t *testing.T) posted {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.sent) == 0 {
		t.Fatal("nothing was posted")
	}
	return b.sent[len(b.sent)-1]
}

func TestACodeAndALinkFromTheirSendingToTheirEnd(t *testing.T) {
	t.Parallel()
	for _, s := range []shape{everyShape()[0], everyShape()[5]} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			box := newPostbox(t)
			st := s.start(t, func(cfg *settings.Config) {
				cfg.Delivery.Kind, cfg.Delivery.WebhookURL, cfg.Delivery.WebhookSecret = delivery.Webhook, settings.Secret(
					box.URL,
				), settings.Secret(
					box.secret,
				)
			})
			user := as[rest.User](t, st.call(t, http.MethodPost, "/v2/users", map[string]any{"status": "active"}))
			path := "/v2/users/" + user.UserID
			as[rest.Identifier](
				t,
				st.call(
					t, http.MethodPost, path+"/identifiers",
					map[string]any{"identifierType": "email", "identifierValue": "Ada@Example.com", "status": "pending"},
				),
			)

			create := func(kind string, metadata map[string]any) answer {
				return st.call(t, http.MethodPost, path+"/challenges", map[string]any{
					"challengeType": kind, "identifierValue": "ada@example.com", "challengeMetadata": metadata, "clientInformation": mac(""),
				})
			}
			check := func(id, value string) answer {
				return st.call(t, http.MethodPatch, path+"/challenges/"+id, map[string]any{"value": value})
			}

			code := as[rest.Challenge](t, create("email_otp", map[string]any{"locale": "de"}))
			if got := box.last(
				t,
			); got.Value != code.Value || got.IdentifierValue != "Ada@Example.com" || got.Link != "" ||
				got.ChallengeMetadata["locale"] != "de" {
				t.Errorf("posted %+v for %+v", got, code)
			}
			if message := field(check(code.ChallengeID, "0").fault(t, 400), "value"); message != "is wrong" {
				t.Errorf("a wrong value: %q", message)
			}
			done := as[rest.Challenge](t, check(code.ChallengeID, code.Value))
			if done.Status != rest.ChallengeStatusCompleted {
				t.Errorf("status %s", done.Status)
			}
			if message := field(check(code.ChallengeID, code.Value).fault(t, 400), "value"); message != "has been used already" {
				t.Errorf("a second time: %q", message)
			}
			list := as[rest.IdentifierList](
				t, st.call(t, http.MethodGet, "/v2/identifiers?filter[]="+url.QueryEscape("userID:eq:"+user.UserID), nil),
			)
			if len(list.Identifiers) != 1 || list.Identifiers[0].Status != rest.IdentifierStatusVerified {
				t.Errorf("identifiers %+v", list.Identifiers)
			}

			link := as[rest.Challenge](t, create("email_link", map[string]any{"redirectUrl": origin + "/in"}))
			if got := box.last(t).Link; !strings.HasPrefix(got, origin+"/in?") {
				t.Errorf("link %q", got)
			}
			u, err := url.Parse(box.last(t).Link)
			if err != nil {
				t.Fatal(err)
			}
			as[rest.Challenge](t, check(u.Query().Get("challengeID"), u.Query().Get("token")))
			if link.ChallengeID != u.Query().Get("challengeID") {
				t.Errorf("the link names another challenge than %s", link.ChallengeID)
			}

			box.fill(true)
			create("email_otp", map[string]any{}).fault(t, 503)
			box.fill(false)
			for range 3 {
				as[rest.Challenge](t, create("email_otp", map[string]any{}))
			}
			limited := create("email_otp", map[string]any{})
			if limited.fault(t, 429); limited.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
}

package delivery_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/keyward/keyward/core/secret"
	"github.com/keyward/keyward/services/ceremony/delivery"
)

// receiver is an HTTP server that checks signatures and answers as it is told.
type receiver struct {
	*httptest.Server
	t      *testing.T
	key    []byte
	answer func(n int64, w http.ResponseWriter, r *http.Request) // of the n-th call, from 1
	calls  atomic.Int64
	body   atomic.Pointer[[]byte]
	header atomic.Pointer[http.Header]
}

func newReceiver(t *testing.T, answer func(n int64, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	r := &receiver{t: t, key: []byte("0123456789abcdef0123456789abcdef"), answer: answer}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	n := r.calls.Add(1)
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Error(err)
	}
	verifier, err := standardwebhooks.NewWebhook("whsec_" + base64.StdEncoding.EncodeToString(r.key))
	if err != nil {
		r.t.Error(err)
	}
	if err := verifier.Verify(body, req.Header); err != nil {
		r.t.Errorf("the signature: %v", err)
	}
	if err := verifier.Verify(append(body, ' '), req.Header); err == nil {
		r.t.Error("another body has the same signature")
	}
	header := req.Header.Clone()
	r.body.Store(&body)
	r.header.Store(&header)
	r.answer(n, w, req)
}

func (r *receiver) courier(timeout time.Duration) *delivery.Courier {
	r.t.Helper()
	return newCourier(r.t, delivery.Config{
		Kind: delivery.Webhook, WebhookURL: secret.Text(r.URL + "/codes?key=hunter2"),
		WebhookSecret: secret.Text("whsec_" + base64.StdEncoding.EncodeToString(r.key)), Timeout: timeout,
	}, delivery.Deps{})
}

func status(code int) func(int64, http.ResponseWriter, *http.Request) {
	return func(_ int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestAWebhookIsGivenEverythingSigned(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, status(http.StatusNoContent))
	m := link()
	m.Metadata = map[string]any{"locale": "de", "n": 1.5, "list": []any{"a"}}
	if err := r.courier(5*time.Second).Deliver(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(*r.body.Load(), &got); err != nil {
		t.Fatal(err)
	}
	if at, err := time.Parse(time.RFC3339, got["timestamp"].(string)); err != nil || time.Since(at) > time.Minute {
		t.Errorf("timestamp %v, %v", got["timestamp"], err)
	}
	delete(got, "timestamp")
	want := map[string]any{"type": "challenge.created", "data": map[string]any{
		"projectID": "pro-1", "userID": "usr-2", "challengeID": "cha-3", "challengeType": "email_link", "identifierValue": "ada@example.org",
		"value": token, "link": m.Link, "expires": float64(m.Expires.Unix()), "challengeMetadata": m.Metadata,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if id, kind := r.header.Load().Get("webhook-id"), r.header.Load().Get("Content-Type"); id != "cha-3" || kind != "application/json" {
		t.Errorf("webhook-id %q, Content-Type %q", id, kind)
	}
}

func TestOnlyA2xxIsTakenAndOnlyWhatMayPassIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(int64, http.ResponseWriter, *http.Request)
		taken  bool
		calls  int64
	}{
		"200": {status(200), true, 1},
		"202": {status(202), true, 1},
		"400": {status(400), false, 1},
		"404": {status(404), false, 1},
		"429": {status(429), false, 3},
		"500": {status(500), false, 3},
		"a redirect": {func(_ int64, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, false, 1},
		"a redirect for good": {func(_ int64, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusMovedPermanently)
		}, false, 1},
		"500 once and then 200": {func(n int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader([]int{500, 200}[n-1]) }, true, 2},
		"10 MB": {func(_ int64, w http.ResponseWriter, _ *http.Request) {
			for range 10 {
				_, _ = w.Write(make([]byte, 1<<20))
			}
		}, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, c.answer)
			err := r.courier(5*time.Second).Deliver(t.Context(), code())
			if c.taken && err != nil {
				t.Error(err)
			}
			if !c.taken {
				wantUnavailable(t, err, false)
			}
			if got := r.calls.Load(); got != c.calls {
				t.Errorf("called %d times, want %d", got, c.calls)
			}
		})
	}
}

func TestAWebhookThatHangsCostsNoMoreThanTheTimeout(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	r := newReceiver(t, func(_ int64, _ http.ResponseWriter, req *http.Request) {
		select {
		case <-req.Context().Done():
		case <-ended:
		}
	})
	defer close(ended)
	began := time.Now()
	wantUnavailable(t, r.courier(200*time.Millisecond).Deliver(t.Context(), code()), true)
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %s", took)
	}
}

func TestAWebhookThatBreaksOffIsTriedAgainAndMayHaveTakenTheMessage(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(_ int64, _ http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	wantUnavailable(t, r.courier(5*time.Second).Deliver(t.Context(), code()), true)
	if got := r.calls.Load(); got != 3 {
		t.Errorf("called %d times, want 3", got)
	}
}

func TestAnAbsentWebhookHasTakenNothing(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, status(200))
	c := r.courier(5 * time.Second)
	r.Close()
	wantUnavailable(t, c.Deliver(t.Context(), code()), false)
}

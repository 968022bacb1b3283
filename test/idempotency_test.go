package test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/keyward/keyward/api/rest"
)

// repeatable sends a call with an Idempotency-Key.
func (c client) repeatable(t *testing.T, path, key string, body any) answer {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.base+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(c.project, c.secret)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	answered, err := io.ReadAll(rsp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{rsp.StatusCode, rsp.Header, answered}
	if err := contract(t).fits("POST", path, a); err != nil {
		t.Errorf("%s: the answer does not fit the API description: %v\n%s", path, err, a.body)
	}
	return a
}

func TestWhicheverGatewayIsAskedACallWithAKeyIsExecutedOnce(t *testing.T) {
	t.Parallel()
	st := shape{split: true, parts: []string{"events,decision", "ceremony", "gateway", "gateway"}}.start(t)
	gateways := st.gateways()
	if len(gateways) != 2 {
		t.Fatalf("there are %d gateways", len(gateways))
	}
	body := map[string]any{"status": "active", "fullName": "Ada Lovelace", "explicitWebauthnID": "ada"}
	var mu sync.Mutex
	var executed, repeated [][]byte
	var group sync.WaitGroup
	for i := range 24 {
		group.Go(func() {
			// Whoever comes while the first call is under way is told to come again.
			for {
				a := gateways[i%2].repeatable(t, "/v2/users", "order-4711", body)
				if a.status == http.StatusConflict && a.header.Get("Retry-After") != "" {
					continue
				}
				if a.status != http.StatusOK {
					t.Errorf("got %d %s", a.status, a.body)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if a.header.Get("Idempotent-Replayed") == "true" {
					repeated = append(repeated, a.body)
				} else {
					executed = append(executed, a.body)
				}
				return
			}
		})
	}
	group.Wait()
	if len(executed) != 1 || len(repeated) != 23 {
		t.Fatalf("%d were executed, %d repeated", len(executed), len(repeated))
	}
	for _, b := range repeated {
		if !bytes.Equal(b, executed[0]) {
			t.Errorf("a repeat was answered %s, the first %s", b, executed[0])
		}
	}
	var user rest.User
	if err := json.Unmarshal(executed[0], &user); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the list does not show the user", func() bool {
		list := as[rest.UserList](t, st.call(t, "GET", "/v2/users", nil))
		return list.Paging.TotalItems == 1 && list.Users[0].UserID == user.UserID
	})

	body["fullName"] = "Somebody Else"
	e := gateways[1].repeatable(t, "/v2/users", "order-4711", body).fault(t, http.StatusUnprocessableEntity)
	if e.Error.Type != rest.ErrorTypeValidationError || field(e, "Idempotency-Key") == "" {
		t.Errorf("another request with the key: %+v", e)
	}
}

func TestASecretThatIsShownOnceIsShownAgainToARepeat(t *testing.T) {
	t.Parallel()
	st := shape{}.start(t)
	for path, body := range map[string]map[string]any{
		"/v2/connectTokens":    {"type": "passkey-list", "data": map[string]any{"identifier": "ada"}},
		"/v2/webhookEndpoints": {"url": "https://example.com/", "subscribedEvents": []string{"*"}},
	} {
		first, again := st.repeatable(t, path, "key:"+path, body), st.repeatable(t, path, "key:"+path, body)
		var shown struct{ Secret string }
		if err := json.Unmarshal(first.body, &shown); err != nil || shown.Secret == "" {
			t.Errorf("%s: %d %s", path, first.status, first.body)
		}
		if !bytes.Equal(first.body, again.body) || again.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s: first %s, again %s", path, first.body, again.body)
		}
	}
}

package test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/keyward/keyward/api/operator"
)

// What a server that runs refuses of whoever calls the Operator API, and of pages of others.
func TestAServerRefusesWhoAttacksItsOperators(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	st := shape{name: "one process"}.startAt(t, now)
	root := st.admin(t)
	hire := func(name, role string, seconds int) api.OperatorCreated {
		asked := map[string]any{"name": name, "role": role, "seconds": seconds}
		return as[api.OperatorCreated](t, root.wants(200, "POST", "/operators", asked))
	}
	short, revoked, viewer := hire("short", "admin", 60), hire("revoked", "admin", 3600), hire("viewer", "viewer", 86400)
	for _, made := range []api.OperatorCreated{short, revoked, viewer} {
		desk{t, st.base, made.Token}.wants(200, "GET", "/me", nil)
	}
	b := st.browser(t)
	b.wants(200, "POST", "/session", nil, "Authorization", "Bearer "+revoked.Token)
	root.wants(200, "DELETE", "/operators/"+revoked.Operator.OperatorID, nil)
	desk{t, st.base, revoked.Token}.wants(401, "GET", "/me", nil)
	b.wants(401, "GET", "/me", nil)
	later.Store(int64(2 * time.Minute))
	if a := (desk{t, st.base, short.Token}).wants(401, "GET", "/me", nil); !strings.Contains(string(a.body), "expired") {
		t.Errorf("a token that has expired: %s", a.body)
	}
	later.Store(0)
	v := desk{t, st.base, viewer.Token}
	for path, body := range map[string]any{
		"/policy/changes": map[string]any{"revision": 1}, "/policy/canary": map[string]any{"step": "begin", "revision": 1},
		"/switches/all": map[string]any{"on": true}, "/operators": map[string]any{"name": "x", "role": "admin"},
		ofProject1 + "/users/usr-1/bars": map[string]any{"action": "login", "reason": "x"}, ofProject1 + "/users/usr-1/erase": nil,
		ofProject1 + "/keys": nil, ofProject1 + "/webhooks/whe-1/pause": map[string]any{"paused": true},
	} {
		v.wants(403, "POST", path, body)
	}
	// A page of another site has a browser send the cookie at most without the header, and says where it is.
	b = st.browser(t)
	b.wants(200, "POST", "/session", nil, "Authorization", "Bearer "+root.token)
	b.wants(403, "POST", "/operators", map[string]any{"name": "x", "role": "admin"}, "X-Keyward-Console", "")
	b.wants(403, "POST", "/operators", map[string]any{"name": "x", "role": "admin"}, "Origin", "https://evil.example")
	for _, path := range []string{"/session", "/session/passkey/options", "/session/passkey"} {
		b.wants(403, "POST", path, map[string]any{"answer": "{}"}, "Origin", "https://evil.example")
	}
	if a := b.wants(200, "GET", "/me", nil, "Origin", "https://evil.example"); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a page of another site may read it: %v", a.header)
	}
	rsp, err := http.Get(st.base + "/console/")
	if err != nil {
		t.Fatal(err)
	}
	_ = rsp.Body.Close()
	if policy := rsp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("the console may be framed: %s", policy)
	}
}

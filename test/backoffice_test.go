package test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/operator"
)

// desk is an operator who calls the Operator API.
type desk struct {
	t     *testing.T
	base  string
	token string
}

// admin returns an operator with every right.
func (s *stack) admin(t *testing.T) desk {
	t.Helper()
	if s.natsURL == "" && s.nats == nil {
		token, err := os.ReadFile(filepath.Join(s.dataDir, operator.TokenFile))
		if err != nil {
			t.Fatal(err)
		}
		return desk{t, s.base, strings.TrimSpace(string(token))}
	}
	return desk{t, s.base, s.hire(t, operator.Wanted{Name: "Root", Role: operator.Admin, By: "a test"})}
}

// hire makes an operator as keyward operator does, and returns the token.
func (s *stack) hire(t *testing.T, w operator.Wanted) string {
	t.Helper()
	at := s.natsURL
	if s.nats != nil {
		at = s.nats.url("operator")
	}
	conn, err := nats.Connect(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.KeyValue(t.Context(), bus.OperatorsBucket)
	if err != nil {
		t.Fatal(err)
	}
	store, err := operator.NewStore(t.Context(), bucket, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	made, token, err := operator.New(w, time.Now())
	if err == nil {
		err = store.Create(t.Context(), made)
	}
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (d desk) ask(method, path string, body any) answer {
	d.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		d.t.Fatal(err)
	}
	if body == nil {
		raw = nil
	}
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.base+"/operator/v1"+path, bytes.NewReader(raw))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	answered, err := io.ReadAll(rsp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer{rsp.StatusCode, rsp.Header, answered}
}

// wants asks, and wants the status.
func (d desk) wants(status int, method, path string, body any) answer {
	d.t.Helper()
	a := d.ask(method, path, body)
	if a.status != status {
		d.t.Errorf("%s %s: %d %s", method, path, a.status, a.body)
	}
	return a
}

// What an operator sees of a user, does to it, and leaves in the trail; in one process, and over a NATS that lets no service do more than
// it has to.
func TestAnOperatorLooksAfterProjectsAndUsers(t *testing.T) {
	t.Parallel()
	for _, s := range []shape{
		{name: "one process"},
		{name: "deployed", split: true, redis: true, deployed: true, parts: []string{"events", "decision", "ceremony", "gateway"}},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := s.start(t)
			root := st.admin(t)
			t.Run("projects and keys", func(t *testing.T) { keysByOperator(t, st, root) })
			t.Run("users", func(t *testing.T) { usersByOperator(t, st, root) })
			t.Run("passkeys of operators", func(t *testing.T) { passkeysByOperator(t, st, root) })
			t.Run("operators", func(t *testing.T) { operatorsByOperator(t, st, root) })
			if st.nats != nil && len(st.nats.refusals.all()) > 0 {
				t.Errorf("NATS has refused %v", st.nats.refusals.all())
			}
		})
	}
}

const ofProject1 = "/projects/" + project1

func keysByOperator(t *testing.T, st *stack, root desk) {
	t.Helper()
	root.t = t
	if list := as[api.ProjectList](t, root.ask("GET", "/projects", nil)); len(list.Projects) != 1 || list.Projects[0].ProjectID != project1 {
		t.Errorf("the projects are %+v", list)
	}
	if a := root.ask("GET", ofProject1, nil); strings.Contains(string(a.body), "secret") || as[api.Project](t, a).RpID != "localhost" {
		t.Errorf("the project is %s", a.body)
	}
	root.wants(400, "POST", ofProject1+"/keys", map[string]any{"name": "k", "permissions": []string{"users:fly"}})
	made := as[api.ProjectKeyCreated](t, root.ask("POST", ofProject1+"/keys", map[string]any{
		"name": "reporting", "permissions": []string{"users:read"}, "seconds": 3600,
	}))
	users := func() int {
		req, err := http.NewRequestWithContext(t.Context(), "GET", st.base+"/v2/users", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+made.Text)
		rsp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = rsp.Body.Close()
		return rsp.StatusCode
	}
	eventually(t, "the key does not work", func() bool { return users() == 200 })
	a := root.wants(200, "GET", ofProject1+"/keys", nil)
	if keys := as[api.ProjectKeyList](t, a); len(keys.Keys) != 1 || strings.Contains(string(a.body), made.Text) || len(keys.Permissions) == 0 {
		t.Errorf("the keys are %s", a.body)
	}
	root.wants(200, "DELETE", ofProject1+"/keys/"+made.Key.KeyID, nil)
	root.wants(404, "DELETE", ofProject1+"/keys/"+made.Key.KeyID, nil)
	eventually(t, "the key works still", func() bool { return users() == 401 })
	root.told("key-created", func(e api.AuditEvent) bool {
		return e.ActorKind == "operator" && e.ActorID != nil && *e.ProjectID == project1
	})
	root.told("key-revoked", func(e api.AuditEvent) bool { return e.ActorKind == "operator" })
}

// told waits until the trail has an event.
func (d desk) told(kind string, is func(api.AuditEvent) bool) {
	d.t.Helper()
	eventually(d.t, "the trail has no "+kind, func() bool {
		trail := as[api.AuditTrail](d.t, d.ask("GET", "/audit?type="+kind, nil))
		return slices.ContainsFunc(trail.Events, is)
	})
}

func usersByOperator(t *testing.T, st *stack, root desk) {
	t.Helper()
	root.t = t
	p := st.newPerson(t)
	st.call(t, "POST", "/v2/users/"+p.id+"/identifiers", map[string]any{
		"identifierType": "email", "identifierValue": "ada@example.com", "status": "primary",
	})
	p.createPasskey(t)
	process := p.nextProcess()
	p.loginFinish(t, process, p.loginStart(t, process).AssertionOptions)
	user := ofProject1 + "/users/" + p.id
	eventually(t, "the user is not found", func() bool {
		found := as[api.OperatorUserList](t, root.ask("GET", ofProject1+"/users?query=ada%40example.com", nil))
		return len(found.Users) == 1 && found.Users[0].UserID == p.id && *found.Users[0].FoundBy == api.OperatorUserFoundByIdentifier
	})
	profile := as[api.UserProfile](t, root.ask("GET", user, nil))
	if len(profile.Passkeys) != 1 || profile.Passkeys[0].Class == "" || profile.Lacks != nil || len(profile.User.Identifiers) != 1 {
		t.Fatalf("the user is %+v", profile)
	}
	for _, query := range []string{p.id, profile.Passkeys[0].WebauthnID, "Lovelace"} {
		found := as[api.OperatorUserList](t, root.ask("GET", ofProject1+"/users?query="+query, nil))
		if len(found.Users) != 1 || found.Users[0].UserID != p.id {
			t.Errorf("%s finds %+v", query, found)
		}
	}
	barred := as[api.UserActed](t, root.ask("POST", user+"/bars", map[string]any{"of": "login", "seconds": 3600, "reason": "a stolen phone"}))
	profile = as[api.UserProfile](t, root.ask("GET", user, nil))
	if len(profile.Bars) != 1 || profile.Bars[0].EventID != *barred.EventID || profile.Bars[0].Until == nil {
		t.Errorf("the bars are %+v", profile.Bars)
	}
	for _, e := range profile.Environments {
		if e.Login == nil || e.Login.Offered || e.Login.Until == nil {
			t.Errorf("in %s it would be offered %+v, %+v", e.EnvironmentID, *e.Login, e)
		}
	}
	root.wants(200, "DELETE", user+"/bars/"+*barred.EventID, nil)
	root.wants(404, "DELETE", user+"/bars/"+*barred.EventID, nil)
	root.wants(200, "PUT", user+"/status", map[string]any{"status": "disabled"})
	root.wants(200, "PUT", user+"/status", map[string]any{"status": "active"})
	root.wants(400, "PUT", user+"/labels", map[string]any{"labels": []string{"no-such-label"}})
	sessionsRevoked(t, st, root, p.id)
	timeline(t, root, user)
	root.wants(200, "DELETE", user+"/passkeys/"+profile.Passkeys[0].CredentialID, nil)
	root.wants(404, "DELETE", user+"/passkeys/"+profile.Passkeys[0].CredentialID, nil)
	root.wants(400, "POST", user+"/erase", map[string]any{"userID": "usr-1"})
	root.wants(200, "POST", user+"/erase", map[string]any{"userID": p.id, "reason": "asked for"})
	root.wants(404, "GET", user, nil)
	root.wants(404, "GET", user+"/timeline", nil)
	for _, act := range []string{"barred", "bar-lifted", "status-set", "sessions-revoked", "passkey-deleted", "erased"} {
		root.told("operator-acted", func(e api.AuditEvent) bool {
			return e.Event["act"] == act && e.Event["user"] == p.id && e.ActorKind == "operator"
		})
	}
}

func sessionsRevoked(t *testing.T, st *stack, root desk, user string) {
	t.Helper()
	opened := as[rest.LongSession](t, st.call(t, "POST", "/v2/users/"+user+"/longSessions", map[string]any{
		"appType": "empty", "identifierType": "email", "identifierValue": "ada@example.com",
	}))
	path := ofProject1 + "/users/" + user + "/sessions/revoke"
	root.wants(400, "POST", path, map[string]any{"sessionID": "ses-1"})
	eventually(t, "the session is not revoked", func() bool {
		acted := as[api.UserActed](t, root.ask("POST", path, map[string]any{}))
		return acted.Count != nil && *acted.Count == 1
	})
	if now := as[rest.LongSession](t, st.call(t, "GET", "/v2/longSessions/"+opened.LongSessionID, nil)); now.Status != "revoked" {
		t.Errorf("the session is %s", now.Status)
	}
}

// timeline reads the whole of it, in pages, and finds nothing twice, and nothing missing that is there at once.
func timeline(t *testing.T, root desk, user string) {
	t.Helper()
	var all api.UserTimeline
	eventually(t, "the timeline does not have everything", func() bool {
		all = as[api.UserTimeline](t, root.ask("GET", user+"/timeline?limit=500", nil))
		kinds := map[api.TimelineEntryKind]int{}
		for _, e := range all.Entries {
			kinds[e.Kind]++
		}
		return kinds["event"] > 4 && kinds["decision"] >= 2 && kinds["session"] == 1 && len(all.Lacks) == 0
	})
	if !slices.IsSortedFunc(all.Entries, func(a, b api.TimelineEntry) int { return b.At.Compare(a.At) }) {
		t.Error("it is not sorted")
	}
	var paged []string
	for before := ""; ; {
		page := as[api.UserTimeline](t, root.ask("GET", user+"/timeline?limit=3"+before, nil))
		for _, e := range page.Entries {
			paged = append(paged, e.ID)
		}
		if page.Next == nil {
			break
		}
		before = "&before=" + *page.Next
	}
	whole := make([]string, 0, len(all.Entries))
	for _, e := range all.Entries {
		whole = append(whole, e.ID)
	}
	if !slices.Equal(paged, whole) {
		t.Errorf("in pages it is\n%v, and at once\n%v", paged, whole)
	}
	for _, e := range as[api.UserTimeline](t, root.ask("GET", user+"/timeline?kind=decision,session", nil)).Entries {
		if e.Kind != "decision" && e.Kind != "session" {
			t.Errorf("filtered by kind it has %+v", e)
		}
	}
}

func operatorsByOperator(t *testing.T, st *stack, root desk) {
	t.Helper()
	root.t = t
	root.wants(400, "POST", "/operators", map[string]any{"name": "Lou", "role": "admin", "projects": []string{"pro-404"}})
	made := as[api.OperatorCreated](t, root.ask("POST", "/operators", map[string]any{
		"name": "Lou", "role": "approver", "projects": []string{project1}, "seconds": 3600,
	}))
	lou := desk{t, st.base, made.Token}
	me := as[api.Operator](t, lou.ask("GET", "/me", nil))
	if me.Name != "Lou" || me.Role != "approver" || me.Projects == nil || (*me.Projects)[0] != project1 || me.Expires == nil {
		t.Errorf("it is %+v", me)
	}
	lou.wants(200, "GET", ofProject1, nil)
	lou.wants(404, "GET", "/projects/pro-2", nil)
	lou.wants(200, "GET", "/decisions", nil)
	lou.wants(403, "GET", "/decisions?filter[]=projectID:eq:pro-2", nil)
	lou.wants(200, "GET", "/adoption", nil)
	lou.wants(403, "GET", "/operators", nil)
	lou.wants(403, "POST", "/policy/changes", map[string]any{"revision": 1})
	trail := as[api.AuditTrail](t, lou.ask("GET", "/audit", nil))
	for _, e := range trail.Events {
		if e.ProjectID == nil || *e.ProjectID != project1 {
			t.Errorf("it sees %+v", e)
		}
	}
	if health := as[api.Health](t, lou.ask("GET", "/health", nil)); len(health.Dependencies) == 0 {
		t.Errorf("the health is %+v", health)
	}
	list := as[api.OperatorAccountList](t, root.ask("GET", "/operators", nil))
	if !slices.ContainsFunc(list.Operators, func(o api.OperatorAccount) bool { return o.OperatorID == made.Operator.OperatorID }) {
		t.Errorf("the operators are %+v", list)
	}
	root.wants(200, "DELETE", "/operators/"+made.Operator.OperatorID, nil)
	root.wants(404, "DELETE", "/operators/"+made.Operator.OperatorID, nil)
	lou.wants(401, "GET", "/me", nil)
	root.told("operator-created", func(e api.AuditEvent) bool { return e.ActorKind == "operator" })
	root.told("operator-revoked", func(e api.AuditEvent) bool { return e.ActorKind == "operator" })
}

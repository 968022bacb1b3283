package test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/services/ceremony/delivery"
)

// deployedNATS is the NATS server as deploy/ configures it.
type deployedNATS struct {
	*server.Server
	refusals refusals
}

func (d *deployedNATS) url(user string) string {
	return strings.Replace(d.ClientURL(), "://", "://"+user+":p"+user+"@", 1)
}

// refusals are what the server has refused to its users.
type refusals struct {
	mu   sync.Mutex
	said []string
}

func (r *refusals) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said
}

// Errorf implements server.Logger, and so do the others.
func (r *refusals) Errorf(format string, v ...any) {
	if said := fmt.Sprintf(format, v...); strings.Contains(said, "Violation") {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.said = append(r.said, said)
	}
}

func (*refusals) Noticef(string, ...any) {}
func (*refusals) Warnf(string, ...any)   {}
func (*refusals) Fatalf(string, ...any)  {}
func (*refusals) Debugf(string, ...any)  {}
func (*refusals) Tracef(string, ...any)  {}

var passwordVariable = regexp.MustCompile(`\$NATS_([A-Z]+)_PASSWORD`)

func startDeployedNATS(t *testing.T, dir string) *deployedNATS {
	t.Helper()
	text := passwordVariable.ReplaceAllStringFunc(repoFile(t, "deploy/nats-server.conf"), func(variable string) string {
		return "p" + strings.ToLower(passwordVariable.FindStringSubmatch(variable)[1])
	})
	file := filepath.Join(t.TempDir(), "nats-server.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	opts.Host, opts.Port, opts.HTTPHost, opts.HTTPPort, opts.StoreDir, opts.NoSigs = "127.0.0.1", server.RANDOM_PORT, "", 0, dir, true
	opts.PingInterval = patientPing
	d := &deployedNATS{}
	if d.Server, err = server.NewServer(opts); err != nil {
		t.Fatal(err)
	}
	d.SetLoggerV2(&d.refusals, false, false, false)
	d.Start()
	t.Cleanup(func() {
		d.Shutdown()
		d.WaitForShutdown()
	})
	if !d.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	return d
}

// provision does what the job of that name does.
func (s *stack) provision(t *testing.T, cfg settings.Config) {
	t.Helper()
	cfg.NATS.URL = settings.Secret(s.nats.url("provision"))
	if err := app.Provision(t.Context(), cfg, app.Options{Log: testLog(t)}); err != nil {
		t.Fatal(err)
	}
}

// Each service may do what it does: through everything that the APIs offer, the server refuses nothing to any of them.
func TestTheUsersOfTheDeploymentMayDoWhatTheirServicesDo(t *testing.T) {
	t.Parallel()
	box, delivered := newPostbox(t), make(chan struct{}, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { delivered <- struct{}{} }))
	t.Cleanup(receiver.Close)
	s := shape{split: true, redis: true, deployed: true, parts: []string{"ceremony", "events", "decision", "gateway"}}
	st := s.start(t, func(cfg *settings.Config) {
		cfg.Delivery.Kind, cfg.Delivery.WebhookURL, cfg.Delivery.WebhookSecret = delivery.Webhook, settings.Secret(
			box.URL,
		), settings.Secret(
			box.secret,
		)
		cfg.Webhooks.AllowHTTP, cfg.Webhooks.AllowPrivate = true, true
	})
	hook := as[rest.WebhookEndpoint](t, st.call(t, "POST", "/v2/webhookEndpoints", map[string]any{
		"url": receiver.URL, "subscribedEvents": []string{"*"}, "customHeaders": map[string]string{},
	}))

	ada := st.newPerson(t)
	ada.createPasskey(t)
	login(t, ada)
	path := "/v2/users/" + ada.id
	as[rest.Identifier](
		t,
		st.call(
			t, "POST", path+"/identifiers",
			map[string]any{"identifierType": "email", "identifierValue": "ada@example.com", "status": "primary"},
		),
	)
	ada.postEvent(t, map[string]any{"eventType": "login-explicit-abort"})
	as[rest.Challenge](
		t,
		st.call(
			t, "POST", path+"/challenges",
			map[string]any{"challengeType": "email_otp", "identifierValue": "ada@example.com", "clientInformation": mac("")},
		),
	)
	token := as[rest.ConnectToken](
		t,
		st.call(t, "POST", "/v2/connectTokens", map[string]any{"type": "passkey-list", "data": map[string]any{"identifier": "ada@example.com"}}),
	)
	if passkeys := manage(t, st.base, *token.Secret); len(passkeys) != 1 {
		t.Errorf("%d passkeys are shown", len(passkeys))
	}
	for _, list := range []string{
		"/v2/users", "/v2/identifiers", "/v2/connectTokens", path + "/passkeyEvents",
		"/v2/webhookEndpoints/" + hook.ID + "/deliveries",
	} {
		if listed := st.call(t, "GET", list, nil); listed.status != http.StatusOK {
			t.Errorf("%s: %d %s", list, listed.status, listed.body)
		}
	}
	bob := &visitor{client: client{base: st.base}, device: authenticator.Phone()}
	bob.signUp(t, "ada")
	bob.token = bob.refresh
	bob.token = as[frontend.MeRefreshRsp](t, bob.visit(t, "POST", "/v2/me/refresh", "")).SessionToken
	forgeries(t, st, bob)
	logIn(t, st, bob)
	followed(t, st)
	repeated(t, st)
	select {
	case <-delivered:
	case <-time.After(patience):
		t.Error("nothing was delivered to the webhook endpoint")
	}
	as[rest.GenericRsp](t, st.call(t, "DELETE", path, nil))
	as[rest.GenericRsp](t, st.call(t, "DELETE", "/v2/webhookEndpoints/"+hook.ID, nil))
	for _, refused := range st.nats.refusals.all() {
		t.Errorf("NATS refused: %s", refused)
	}
	followers(t, st)
	// And if it did, it would be seen here.
	conn, err := nats.Connect(st.nats.url(settings.Gateway))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Publish("$KV.sessions.pro-1.ses-1", nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a refusal is not seen", func() bool { return len(st.nats.refusals.all()) > 0 })
}

// followers are the consumers that there are when everything has been done. Who needed one would have to be allowed to make it.
func followers(t *testing.T, st *stack) {
	t.Helper()
	conn, err := nats.Connect(st.nats.url("operator"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	names := js.StreamNames(t.Context())
	for name := range names.Name() {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		found := stream.ConsumerNames(t.Context())
		for consumer := range found.Name() {
			if name != bus.EventsStream || consumer != bus.ErasureConsumer {
				t.Errorf("%s has the consumer %s", name, consumer)
			}
		}
		if err := found.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := names.Err(); err != nil {
		t.Fatal(err)
	}
}

// forgeries are refresh tokens of the visitor's session, made with whatever a gateway may read of the project. Before keys had
// purposes, one of them was taken.
func forgeries(t *testing.T, st *stack, v *visitor) {
	t.Helper()
	conn, err := nats.Connect(st.nats.url(settings.Gateway), nats.CustomInboxPrefix("_INBOX."+settings.Gateway))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	read, err := conn.Request("$JS.API.DIRECT.GET.KV_projects.$KV.projects."+project1, nil, patience)
	if err != nil {
		t.Fatal(err)
	}
	secrets := regexp.MustCompile(`"([A-Za-z0-9+/=]{20,})"`).FindAllSubmatch(read.Data, -1)
	if len(secrets) < 2 {
		t.Fatalf("the project is read as %s", read.Data)
	}
	said := strings.SplitN(v.refresh, "_", 5)
	for _, secret := range secrets {
		raw, err := base64.StdEncoding.DecodeString(string(secret[1]))
		if err != nil {
			continue
		}
		for _, form := range []string{said[1] + "_" + said[2], said[1] + "_" + said[2] + "_" + said[3]} {
			mac := hmac.New(sha256.New, raw)
			mac.Write([]byte("refresh token " + form))
			thief := &visitor{client: client{base: st.base}, token: "rt1_" + form + "_" + hex.EncodeToString(mac.Sum(nil))}
			thief.visit(t, "POST", "/v2/me/refresh", "").fault(t, http.StatusUnauthorized)
		}
	}
}

// followed reads the first event of the stream of events.
func followed(t *testing.T, st *stack) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, st.base+"/v2/events/stream?since=2020-01-01T00:00:00Z", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(st.project, st.secret)
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	if line, err := bufio.NewReader(rsp.Body).ReadString('\n'); err != nil || rsp.StatusCode != http.StatusOK {
		t.Errorf("the stream of events: %d %q, %v", rsp.StatusCode, line, err)
	}
}

// repeated makes a call twice with one Idempotency-Key.
func repeated(t *testing.T, st *stack) {
	t.Helper()
	var users []string
	for range 2 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, st.base+"/v2/users", strings.NewReader(`{"status": "active"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(st.project, st.secret)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", "once")
		rsp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body := new(strings.Builder)
		_, err = bufio.NewReader(rsp.Body).WriteTo(body)
		_ = rsp.Body.Close()
		if err != nil || rsp.StatusCode != http.StatusOK {
			t.Fatalf("%d %s, %v", rsp.StatusCode, body, err)
		}
		users = append(users, regexp.MustCompile(`usr-\d+`).FindString(body.String()))
	}
	if users[0] != users[1] {
		t.Errorf("a repeated call made %v", users)
	}
}

package test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/core/bus"
)

// oldData is what the users of an old data directory hold, and the entries that NATS drops by its own clock.
type oldData struct {
	MadeMs    int64                 `json:"madeMs"`
	User      string                `json:"user"`
	Device    *authenticator.Device `json:"device"`
	Handle    string                `json:"handle"` // client environment handle
	Event     string                `json:"event"`
	Webhook   string                `json:"webhook"`
	Connect   string                `json:"connect"`   // secret of a connect token
	Challenge string                `json:"challenge"` // one-time code: its ID
	Code      string                `json:"code"`
	Visitor   *authenticator.Device `json:"visitor"` // who signed up as ada
	Session   string                `json:"session"` // session token
	Refresh   string                `json:"refresh"` // refresh token
	Aging     []oldEntry            `json:"aging"`
}

type oldEntry struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	Value  []byte `json:"value"`
}

const (
	oldDirectory = "testdata/olddata"
	century      = "876000h"
)

// A data directory that an earlier version left is served by this one, and what it gave out still holds. The clock is the test's: it goes
// on where the old version stopped, so that the test does not age.
func TestADataDirectoryOfAnEarlierVersionIsServed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := unpackOldData(t, dir)
	putAging(t, dir, old)
	var said warnings
	st := serveOldData(t, dir, old, slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelWarn})))

	if told := said.String(); !strings.Contains(told, "must name one host") || !strings.Contains(told, wildcard) {
		t.Errorf("no warning tells of %s, which would be refused now:\n%s", wildcard, told)
	}

	ada := &person{client: st.client, id: old.User, device: old.Device, handle: old.Handle, process: 100}
	for range 2 {
		process := ada.nextProcess()
		start := ada.loginStart(t, process)
		if start.NewClientEnvHandle != nil {
			t.Error("the handle of the client environment is not recognised")
		}
		as[rest.PasskeyLoginFinishRsp](t, ada.loginFinish(t, process, start.AssertionOptions))
	}
	users := as[rest.UserList](t, st.call(t, "GET", "/v2/users", nil))
	if users.Paging.TotalItems != 2 {
		t.Errorf("there are %d users", users.Paging.TotalItems)
	}
	events := st.call(t, "GET", "/v2/users/"+old.User+"/passkeyEvents?pageSize=100", nil)
	if events.status != http.StatusOK || !strings.Contains(string(events.body), old.Event) {
		t.Errorf("the old event is not listed: %s", events.body)
	}
	if hooks := as[rest.WebhookEndpointList](
		t, st.call(t, "GET", "/v2/webhookEndpoints", nil),
	); len(hooks.WebhookEndpoints) != 1 ||
		hooks.WebhookEndpoints[0].ID != old.Webhook {
		t.Errorf("the webhook endpoints are %+v", hooks.WebhookEndpoints)
	}
	checked := as[rest.Challenge](
		t, st.call(t, "PATCH", "/v2/users/"+old.User+"/challenges/"+old.Challenge, map[string]any{"value": old.Code}),
	)
	if checked.Status != rest.ChallengeStatusCompleted {
		t.Errorf("the old code is %s", checked.Status)
	}

	v := &visitor{client: client{base: st.base}, device: old.Visitor, token: old.Session}
	as[frontend.MeRsp](t, v.visit(t, "GET", "/v2/me", ""))
	v.token = old.Refresh
	v.token = as[frontend.MeRefreshRsp](t, v.visit(t, "POST", "/v2/me/refresh", "")).SessionToken
	as[frontend.MeRsp](t, v.visit(t, "GET", "/v2/me", ""))
	v.token = v.refresh
	as[frontend.MeRefreshRsp](t, v.visit(t, "POST", "/v2/me/refresh", ""))
	logIn(t, st, v)
	if passkeys := manage(t, st.base, old.Connect); len(passkeys) != 1 {
		t.Errorf("the old connect token shows %d passkeys", len(passkeys))
	}

	st.call(t, "PATCH", "/v2/projectConfig", map[string]any{"origins": []string{origin, wildcard}}).fault(t, http.StatusBadRequest)
	mended := as[rest.ProjectConfig](
		t,
		st.call(t, "PATCH", "/v2/projectConfig", map[string]any{"origins": []string{origin}, "relatedOrigins": []string{}}),
	)
	if !slices.Equal(mended.Origins, []string{origin}) || len(mended.RelatedOrigins) > 0 {
		t.Errorf("the mended project has %v and %v", mended.Origins, mended.RelatedOrigins)
	}
}

// manage lists the passkeys that a connect token of type passkey-list shows.
func manage(t *testing.T, base, secret string) []frontend.Passkey {
	t.Helper()
	v := &visitor{client: client{base: base}}
	v.process = as[frontend.ConnectManageInitRsp](
		t,
		v.visit(t, "POST", "/v2/connect/manage/init", `{"clientInformation": `+visitorSays+`, "flags": {}}`),
	).ProcessID
	return as[frontend.ConnectManageListRsp](t, v.visit(t, "POST", "/v2/connect/manage/list", quoted(t, "connectToken", secret))).Passkeys
}

// warnings are what a log was written.
type warnings struct {
	mu   sync.Mutex
	said strings.Builder
}

func (w *warnings) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said.Write(line)
}

func (w *warnings) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said.String()
}

// wildcard is an origin that earlier versions took, and no browser sends.
const wildcard = "https://*.example.com"

func serveOldData(t *testing.T, dir string, old oldData, log *slog.Logger) *stack {
	t.Helper()
	cfg := settings.DefaultConfig()
	cfg.HTTP.Addr, cfg.HTTP.GRPCAddr, cfg.AdminAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.NATS.Addr, cfg.NATS.DataDir = "off", dir
	cfg.NATS.SessionsMaxAge, _ = time.ParseDuration(century)
	cfg.Decision.EvalTimeout, cfg.HTTP.RequestTimeout = 5*time.Second, time.Minute
	began, made := time.Now(), time.UnixMilli(old.MadeMs)
	a := startAppAt(t, cfg, log, func() time.Time { return made.Add(time.Minute + time.Since(began)) })
	return &stack{
		client: client{base: "http://" + a.HTTPAddr(), project: project1, secret: secret1}, dataDir: dir, apps: []*app.App{a},
		gateway: a,
	}
}

func unpackOldData(t *testing.T, dir string) oldData {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(oldDirectory, "holds.json"))
	if err != nil {
		t.Fatal(err)
	}
	var old oldData
	if err := json.Unmarshal(raw, &old); err != nil {
		t.Fatal(err)
	}
	packed, err := os.Open(filepath.Join(oldDirectory, "data.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = packed.Close() }()
	plain, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewReader(plain)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return old
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(header.Name))
		content, err := io.ReadAll(files)
		if err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// putAging puts back what NATS has dropped since, as the old version had written it, and gives its project an origin that it took.
func putAging(t *testing.T, dir string, old oldData) {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.SyncInterval = dir, time.Minute
	cfg.SessionsMaxAge, _ = time.ParseDuration(century)
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, entry := range old.Aging {
		bucket, err := b.Bucket(t.Context(), entry.Bucket)
		if err == nil {
			_, err = bucket.Put(t.Context(), entry.Key, entry.Value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	bucket, err := b.Bucket(t.Context(), bus.ProjectsBucket)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := bucket.Get(t.Context(), project1)
	if err != nil {
		t.Fatal(err)
	}
	var changed map[string]any
	if err := json.Unmarshal(stored.Value(), &changed); err != nil {
		t.Fatal(err)
	}
	changed["origins"] = append(changed["origins"].([]any), wildcard)
	raw, err := json.Marshal(changed)
	if err == nil {
		_, err = bucket.Put(t.Context(), project1, raw)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestMakeOldData makes the old data anew with the binary that OLD_KEYWARD names; see the README beside them.
func TestMakeOldData(t *testing.T) {
	binary := os.Getenv("OLD_KEYWARD")
	if binary == "" {
		t.Skip("OLD_KEYWARD names no binary")
	}
	dir := t.TempDir()
	box := newPostbox(t)
	server := run(
		t, binary, dir, "KEYWARD_NATS_ADDR=127.0.0.1:0", "KEYWARD_SESSIONS_MAX_AGE="+century,
		"KEYWARD_SESSION_LIFETIME=2000h", "KEYWARD_SESSION_INACTIVITY=2000h", "KEYWARD_DELIVERY=webhook",
		"KEYWARD_DELIVERY_WEBHOOK_URL="+box.URL, "KEYWARD_DELIVERY_WEBHOOK_SECRET="+box.secret,
	)
	old := makeOldData(t, server)
	address, err := bus.ServerURL(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{bus.CodesBucket, bus.TokensBucket} {
		old.Aging = append(old.Aging, entriesOf(t, address, name)...)
	}
	if err := server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := server.cmd.Process.Wait(); err != nil {
		t.Fatal(err)
	}
	raw, err := json.MarshalIndent(old, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		os.MkdirAll(oldDirectory, 0o755), os.WriteFile(filepath.Join(oldDirectory, "holds.json"), append(raw, '\n'), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	pack(t, dir, filepath.Join(oldDirectory, "data.tar.gz"))
}

func makeOldData(t *testing.T, server *process) oldData {
	t.Helper()
	ada := server.newPerson(t)
	ada.createPasskey(t)
	login(t, ada)
	path := "/v2/users/" + ada.id
	as[rest.Identifier](
		t,
		server.call(
			t, "POST", path+"/identifiers",
			map[string]any{"identifierType": "email", "identifierValue": "ada@example.com", "status": "primary"},
		),
	)
	event := ada.postEvent(t, map[string]any{"eventType": "login-explicit-abort"})
	hook := as[rest.WebhookEndpoint](t, server.call(t, "POST", "/v2/webhookEndpoints", map[string]any{
		"url": "https://hooks.example.com/", "subscribedEvents": []string{"*"}, "customHeaders": map[string]string{},
	}))
	token := as[rest.ConnectToken](
		t,
		server.call(
			t, "POST", "/v2/connectTokens",
			map[string]any{"type": "passkey-list", "data": map[string]any{"identifier": "ada@example.com"}},
		),
	)
	code := as[rest.Challenge](t, server.call(t, "POST", path+"/challenges", map[string]any{
		"challengeType": "email_otp", "identifierValue": "ada@example.com", "clientInformation": mac(""),
	}))
	v := &visitor{client: client{base: server.base}, device: authenticator.Phone()}
	v.signUp(t, "ada")
	return oldData{
		MadeMs: time.Now().UnixMilli(), User: ada.id, Device: ada.device, Handle: ada.handle, Event: event.PasskeyEventID, Webhook: hook.ID,
		Connect: *token.Secret, Challenge: code.ChallengeID, Code: code.Value, Visitor: v.device, Session: v.token, Refresh: v.refresh,
	}
}

func entriesOf(t *testing.T, address, name string) []oldEntry {
	t.Helper()
	conn, err := nats.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.KeyValue(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := bucket.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var entries []oldEntry
	for _, key := range keys {
		entry, err := bucket.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, oldEntry{name, key, entry.Value()})
	}
	return entries
}

// pack writes all files of a directory but what a start makes anew.
func pack(t *testing.T, dir, path string) {
	t.Helper()
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	small, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewWriter(small)
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(name, "readmodel/") || name == "lock" || name == bus.URLFile {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("pack: %w", err)
		}
		if err := files.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content))}); err != nil {
			return fmt.Errorf("pack: %w", err)
		}
		_, err = files.Write(content)
		return err
	})
	if err := errors.Join(err, files.Close(), small.Close()); err != nil {
		t.Fatal(err)
	}
}

package download_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyward/keyward/services/decision/internal/download"
)

// answering is a policy that takes every bundle but one that begins with "bad".
type answering struct {
	mu         sync.Mutex
	raw        []byte
	taken      int
	refused    []string
	unfinished bool
}

var errBad = errors.New("login.rego:7: it is bad")

func (a *answering) Take(_ context.Context, raw []byte, _ time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken++
	if bytes.HasPrefix(raw, []byte("bad")) {
		return errBad
	}
	a.raw = raw
	return nil
}

func (a *answering) Refuse(_ context.Context, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = append(a.refused, err.Error())
}

func (a *answering) Unfinished() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unfinished
}

func (a *answering) state() (raw string, taken, refused int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return string(a.raw), a.taken, len(a.refused)
}

// bundles is a server of one bundle.
type bundles struct {
	*httptest.Server
	mu    sync.Mutex
	serve http.HandlerFunc
	asked atomic.Int32
}

func serve(t *testing.T, first http.HandlerFunc) *bundles {
	t.Helper()
	b := &bundles{serve: first}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.asked.Add(1)
		b.mu.Lock()
		now := b.serve
		b.mu.Unlock()
		now(w, r)
	}))
	t.Cleanup(b.CloseClientConnections)
	t.Cleanup(b.Close)
	return b
}

func (b *bundles) now(serve http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serve = serve
}

// of serves content under a tag.
func of(content, tag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", tag)
		if tag != "" && r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, content)
	}
}

func config(url string) download.Config {
	cfg := download.DefaultConfig()
	cfg.URL, cfg.Poll = url, 50*time.Millisecond
	return cfg
}

func follow(t *testing.T, cfg download.Config, policy *answering, now func() time.Time) *download.Follower {
	t.Helper()
	f, err := download.Follow(cfg, download.Limits{
		RetryLongest: 200 * time.Millisecond, MaxAge: time.Hour, Now: now, Log: slog.New(slog.DiscardHandler),
	}, policy)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func run(t *testing.T, f *download.Follower) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	looks, end := time.NewTicker(10*time.Millisecond), time.After(time.Minute)
	defer looks.Stop()
	for !holds() {
		select {
		case <-end:
			t.Fatal("not within a minute: " + what)
		case <-looks.C:
		}
	}
}

func TestABundleIsTakenOnceAndAgainWhenItIsAnother(t *testing.T) {
	t.Parallel()
	for name, tag := range map[string]string{"with a tag": `"1"`, "without": ""} {
		server, policy := serve(t, of("one", tag)), &answering{}
		cfg := config(server.URL + "/bundles/keyward.tar.gz?x=1")
		cfg.File = filepath.Join(t.TempDir(), "last.tar.gz")
		f := follow(t, cfg, policy, time.Now)
		if err := f.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		run(t, f)
		eventually(t, "it is asked for again", func() bool { return server.asked.Load() >= 3 })
		if raw, taken, _ := policy.state(); raw != "one" || taken != 1 || f.Behind() != nil {
			t.Errorf("%s: %q was taken %d times; %v", name, raw, taken, f.Behind())
		}
		server.now(of("two", `"2"`))
		eventually(t, "the other one answers", func() bool { raw, _, _ := policy.state(); return raw == "two" })
		eventually(t, "it is kept", func() bool { kept, err := os.ReadFile(cfg.File); return err == nil && string(kept) == "two" })
	}
}

func TestAServerThatCanKeepsACallOpen(t *testing.T) {
	t.Parallel()
	var long atomic.Int32
	change := make(chan struct{})
	server, policy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.openpolicyagent.bundles")
		if r.Header.Get("If-None-Match") == "" {
			w.Header().Set("ETag", "1")
			_, _ = io.WriteString(w, "one")
			return
		}
		if strings.Contains(r.Header.Get("Prefer"), "wait=60") {
			long.Add(1)
		}
		select {
		case <-change:
			w.Header().Set("ETag", "2")
			_, _ = io.WriteString(w, "two")
		case <-r.Context().Done():
		}
	}), &answering{}
	cfg := config(server.URL + "/b")
	cfg.Poll = time.Hour
	f := follow(t, cfg, policy, time.Now)
	if err := f.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, f)
	eventually(t, "a call is kept open", func() bool { return long.Load() == 1 })
	close(change)
	eventually(t, "the other one answers at once", func() bool { raw, _, _ := policy.state(); return raw == "two" })
}

func TestWhatIsWrongWithAServerIsToldAndWhatAnswersGoesOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  string // of Behind; empty = it is refused
	}{
		"one that is gone": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"one that has broken": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "the answer is 502 Bad Gateway",
		},
		"one that forbids it": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "403"},
		"one that stops short": {
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "10")
				_, _ = io.WriteString(w, "two")
			},
			"cut short",
		},
		"one that says nothing": {func(http.ResponseWriter, *http.Request) {}, "the answer is empty"},
		"one that goes on and on": {
			func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 33<<20)) }, "more than",
		},
		"one with a bad bundle": {of("bad", `"b"`), ""},
	} {
		server, policy := serve(t, of("one", `"1"`)), &answering{}
		f := follow(t, config(server.URL+"/b"), policy, time.Now)
		if err := f.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		server.now(c.serve)
		run(t, f)
		eventually(t, name+" is told of", func() bool {
			_, _, refused := policy.state()
			if c.want == "" {
				return refused == 1
			}
			return errors.Is(f.Behind(), download.ErrAway) && strings.Contains(f.Behind().Error(), c.want) && refused == 0
		})
		if raw, _, _ := policy.state(); raw != "one" {
			t.Errorf("%s: %q answers", name, raw)
		}
		server.now(of("three", `"3"`))
		eventually(t, "after "+name+" it goes on", func() bool { raw, _, _ := policy.state(); return raw == "three" && f.Behind() == nil })
	}
}

func TestAProcessBeginsWithTheLastGoodBundleWhileTheServerIsOfNoUse(t *testing.T) {
	t.Parallel()
	server := serve(t, of("one", `"1"`))
	cfg := config(server.URL + "/b")
	cfg.File = filepath.Join(t.TempDir(), "last.tar.gz")
	if err := follow(t, cfg, &answering{}, time.Now).Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.now(of("bad", `"2"`))
	policy := &answering{}
	if err := follow(t, cfg, policy, time.Now).Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if raw, _, refused := policy.state(); raw != "one" || refused != 1 {
		t.Errorf("%q answers, and %d were refused", raw, refused)
	}
	server.Close()
	clock := time.Now()
	policy = &answering{}
	f := follow(t, cfg, policy, func() time.Time { return clock })
	if err := f.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if raw, _, _ := policy.state(); raw != "one" || !errors.Is(f.Behind(), download.ErrAway) {
		t.Errorf("%q answers; %v", raw, f.Behind())
	}
	if f.Lapsed(clock.Add(time.Hour)) || !f.Lapsed(clock.Add(time.Hour+time.Second)) {
		t.Error("it is not for an hour that it answers")
	}
	cfg.File = filepath.Join(t.TempDir(), "none")
	if err := follow(t, cfg, &answering{}, time.Now).Begin(t.Context()); !errors.Is(err, download.ErrAway) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a bundle on disk: %v", err)
	}
}

func TestWhatMayBeGoodAnotherTimeIsTakenThenWithoutBeingFetchedAgain(t *testing.T) {
	t.Parallel()
	server, policy := serve(t, of("one", `"1"`)), &answering{unfinished: true}
	f := follow(t, config(server.URL+"/b"), policy, time.Now)
	if err := f.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.now(of("bad", `"2"`))
	run(t, f)
	eventually(t, "it is tried again", func() bool { _, taken, _ := policy.state(); return taken >= 4 })
}

func TestCredentialsAreOfAFileAsOPAHasThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token, service := filepath.Join(dir, "token"), filepath.Join(dir, "service.yaml")
	text := "credentials: { bearer: { token_path: " + token + " } }\nheaders: { X-Of: keyward }\n"
	if err := errors.Join(os.WriteFile(token, []byte("s3cret\n"), 0o600), os.WriteFile(service, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cret" || r.Header.Get("X-Of") != "keyward" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "one")
	})
	cfg := config(server.URL + "/b")
	cfg.Service, cfg.Poll = service, time.Second
	if err := cfg.Validate(false); err != nil {
		t.Fatal(err)
	}
	if err := follow(t, cfg, &answering{}, time.Now).Begin(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSettingsThatCannotWorkAreRefusedByName(t *testing.T) {
	t.Parallel()
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "service.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		url, service string
		poll         time.Duration
		signed       bool
		want         string // empty = it can work
	}{
		"nothing":                  {"", "", 0, false, ""},
		"https":                    {"https://example.com/b.tar.gz", "", time.Second, false, ""},
		"http to this machine":     {"http://127.0.0.1:8181/b", "", time.Second, false, ""},
		"http that anybody writes": {"http://example.com/b", "", time.Second, false, "policy_source: whoever is on the way"},
		"http of what is signed":   {"http://example.com/b", "", time.Second, true, ""},
		"an image":                 {"oci://registry.example.com/policies/keyward:1", "", time.Second, false, ""},
		"an image without a tag":   {"oci://registry.example.com/policies/keyward", "", time.Second, false, "needs a tag"},
		"another scheme":           {"ftp://example.com/b", "", time.Second, false, "policy_source: must be"},
		"no path":                  {"https://example.com", "", time.Second, false, "policy_source: must be"},
		"no URL":                   {"https://%", "", time.Second, false, "policy_source: "},
		"a password":               {"https://u:p@example.com/b", "", time.Second, false, "policy_source: must have no credentials"},
		"without a pause":          {"https://example.com/b", "", 0, false, "policy_source_poll: must be at least 1s"},
		"a service of nothing":     {"", "x", 0, false, "policy_source_service: goes with policy_source"},
		"a file that is not":       {"https://example.com/b", "/nowhere", time.Second, false, "policy_source_service: "},
		"another member":           {"https://example.com/b", file("url: x"), time.Second, false, "url: there is credentials, tls and headers"},
		"two kinds of credentials": {
			"https://example.com/b", file("credentials: {bearer: {token: x}, gcp_metadata: {audience: y}}"), time.Second, false, "maximum one",
		},
	} {
		err := download.Config{URL: c.url, Service: c.service, Poll: c.poll}.Validate(c.signed)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// images is what a registry of OCI images answers of one, by the distribution specification.
func images(content []byte, index bool) http.HandlerFunc {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write(content)
	_ = w.Close()
	blobs := map[string][]byte{}
	add := func(raw []byte) (digest string, size int) {
		digest = fmt.Sprintf("sha256:%x", sha256.Sum256(raw))
		blobs[digest] = raw
		return digest, len(raw)
	}
	type object map[string]any
	layer, size := add(zipped.Bytes())
	config, configSize := add([]byte("{}"))
	manifestOf := func(of object) ([]byte, string, int) {
		raw, _ := json.Marshal(of)
		digest, size := add(raw)
		return raw, digest, size
	}
	const kind, indexKind = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
	top, digest, manifestSize := manifestOf(object{
		"schemaVersion": 2, "mediaType": kind,
		"config": object{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": configSize},
		"layers": []object{{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer, "size": size}},
	})
	topKind := kind
	if index {
		topKind = indexKind
		top, digest, _ = manifestOf(object{
			"schemaVersion": 2, "mediaType": indexKind, "manifests": []object{{"mediaType": kind, "digest": digest, "size": manifestSize}},
		})
	}
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		raw, found := blobs[name]
		switch {
		case name == "live":
			raw, name, found = top, digest, true
			w.Header().Set("Content-Type", topKind)
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", kind)
			if name == digest {
				w.Header().Set("Content-Type", topKind)
			}
		}
		if !found {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Docker-Content-Digest", name)
		w.Header().Set("Content-Length", fmt.Sprint(len(raw)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(raw)
		}
	}
}

func TestABundleIsALayerOfAnImage(t *testing.T) {
	t.Parallel()
	unzipped := func(raw string) string {
		r, err := gzip.NewReader(strings.NewReader(raw))
		if err != nil {
			return err.Error()
		}
		content, _ := io.ReadAll(r)
		return string(content)
	}
	for name, index := range map[string]bool{"a manifest": false, "an index of manifests": true} {
		server, policy := serve(t, images([]byte("one"), index)), &answering{}
		f := follow(t, config("oci://"+server.Listener.Addr().String()+"/policies/keyward:live"), policy, time.Now)
		if err := f.Begin(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if raw, _, _ := policy.state(); unzipped(raw) != "one" {
			t.Errorf("%s: %q answers", name, unzipped(raw))
		}
		run(t, f)
		asked := server.asked.Load()
		eventually(t, "it is asked for again", func() bool { return server.asked.Load() >= asked+2 })
		if _, taken, _ := policy.state(); taken != 1 {
			t.Errorf("%s: it was taken %d times", name, taken)
		}
		server.now(images([]byte("two"), index))
		eventually(t, "the other one answers", func() bool { raw, _, _ := policy.state(); return unzipped(raw) == "two" })
		server.now(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
		eventually(t, "that it is refused is told", func() bool { return errors.Is(f.Behind(), download.ErrAway) })
	}
}

// Registries give out tokens of their own for who they know, and keep layers with others, who must not learn who that is.
func TestARegistryGivesATokenForCredentialsThatNobodyElseGets(t *testing.T) {
	t.Parallel()
	images := images([]byte("one"), false)
	const known, given = "Basic c2VjOnJldA==", "Bearer of-the-registry"
	var told sync.Map
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told.Store(r.Header.Get("Authorization"), true)
		images(w, r)
	}))
	t.Cleanup(store.Close)
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != known || r.URL.Query().Get("scope") != "repository:policies/keyward:pull" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprintf(w, `{"token": %q, "expires_in": 60}`, strings.TrimPrefix(given, "Bearer "))
	}))
	t.Cleanup(tokens.Close)
	server, policy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != given:
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+tokens.URL+`/token",service="registry",scope="repository:policies/keyward:pull"`)
			w.WriteHeader(http.StatusUnauthorized)
		case strings.Contains(r.URL.Path, "/blobs/"):
			http.Redirect(w, r, store.URL+r.URL.Path, http.StatusTemporaryRedirect)
		default:
			images(w, r)
		}
	}), &answering{}
	cfg := config("oci://" + server.Listener.Addr().String() + "/policies/keyward:live")
	cfg.Service = filepath.Join(t.TempDir(), "service.yaml")
	text := `credentials: { bearer: { token: "c2VjOnJldA==", scheme: Basic } }`
	if err := os.WriteFile(cfg.Service, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := follow(t, cfg, policy, time.Now).Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if raw, _, _ := policy.state(); raw == "" {
		t.Error("nothing was taken")
	}
	told.Range(func(said, _ any) bool {
		if said != "" {
			t.Errorf("whoever has the layers is told %q", said)
		}
		return true
	})
	if _, asked := told.Load(""); !asked {
		t.Error("the layer is not of where it lies")
	}
}

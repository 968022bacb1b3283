package gateway_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

func TestThePageToTryPasskeysWithIsServedCompressedAndAskedForAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: trying()})
	open := func(header ...string) map[string]string {
		all := map[string]string{"Authorization": ""}
		for i := 0; i < len(header); i += 2 {
			all[header[i]] = header[i+1]
		}
		return all
	}
	whole := 0
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/app/main.js": "text/javascript; charset=utf-8", "/app/main.css": "text/css; charset=utf-8",
		"/app/icon.svg": "image/svg+xml",
	} {
		plain := s.call("GET", path, "", open("Accept-Encoding", "identity"))
		policy := plain.header.Get("Content-Security-Policy")
		if plain.status != 200 || plain.header.Get("Content-Type") != kind || plain.header.Get("Content-Encoding") != "" || len(plain.body) == 0 {
			t.Errorf("%s: got %d %v", path, plain.status, plain.header)
		}
		if !strings.Contains(policy, "script-src 'self'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") ||
			plain.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: may load %q", path, policy)
		}
		zipped := s.call("GET", path, "", open("Accept-Encoding", "gzip"))
		if zipped.header.Get("Content-Encoding") != "gzip" || zipped.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: compressed it comes with %v", path, zipped.header)
		}
		whole += len(zipped.body)
		tag := plain.header.Get("ETag")
		if tag == "" || tag != zipped.header.Get("ETag") {
			t.Errorf("%s: tags %q and %q", path, tag, zipped.header.Get("ETag"))
		}
		if again := s.call("GET", path, "", open("If-None-Match", tag)); again.status != 304 || len(again.body) != 0 {
			t.Errorf("%s: asked for again, it is %d with %d bytes", path, again.status, len(again.body))
		}
		for _, foreign := range []string{"<script>", "style=", "//cdn", "googleapis"} {
			if path == "/" && bytes.Contains(plain.body, []byte(foreign)) {
				t.Errorf("the page has %s", foreign)
			}
		}
	}
	const most = 40_000
	if whole > most {
		t.Errorf("the page has %d bytes, more than %d", whole, most)
	}
}

func TestWithoutThePageThereIsNothingOfIt(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	open := map[string]string{"Authorization": ""}
	if a := s.call("GET", "/", "", open); a.status != 302 || a.header.Get("Location") != "/docs" {
		t.Errorf("/ got %d to %q", a.status, a.header.Get("Location"))
	}
	for _, path := range []string{"/app/main.js", "/v2/trial/events", "/v2/trial/decisions/dec-1"} {
		if a := s.call("GET", path, "", open); a.status != 404 || a.error.Error.Type != "not_found" {
			t.Errorf("%s got %d %s", path, a.status, a.body)
		}
	}
}

func TestADecisionIsExplainedWithinTheProjectThatIsVisited(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: trying()})
	a := s.call("GET", "/v2/trial/decisions/dec-1795348800000123456789012", "", visitor(map[string]string{"Authorization": ""}))
	if a.status != 200 || !strings.Contains(string(a.body), `"decisionID":"dec-1795348800000123456789012"`) {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	want := service.ForProject[ident.DecisionID]{Project: "pro-1", Body: "dec-1795348800000123456789012"}
	if calls := s.services.Calls(); len(calls) != 1 || calls[0].Request != want {
		t.Errorf("asked %+v", calls)
	}
}

func TestThePageIsToldItsProjectByItsServer(t *testing.T) {
	t.Parallel()
	both := newTenants()
	second := both["pro-2"]
	second.Frontend.Hosts = []string{"b.localhost"}
	both["pro-2"] = second
	s := serve(t, setup{cfg: trying(), projects: both})
	for _, tc := range []struct{ host, want string }{
		{"b.localhost", "pro-2"}, {"nobody.example", "pro-1"}, {"b.localhost:8080", "pro-2"}, {"192.0.2.1:8080", "pro-1"},
	} {
		r, err := http.NewRequest("GET", s.base+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = tc.host
		rsp, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a := s.read(rsp)
		_ = rsp.Body.Close()
		if a.status != 200 || !strings.Contains(string(a.body), `<meta name="keyward-project" content="`+tc.want+`">`) {
			t.Errorf("at %s the page is %d %s, not of %s", tc.host, a.status, a.body, tc.want)
		}
	}
}

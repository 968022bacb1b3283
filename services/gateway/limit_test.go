package gateway_test

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway"
)

// clock is set by hand. It begins with a window of ten seconds.
type clock struct{ atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.Store(1_800_000_000_000)
	return c
}

func (c *clock) now() time.Time       { return time.UnixMilli(c.Load()) }
func (c *clock) pass(d time.Duration) { c.Add(d.Milliseconds()) }
func perTenSeconds(calls int) ratelimit.Limit {
	return ratelimit.Limit{Requests: calls, Per: 10 * time.Second}
}

// told are the headers about limits.
func told(a answer) [4]string {
	return [4]string{
		a.header.Get("RateLimit-Limit"), a.header.Get("RateLimit-Remaining"), a.header.Get("RateLimit-Reset"),
		a.header.Get("Retry-After"),
	}
}

func TestAProjectThatCallsTooOftenIsToldWhenItCanCallAgain(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := serve(t, setup{cfg: gateway.Config{RateProject: perTenSeconds(3), RateAddress: perTenSeconds(100)}, now: clock.now})
	var got [][4]string
	for range 4 {
		got = append(got, told(s.call("GET", "/v2/users", "", nil)))
		clock.pass(time.Second)
	}
	want := [][4]string{{"3", "2", "10", ""}, {"3", "1", "9", ""}, {"3", "0", "8", ""}, {"3", "0", "11", "11"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	refused := s.call("GET", "/v2/users", "", nil)
	if refused.status != 429 || refused.error.Error.Type != rest.ErrorTypeRateLimited || refused.error.Error.Details == nil ||
		!strings.Contains(*refused.error.Error.Details, "project") {
		t.Errorf("got %d %s", refused.status, refused.body)
	}
	if a := s.call("GET", "/v2/users", "", basic("pro-2", secretB)); a.status != 200 {
		t.Errorf("another project is refused: %d %s", a.status, a.body)
	}
	if calls := s.services.Calls(); len(calls) != 4 {
		t.Errorf("%d calls reached a service", len(calls))
	}
	clock.pass(20 * time.Second)
	if a := s.call("GET", "/v2/users", "", nil); a.status != 200 {
		t.Errorf("later: %d %s", a.status, a.body)
	}
}

func TestAnAddressThatCallsTooOftenIsRefusedWhateverItCalls(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := serve(t, setup{cfg: gateway.Config{RateAddress: perTenSeconds(2)}, now: clock.now})
	open := map[string]string{"Authorization": ""}
	if diff := cmp.Diff([4]string{"2", "1", "10", ""}, told(s.call("GET", "/v2/nothing", "", open))); diff != "" {
		t.Error(diff)
	}
	s.call("GET", "/.well-known/jwks", "", open)
	for _, path := range []string{"/v2/users", "/v2/nothing", "/.well-known/jwks", "/docs"} {
		a := s.call("GET", path, "", map[string]string{"Origin": originA})
		if a.status != 429 || a.error.Error.Type != rest.ErrorTypeRateLimited || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		if strings.HasPrefix(path, "/v2/") && a.header.Get("Access-Control-Allow-Origin") != originA {
			t.Errorf("%s: pages cannot read the refusal", path)
		}
	}
}

func TestWhatStrangersLeaveBehindIsBoundedForEachAddressAndProject(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, path, body, limited string }{
		{"processes of a sign-in", "/v2/auth/process/init", `{"clientInformation":{}}`, "processes"},
		{"processes of Connect", "/v2/connect/login/init", `{"clientInformation":{},"flags":{}}`, "processes"},
		{"users", "/v2/auth/signup/init", `{"identifiers":[]}`, "users"},
		{"identifiers of a sign-in", "/v2/auth/login/init", `{"identifierValue":"ada@example.com","isPhone":false}`, "identifiers"},
		{
			"identifiers of Connect", "/v2/connect/login/start",
			`{"identifier":"ada@example.com","source":"text-field","loadedMs":1}`, "identifiers",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := serve(
				t,
				setup{
					cfg: gateway.Config{RateProcesses: perTenSeconds(2), RateSignUps: perTenSeconds(2), RateLookups: perTenSeconds(2)},
					now: newClock().now,
				},
			)
			call := func(project string) answer {
				return s.call("POST", tc.path, tc.body, map[string]string{
					"Authorization": "", "X-Corbado-ProjectID": project, "X-Corbado-Process-ID": "pcs-1",
				})
			}
			for range 2 {
				if a := call("pro-1"); a.status == 429 {
					t.Errorf("refused: %s", a.body)
				}
			}
			a := call("pro-1")
			if a.status != 429 || a.error.Error.Details == nil || !strings.Contains(*a.error.Error.Details, tc.limited) ||
				a.header.Get("Retry-After") == "" {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if a := call("pro-2"); a.status == 429 {
				t.Errorf("another project is refused: %s", a.body)
			}
		})
	}
}

func TestTheNearerLimitIsTold(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := serve(t, setup{cfg: gateway.Config{RateAddress: perTenSeconds(5), RateProject: perTenSeconds(50)}, now: clock.now})
	if got := told(s.call("GET", "/v2/users", "", nil)); got[0] != "5" || got[1] != "4" {
		t.Errorf("got %v", got)
	}
}

func TestWithoutLimitsNothingIsTold(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	if got := told(s.call("GET", "/v2/users", "", nil)); got != [4]string{} {
		t.Errorf("got %v", got)
	}
}

func TestWhoGuessesSecretsIsToldNothingMoreAndTheRightOneIsTaken(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := serve(t, setup{cfg: gateway.Config{RateFailures: perTenSeconds(3)}, now: clock.now})
	for _, wrong := range []map[string]string{basic("pro-1", "x"), basic("pro-1", "z"), {"Authorization": "Bearer kwk1_1_a_b"}} {
		if a := s.call("GET", "/v2/users", "", wrong); a.status != 401 {
			t.Fatalf("got %d %s", a.status, a.body)
		}
	}
	for _, wrong := range []map[string]string{basic("pro-1", "y"), {"Authorization": "Bearer kwk1_1_a_b"}} {
		a := s.call("GET", "/v2/users", "", wrong)
		if a.status != 429 || a.error.Error.Type != rest.ErrorTypeRateLimited || a.header.Get("Retry-After") == "" {
			t.Errorf("one more guess: %d %s", a.status, a.body)
		}
	}
	if calls := s.services.Calls(); len(calls) != 0 {
		t.Errorf("a service was called: %+v", calls)
	}
	if a := s.call("GET", "/v2/users", "", nil); a.status != 200 {
		t.Errorf("the right secret from the address that others guess at: %d %s", a.status, a.body)
	}
	if a := s.call("GET", "/.well-known/jwks", "", nil); a.status != 200 {
		t.Errorf("what asks for no credentials: %d %s", a.status, a.body)
	}
	clock.pass(20 * time.Second)
	if a := s.call("GET", "/v2/users", "", nil); a.status != 200 {
		t.Errorf("later: %d %s", a.status, a.body)
	}
}

func TestWrongCredentialsOfOneProjectAreNotCountedForAnother(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{RateFailures: perTenSeconds(2)}})
	status := func(project string) int { return s.call("GET", "/v2/users", "", basic(project, "wrong")).status }
	for _, project := range []string{"pro-1", "pro-2"} {
		for i, want := range []int{401, 401, 429} {
			if got := status(project); got != want {
				t.Errorf("%s, guess %d: %d, want %d", project, i+1, got, want)
			}
		}
	}
	// Whoever invents projects does not get more guesses by it.
	for i, want := range []int{401, 401, 429, 429} {
		if got := status("pro-" + strconv.Itoa(100+i)); got != want {
			t.Errorf("invented project %d: %d, want %d", i+1, got, want)
		}
	}
}

func TestNoCredentialsAreNoGuess(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{RateFailures: perTenSeconds(1)}})
	for range 3 {
		s.call("GET", "/v2/users", "", map[string]string{"Authorization": ""})
		s.call("GET", "/v2/users", "", map[string]string{"X-Corbado-ProjectID": "pro-2"})
	}
	if a := s.call("GET", "/v2/users", "", nil); a.status != 200 {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestForwardedAddressesAreBelievedOfTrustedProxiesOnly(t *testing.T) {
	t.Parallel()
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	two := append(loopback, netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"))
	for _, tc := range []struct {
		name          string
		trusted       []netip.Prefix
		first, second string // X-Forwarded-For of two calls
		same          bool   // they count as one caller
	}{
		{"nobody is trusted", nil, "192.0.2.1", "192.0.2.2", true},
		{"a trusted proxy names two callers", loopback, "192.0.2.1", "192.0.2.2", false},
		{"a trusted proxy names one caller twice", loopback, "192.0.2.1", "192.0.2.1", true},
		{"what the caller itself wrote is not believed", loopback, "198.51.100.1, 192.0.2.1", "198.51.100.2, 192.0.2.1", true},
		{"a chain of trusted proxies", two, "192.0.2.1, 10.0.0.1", "192.0.2.2, 10.0.0.2", false},
		{"a chain of trusted proxies with one caller", two, "192.0.2.1, 10.0.0.1", "192.0.2.1, fd00::1", true},
		{"one address, once with a port", loopback, "192.0.2.1:4711", "192.0.2.1", true},
		{"one address by IPv6, once in brackets", loopback, "[2001:db8::1]:443", "2001:db8::1", true},
		{"a caller who wrote what is none before it", loopback, "unknown, 192.0.2.1", "192.0.2.1", true},
		{"nothing", loopback, "", "", true},
		{"two addresses of one customer by IPv6", loopback, "2001:db8::1", "2001:db8::ffff", true},
		{"two customers by IPv6", loopback, "2001:db8::1", "2001:db8:0:1::1", false},
		{"one address, once as IPv6", loopback, "192.0.2.1", "::ffff:192.0.2.1", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clock := newClock()
			s := serve(t, setup{cfg: gateway.Config{RateAddress: perTenSeconds(10), TrustedProxies: tc.trusted}, now: clock.now})
			s.call("GET", "/v2/users", "", map[string]string{"X-Forwarded-For": tc.first})
			got := told(s.call("GET", "/v2/users", "", map[string]string{"X-Forwarded-For": tc.second}))[1]
			if want := map[bool]string{true: "8", false: "9"}[tc.same]; got != want {
				t.Errorf("%s calls remain, want %s", got, want)
			}
		})
	}
}

func TestWhatATrustedProxyCallsAnAddressIsOne(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, forwarded string
		trusted         string
		status          int
	}{
		{"an address", "192.0.2.1", "127.0.0.0/8", 200},
		{"what is none", "unknown", "127.0.0.0/8", 400},
		{"what is none behind an address", "192.0.2.1, unknown", "127.0.0.0/8", 400},
		{"what is none before an address", "unknown, 192.0.2.1", "127.0.0.0/8", 200},
		{"a list that ends with a comma", "192.0.2.1,", "127.0.0.0/8", 400},
		{"what is none of somebody who is not trusted", "unknown", "10.0.0.0/8", 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, setup{cfg: gateway.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix(tc.trusted)}}})
			a := s.call("GET", "/v2/users", "", map[string]string{"X-Forwarded-For": tc.forwarded})
			if a.status != tc.status || (tc.status == 400) != (a.fields()["X-Forwarded-For"] != "") {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}

func TestTheKeysArePublic(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	const path = "/.well-known/jwks"
	for _, tc := range []struct {
		name    string
		headers map[string]string
		status  int
		project ident.ProjectID
	}{
		{"of the project whose host it is", map[string]string{"Authorization": "", "Host": "two.example.com:8443"}, 200, "pro-2"},
		{
			"of the named project at the host of another",
			map[string]string{"Authorization": "", "Host": "two.example.com", "X-Corbado-ProjectID": "pro-1"}, 200, "pro-1",
		},
		{"at a host of nobody", map[string]string{"Authorization": "", "Host": "mallory.example.com"}, 404, ""},
		{"of one project", map[string]string{"Authorization": "", "X-Corbado-ProjectID": "pro-2"}, 200, "pro-2"},
		{"with credentials that nobody asks for", with(basic("pro-1", "wrong"), "Host", "two.example.com"), 200, "pro-2"},
		{
			"from a page of any origin",
			map[string]string{"Authorization": "", "Origin": "https://anyone.example", "Host": "two.example.com"}, 200, "pro-2",
		},
		{"of an unknown project", map[string]string{"Authorization": "", "X-Corbado-ProjectID": "pro-3"}, 404, ""},
		{"of what is no project", map[string]string{"Authorization": "", "X-Corbado-ProjectID": "pro-*"}, 404, ""},
		{
			"of a project with a name beyond reason",
			map[string]string{"Authorization": "", "X-Corbado-ProjectID": strings.Repeat("x", 65)}, 400, "",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(s.services.Calls())
			a := s.call("GET", path, "", tc.headers)
			if a.status != tc.status || a.header.Get("Access-Control-Allow-Origin") != "*" ||
				a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Fatalf("got %d %v %s", a.status, a.header, a.body)
			}
			calls := s.services.Calls()[before:]
			if tc.status != 200 {
				if len(calls) != 0 || a.error.Error.Type == "" || a.header.Get("Cache-Control") != "no-store" {
					t.Errorf("got %v %s, and the services saw %v", a.header, a.body, calls)
				}
				return
			}
			if want := (service.ForProject[service.Empty]{Project: tc.project}); len(calls) != 1 || calls[0].Request != any(want) {
				t.Errorf("the services saw %+v", calls)
			}
			if a.header.Get("Cache-Control") != "public, max-age=300" || a.header.Get("Content-Type") != "application/json" ||
				!strings.Contains(string(a.body), `"kid":"pki-1"`) {
				t.Errorf("got %v %s", a.header, a.body)
			}
		})
	}
	preflight := s.call(
		"OPTIONS",
		path,
		"",
		map[string]string{
			"Authorization": "", "Origin": "https://anyone.example",
			"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-corbado-projectid",
		},
	)
	if preflight.status != 204 || preflight.header.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(preflight.header.Get("Access-Control-Allow-Headers"), "X-Corbado-ProjectID") {
		t.Errorf("the preflight got %d %v", preflight.status, preflight.header)
	}
	s.services.Before(always(errors.New("broken")))
	if a := s.call("GET", path, "", nil); a.status != 500 || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a failure got %d %v", a.status, a.header)
	}
}

package admission

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
)

const page = "https://shop.example"

var now = time.Unix(1_800_000_000, 0)

// asked is a request's header in the shape that an exchange sees.
type asked struct{ http.Header }

func (a asked) Peek(name string) []byte { return []byte(a.Get(name)) }

func (a asked) PeekAll(name string) [][]byte {
	var all [][]byte
	for _, v := range a.Values(name) {
		all = append(all, []byte(v))
	}
	return all
}

func header(pairs ...string) asked {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return asked{h}
}

// tenants are the projects there are.
type tenants map[ident.ProjectID]project.Project

// outOfReach is a project that nobody can look up at the moment.
const outOfReach = "pro-3"

func (t tenants) Find(_ context.Context, id ident.ProjectID) (project.Project, error) {
	if id == outOfReach {
		return project.Project{}, fault.Unavailable(time.Second, "the project could not be read")
	}
	if p, ok := t[id]; ok {
		return p, nil
	}
	return project.Project{}, project.ErrUnknown
}
func (t tenants) All() []project.Project {
	return slices.SortedFunc(maps.Values(t), func(a, b project.Project) int { return strings.Compare(string(a.ID), string(b.ID)) })
}

func (t tenants) OriginAllowed(origin string) bool { return origin == page }
func (t tenants) First() (project.Project, bool)   { return project.Project{}, false }
func (t tenants) Visited(ctx context.Context, id ident.ProjectID, _ string) (project.Project, error) {
	return t.Find(ctx, id)
}

// fixture is a door before a project with a secret and three keys.
type fixture struct {
	door                 *Door
	secret               string
	may, mayNot, expired string // texts of keys
	hits                 *hits
}

// hits are the calls that limits have refused, as an audit is told of them.
type hits []string

func (h *hits) LimitHit(project ident.ProjectID, limit string) {
	*h = append(*h, string(project)+" "+limit)
}

func newFixture(t *testing.T, cfg Config) fixture {
	t.Helper()
	f := fixture{secret: project.NewSecret(), hits: &hits{}}
	p, err := project.New("pro-1", "Shop", "shop.example", "Shop", []string{page}, f.secret, now)
	if err != nil {
		t.Fatal(err)
	}
	key := func(name, permission string, lifetime time.Duration, made time.Time) string {
		k, text, err := project.NewAPIKey(p.ID, name, []string{permission}, lifetime, made)
		if err != nil {
			t.Fatal(err)
		}
		p.Keys = append(p.Keys, k)
		return text
	}
	f.may = key("may", "users:read", 0, now)
	f.mayNot = key("may not", "events:read", 0, now)
	f.expired = key("expired", "users:read", time.Hour, now.Add(-2*time.Hour))
	limits, err := ratelimit.New(
		ratelimit.DefaultConfig(), ratelimit.Deps{Metrics: prometheus.NewRegistry(), Clock: func() time.Time { return now }},
	)
	if err != nil {
		t.Fatal(err)
	}
	f.door = New(cfg, Deps{Projects: tenants{p.ID: p}, Limits: limits, Audit: f.hits, Now: func() time.Time { return now }})
	return f
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestWhoIsLetIn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Config{})
	for name, c := range map[string]struct {
		authorization string
		named         string // project in the header
		want          fault.Type
		status        int
	}{
		"the project with its secret":   {authorization: basic("pro-1", f.secret)},
		"however the scheme is written": {authorization: "bAsIc" + basic("pro-1", f.secret)[5:]},
		"a key that has the permission": {authorization: "Bearer " + f.may},
		"and names its own project":     {authorization: "Bearer " + f.may, named: "pro-1"},
		"not one that lacks it":         {authorization: "Bearer " + f.mayNot, want: fault.TypeLoginError, status: 403},
		"not one that has expired":      {authorization: "Bearer " + f.expired, want: fault.TypeLoginError, status: 401},
		"not one that does not exist":   {authorization: "Bearer " + f.may + "x", want: fault.TypeLoginError, status: 401},
		"not a secret without its last letter": {
			authorization: basic("pro-1", f.secret[:len(f.secret)-1]),
			want:          fault.TypeLoginError,
			status:        401,
		},
		"not without a secret":                    {authorization: basic("pro-1", ""), want: fault.TypeLoginError, status: 401},
		"nobody of a project that does not exist": {authorization: basic("pro-2", f.secret), want: fault.TypeLoginError, status: 401},
		"nobody while it cannot be looked up whose secret it is": {
			authorization: basic(outOfReach, f.secret), want: fault.TypeUnavailable, status: 503,
		},
		"nobody who names another project": {
			authorization: basic("pro-1", f.secret),
			named:         "pro-2",
			want:          fault.TypeProjectIDMismatch,
			status:        403,
		},
		"nobody without credentials":  {want: fault.TypeLoginError, status: 401},
		"nobody by another scheme":    {authorization: "Digest x", want: fault.TypeLoginError, status: 401},
		"nobody whose base64 is none": {authorization: "Basic ***", want: fault.TypeLoginError, status: 401},
		"nobody with a user name and no colon in the text": {
			authorization: "Basic " + base64.StdEncoding.EncodeToString([]byte("pro-1")),
			want:          fault.TypeLoginError,
			status:        401,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := header("Authorization", c.authorization)
			if c.named != "" {
				h.Set(exchange.HeaderProjectID, c.named)
			}
			x := &exchange.Exchange{Asked: h, Answer: http.Header{}}
			err := f.door.authenticate(t.Context(), x)
			if err == nil {
				err = permit(x, "users:read")
			}
			if c.want == "" {
				if err != nil || x.Project != "pro-1" {
					t.Errorf("%v, project %q", err, x.Project)
				}
				return
			}
			var refused *fault.Fault
			if !errors.As(err, &refused) || refused.Type != c.want || refused.Status != c.status {
				t.Errorf("%+v, want %s with %d", err, c.want, c.status)
			}
		})
	}
}

// Many may share an address: who guesses there is told nothing more, and who has the secret comes in.
func TestAGuesserIsTurnedAwayAndTheOwnerIsNot(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Config{RateFailures: ratelimit.Limit{Requests: 3, Per: time.Minute}})
	ask := func(project, secret string) fault.Type {
		x := &exchange.Exchange{
			Asked: header("Authorization", basic(project, secret)), Answer: http.Header{}, Peer: netip.MustParseAddr("192.0.2.1"),
		}
		if err := f.door.limitAddress(x); err != nil {
			t.Fatal(err)
		}
		var refused *fault.Fault
		if err := f.door.authenticate(t.Context(), x); errors.As(err, &refused) {
			return refused.Type
		}
		return ""
	}
	for range 3 {
		if got := ask("pro-1", "guess"); got != fault.TypeLoginError {
			t.Fatal(got)
		}
	}
	if got := ask("pro-1", "guess"); got != fault.TypeRateLimited {
		t.Errorf("the fourth guess is answered with %q", got)
	}
	if got := ask("pro-1", f.secret); got != "" {
		t.Errorf("the owner is refused: %s", got)
	}
	if got := ask("pro-2", "guess"); got != fault.TypeLoginError {
		t.Errorf("the guesses at one project count for another: %s", got)
	}
	if want := (hits{"pro-1 rate_limit_failures"}); !slices.Equal(*f.hits, want) {
		t.Errorf("told of %v, want %v", *f.hits, want)
	}
}

func TestWhereARequestComesFrom(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for name, c := range map[string]struct {
		peer, forwarded, want string
		unread                bool
	}{
		"from its peer": {peer: "192.0.2.1", want: "192.0.2.1"},
		"from its peer, whatever a stranger says": {peer: "192.0.2.1", forwarded: "198.51.100.9", want: "192.0.2.1"},
		"from where a trusted proxy says":         {peer: "10.0.0.1", forwarded: "198.51.100.9", want: "198.51.100.9"},
		"from the last that is no proxy": {
			peer:      "10.0.0.1",
			forwarded: "203.0.113.5, 198.51.100.9, 10.0.0.2",
			want:      "198.51.100.9",
		},
		"an empty line hides no other":                      {peer: "10.0.0.1", forwarded: "|198.51.100.9", want: "198.51.100.9"},
		"whatever line is empty":                            {peer: "10.0.0.1", forwarded: "203.0.113.5|198.51.100.9|", want: "198.51.100.9"},
		"from the proxy, if all lines are empty":            {peer: "10.0.0.1", forwarded: "|", want: "10.0.0.1"},
		"with a port":                                       {peer: "10.0.0.1", forwarded: "[2001:db8::1]:443", want: "2001:db8::1"},
		"from a proxy itself, if all are":                   {peer: "10.0.0.1", forwarded: "10.0.0.3, 10.0.0.2", want: "10.0.0.3"},
		"what is no address before the last is not read":    {peer: "10.0.0.1", forwarded: "unknown, 198.51.100.9", want: "198.51.100.9"},
		"what is no address where the client should be, is": {peer: "10.0.0.1", forwarded: "unknown", want: "10.0.0.1", unread: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := header()
			if c.forwarded != "" {
				for line := range strings.SplitSeq(c.forwarded, "|") {
					h.Add("X-Forwarded-For", line)
				}
			}
			x := &exchange.Exchange{Asked: h, Peer: netip.MustParseAddr(c.peer)}
			if from, ok := cameFrom(x, trusted); from.String() != c.want || ok == c.unread {
				t.Errorf("%s, %t", from, ok)
			}
		})
	}
}

func TestWhichPagesMayReadAnAnswer(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Config{})
	for name, c := range map[string]struct {
		method, path, origin string
		preflight            bool
		want                 string // Access-Control-Allow-Origin
		refused              bool
	}{
		"a page of a project":           {method: "GET", path: "/v2/users", origin: page, want: page},
		"no other page":                 {method: "GET", path: "/v2/users", origin: "https://evil.example"},
		"a preflight of it is answered": {method: "OPTIONS", path: "/v2/users", origin: page, preflight: true, want: page},
		"a preflight of another is refused": {
			method:    "OPTIONS",
			path:      "/v2/users",
			origin:    "https://evil.example",
			preflight: true,
			refused:   true,
		},
		"every page reads what is well known":         {method: "GET", path: "/.well-known/jwks", origin: "https://evil.example", want: "*"},
		"no page reads what is no part of the API":    {method: "GET", path: "/docs", origin: page},
		"and outside browsers there is nothing to it": {method: "GET", path: "/v2/users"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := header("Origin", c.origin)
			if c.preflight {
				h.Set("Access-Control-Request-Method", "GET")
			}
			x := &exchange.Exchange{Method: c.method, Path: c.path, Asked: h, Answer: http.Header{}}
			err := f.door.cors(x)
			if got := x.Answer.(http.Header).Get("Access-Control-Allow-Origin"); got != c.want || (err != nil) != c.refused {
				t.Errorf("%q, %v", got, err)
			}
			if x.Preflight != (c.preflight && !c.refused) {
				t.Errorf("answered as a preflight: %t", x.Preflight)
			}
		})
	}
}

// Who is known by a cookie may have been led here by any page: a change must say that it comes from one of the project's.
func TestAChangeByCookieComesFromAPageOfTheProject(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, origin string
		byCookie, ok   bool
	}{
		"from a page of the project":        {"POST", page, true, true},
		"not from elsewhere":                {"POST", "https://evil.example", true, false},
		"not from nowhere":                  {"DELETE", "", true, false},
		"from nowhere, by a token":          {"DELETE", "", false, true},
		"whoever only looks may be anybody": {"GET", "", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := &exchange.Exchange{
				Method: c.method, Asked: header("Origin", c.origin), Origins: []string{page}, Visit: &exchange.Visit{ByCookie: c.byCookie},
			}
			if err := checkForgery(x); (err == nil) != c.ok {
				t.Error(err)
			}
		})
	}
}

// FuzzCredentials: what is read of a header that anybody may send never names more than it was sent, and never fails.
func FuzzCredentials(f *testing.F) {
	for _, seed := range []string{"", "Basic ", "Bearer ", basic("pro-1", "s"), "Bearer kw_pro-1_k_s", "basic\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		c, ok := readCredential(sent)
		if !ok && (c.secret != "" && !c.bearer) {
			t.Errorf("%q is none, and has a secret", sent)
		}
		if len(c.project)+len(c.key)+len(c.secret) > len(sent) {
			t.Errorf("%q has more in it than was sent: %+v", sent, c)
		}
	})
}

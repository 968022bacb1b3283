package webhook

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/event"
)

func TestURLsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url, message string // empty message = taken
		change       func(*Config)
	}{
		"https":                            {url: "https://example.com/hook?a=b"},
		"a port":                           {url: "https://example.com:8443/"},
		"a public address":                 {url: "https://93.184.216.34/"},
		"a public IPv6 address":            {url: "https://[2606:2800:220:1::1]/"},
		"http":                             {url: "http://example.com/", message: "must be https: this installation"},
		"http where it is allowed":         {url: "http://example.com/", change: func(c *Config) { c.AllowHTTP = true }},
		"no scheme":                        {url: "example.com/hook", message: "must be https"},
		"another scheme":                   {url: "ftp://example.com/", message: "must be https"},
		"javascript":                       {url: "javascript:alert(1)", message: "must be an absolute URL"},
		"no host":                          {url: "https:///hook", message: "must name a host"},
		"blank":                            {url: "", message: "cannot be blank"},
		"a space":                          {url: "https://example.com/a b", message: "must be printable ASCII"},
		"a line break":                     {url: "https://example.com/\r\nX: y", message: "must be printable ASCII"},
		"another script":                   {url: "https://exämple.com/", message: "must be printable ASCII"},
		"credentials":                      {url: "https://bob:pw@example.com/", message: "must hold no credentials"},
		"a fragment":                       {url: "https://example.com/#x", message: "must have no fragment"},
		"port 0":                           {url: "https://example.com:0/", message: "must have a port"},
		"a port that is too large":         {url: "https://example.com:65536/", message: "must have a port"},
		"a port that is missing":           {url: "https://example.com:/", message: "must have a port"},
		"too long":                         {url: "https://example.com/" + strings.Repeat("a", 2048), message: "must be at most"},
		"loopback":                         {url: "https://127.0.0.1/", message: "must not be a private address"},
		"a private address":                {url: "https://10.1.2.3/", message: "must not be a private address"},
		"a private address that is listed": {url: "https://10.1.2.3/", change: func(c *Config) { c.AllowCIDRs = []string{"10.1.0.0/16"} }},
		"a private address beside it": {
			url:     "https://10.2.2.3/",
			message: "must not be a private address",
			change:  func(c *Config) { c.AllowCIDRs = []string{"10.1.0.0/16"} },
		},
		"all private addresses allowed":    {url: "https://10.2.2.3/", change: func(c *Config) { c.AllowPrivate = true }},
		"localhost":                        {url: "https://localhost:8080/", message: "must not be a private address"},
		"a name below localhost":           {url: "https://a.LOCALHOST./", message: "must not be a private address"},
		"localhost where loopback is free": {url: "https://localhost:8080/", change: func(c *Config) { c.AllowCIDRs = []string{"127.0.0.0/8"} }},
		"mapped loopback":                  {url: "https://[::ffff:127.0.0.1]/", message: "must not be a private address"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := DefaultConfig()
			if c.change != nil {
				c.change(&config)
			}
			got := config.checkURL(c.url)
			if c.message == "" && got != "" || !strings.HasPrefix(got, c.message) {
				t.Errorf("%q, want %q", got, c.message)
			}
		})
	}
}

func TestAddressesThatAreNotPublic(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"8.8.8.8": true, "2001:4860:4860::8888": true, "64:ff9b::8.8.8.8": true, "::ffff:8.8.8.8": true,
		"0.0.0.0": false, "127.0.0.1": false, "127.255.0.1": false, "10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false,
		"100.64.0.1":      false, "198.18.0.1": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false, "192.0.2.1": false,
		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fec0::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false, "64:ff9b::10.0.0.1": false, "64:ff9b::169.254.169.254": false,
		"64:ff9b:1::1": false, "2002:7f00:1::": false, "2001::1": false, "2001:db8::1": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		headers map[string]string
		basic   bool
		ok      bool
	}{
		"none":                                  {ok: true},
		"some":                                  {headers: map[string]string{"X-Tenant": "blue", "Accept": "a\tb c"}, ok: true},
		"authorization":                         {headers: map[string]string{"Authorization": "Bearer x"}, ok: true},
		"authorization beside basic":            {headers: map[string]string{"authorization": "Bearer x"}, basic: true},
		"host":                                  {headers: map[string]string{"Host": "x"}},
		"length":                                {headers: map[string]string{"content-length": "1"}},
		"hop by hop":                            {headers: map[string]string{"Transfer-Encoding": "chunked"}},
		"the standard's":                        {headers: map[string]string{"Webhook-Signature": "v1,x"}},
		"no token":                              {headers: map[string]string{"X Tenant": "blue"}},
		"no name":                               {headers: map[string]string{"": "blue"}},
		"a line break in a name":                {headers: map[string]string{"X\r\nY": "blue"}},
		"a line break in a value":               {headers: map[string]string{"X": "a\r\nY: b"}},
		"a zero in a value":                     {headers: map[string]string{"X": "a\x00"}},
		"a space at the end":                    {headers: map[string]string{"X": "a "}},
		"a long value":                          {headers: map[string]string{"X": strings.Repeat("a", maxHeader+1)}},
		"one name twice, letter case put aside": {headers: map[string]string{"X-A": "1", "x-a": "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := checkHeaders(c.headers, c.basic); (got == "") != c.ok {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestSubscriptionsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		events []string
		ok     bool
	}{
		"the documented types": {
			events: []string{"passkey-login.completed", "passkey.created", "passkey.deleted", "user.created", "user.updated", "user.deleted"},
			ok:     true,
		},
		"types of the log": {
			events: []string{"login-error", "append-offered", "event-deleted", "auth-login", "user-updated"},
			ok:     true,
		},
		"all":                         {events: []string{"*"}, ok: true},
		"all and more":                {events: []string{"*", "user.created"}},
		"none":                        {events: []string{}},
		"an unknown one":              {events: []string{"user.exploded"}},
		"an observation":              {events: []string{"login-offered"}},
		"one twice":                   {events: []string{"user.created", "user.created"}},
		"one under both of its names": {events: []string{"user.created", "user-created"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := checkEvents(c.events); (got == "") != c.ok {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestATypeHasItsDocumentedNameUnlessItWasAskedForByTheOther(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		subscribed string
		event      event.Type
		want       string
	}{
		{"*", event.LoginCompleted, "passkey-login.completed"},
		{"login-completed", event.LoginCompleted, "login-completed"},
		{"passkey.created", event.AppendCompleted, "passkey.created"},
		{"*", event.LoginError, "login-error"},
		{"user.created", event.UserUpdated, ""},
	} {
		e := Endpoint{Events: []string{c.subscribed}}
		if got, _ := e.Subscribed(c.event); got != c.want {
			t.Errorf("%s of %s: %q", c.event, c.subscribed, got)
		}
	}
	for _, d := range documented() {
		if of, err := TypeOf(d.name); documentedName(d.of) != d.name || of != d.of || err != nil {
			t.Errorf("%s is documented as %s and called %s, which is %s, %v", d.of, d.name, documentedName(d.of), of, err)
		}
	}
}

func TestTheIntervalGrowsAndIsDrawnWhole(t *testing.T) {
	t.Parallel()
	c := Config{RetryMin: 10 * time.Second, RetryMax: 4 * time.Hour}
	highest := func(n int64) int64 { return n - 1 }
	lowest := func(int64) int64 { return 0 }
	var got []time.Duration
	for _, failed := range []int{1, 2, 3, 11, 12, 22, 1000} {
		got = append(got, c.Delay(failed, 0, highest))
	}
	if diff := cmp.Diff(
		[]time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 10240 * time.Second, 4 * time.Hour, 4 * time.Hour, 4 * time.Hour},
		got,
	); diff != "" {
		t.Error(diff)
	}
	if got := c.Delay(5, 0, lowest); got != 0 {
		t.Errorf("the jitter is not full: %s", got)
	}
	if got := c.Delay(1, time.Hour, highest); got != time.Hour {
		t.Errorf("the endpoint asked for an hour and gets %s", got)
	}
	if got := c.Delay(1, 1000*time.Hour, highest); got != maxRetryAfter {
		t.Errorf("an endpoint may not ask for %s", got)
	}
	total := time.Duration(0)
	d := DefaultConfig()
	for failed := range d.MaxAttempts - 1 {
		total += d.Delay(failed+1, 0, func(n int64) int64 { return n / 2 })
	}
	if total < 18*time.Hour || total > 30*time.Hour {
		t.Errorf("an event is tried for %s on average, not for about a day", total)
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "120": 2 * time.Minute, "-1": 0, "soon": 0, "99999999999999": 0,
		now.Add(time.Hour).Format(http.TimeFormat): time.Hour, now.Add(-time.Hour).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestAMessageIDNamesItsEvent(t *testing.T) {
	t.Parallel()
	id := MessageID("pke-12", "whe-34")
	if id != "msg_12_34" {
		t.Errorf("got %s", id)
	}
	if got, ok := EventOf(id, "whe-34"); !ok || got != "pke-12" {
		t.Errorf("got %s, %v", got, ok)
	}
	for _, other := range []string{"msg_12_35", "msg__34", "msg_1.2_34", "12_34", "msg_*_34", ""} {
		if got, ok := EventOf(other, "whe-34"); ok {
			t.Errorf("%s is taken for %s", other, got)
		}
	}
}

func FuzzEndpoint(f *testing.F) {
	f.Add("https://example.com/hook", "X-Tenant", "blue", "bob")
	f.Add("https://[::ffff:7f00:1]:443/", "Webhook-Id", "\r\n", ":")
	f.Add("http://0x7f.1/", "", "", "")
	f.Fuzz(func(t *testing.T, address, name, value, user string) {
		config := DefaultConfig()
		e := Endpoint{
			URL: address, Headers: map[string]string{name: value}, Username: user, Events: []string{All},
			Secrets: []Secret{NewSecret(time.Now())},
		}
		if len(config.Check(&e)) > 0 {
			return
		}
		// What is taken can be sent, and sets none of our own headers.
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || u.User != nil || u.Hostname() == "" {
			t.Fatalf("%q was taken", address)
		}
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !public(ip) {
			t.Fatalf("%q was taken", address)
		}
		req, err := http.NewRequest(http.MethodPost, address, strings.NewReader("{}"))
		if err != nil {
			t.Fatalf("%q was taken: %v", address, err)
		}
		s := Sender{now: time.Now}
		s.dress(req, &e, "msg_1_2", []byte("{}"))
		var wire strings.Builder
		if err := req.Write(&wire); err != nil {
			t.Fatalf("headers %q: %q were taken: %v", name, value, err)
		}
		head, _, _ := strings.Cut(wire.String(), "\r\n\r\n")
		if n := strings.Count(strings.ToLower(head), "\r\nwebhook-id:"); n != 1 || strings.Count(strings.ToLower(head), "\r\nhost:") != 1 {
			t.Fatalf("the header is\n%s", head)
		}
	})
}

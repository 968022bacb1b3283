package webhook

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// names is a DNS server that says of every name that it is at one address.
func names(t *testing.T, at netip.Addr) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	go func() {
		defer close(done)
		packet := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(answer(packet[:n], at), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// answer returns the answer to a DNS query of one question (RFC 1035 section 4.1).
func answer(query []byte, at netip.Addr) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5 // the zero, type and class
	kind := binary.BigEndian.Uint16(query[end-4:])
	rsp := bytes.Clone(query[:end])
	rsp[2], rsp[3] = 0x81, 0x80
	binary.BigEndian.PutUint16(rsp[6:], 0)  // answers
	binary.BigEndian.PutUint16(rsp[8:], 0)  // authorities
	binary.BigEndian.PutUint16(rsp[10:], 0) // additional
	const a, aaaa = 1, 28
	if kind == a && !at.Is4() || kind == aaaa && !at.Is6() || kind != a && kind != aaaa {
		return rsp
	}
	binary.BigEndian.PutUint16(rsp[6:], 1)
	rsp = append(rsp, 0xc0, 12)
	rsp = binary.BigEndian.AppendUint16(rsp, kind)
	rsp = append(rsp, 0, 1, 0, 0, 0, 0)
	rsp = binary.BigEndian.AppendUint16(rsp, uint16(at.BitLen()/8))
	return append(rsp, at.AsSlice()...)
}

func TestANameThatLeadsInsideIsRefusedWhenItIsDialled(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(inside.Close)
	u, err := url.Parse(inside.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		at     string
		change func(*Config)
		want   Result
	}{
		"loopback":               {at: "127.0.0.1", want: Result{Problem: "the address is private and not allowed"}},
		"loopback in IPv6":       {at: "::1", want: Result{Problem: "the address is private and not allowed"}},
		"mapped loopback":        {at: "::ffff:127.0.0.1", want: Result{Problem: "the address is private and not allowed"}},
		"the address of a cloud": {at: "169.254.169.254", want: Result{Problem: "the address is private and not allowed"}},
		"loopback where it is free": {
			at:     "127.0.0.1",
			change: func(c *Config) { c.AllowCIDRs = []string{"127.0.0.0/8"} },
			want:   Result{Delivered: true, Status: 200},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := hits.Load()
			config := DefaultConfig()
			config.AllowHTTP = true
			if c.change != nil {
				c.change(&config)
			}
			s := NewSender(config, time.Now)
			t.Cleanup(s.Close)
			dialer := &net.Dialer{Control: config.control, Resolver: names(t, netip.MustParseAddr(c.at))}
			s.transport.DialContext = dialer.DialContext
			e := Endpoint{URL: "http://hooks.example.com:" + u.Port() + "/", Secrets: []Secret{NewSecret(time.Now())}}
			if faults := config.Check(&Endpoint{URL: e.URL, Events: []string{All}}); len(faults) > 0 {
				t.Fatalf("the name is refused at once: %v", faults)
			}
			got := s.Send(t.Context(), &e, "msg_1_2", []byte("{}"))
			got.Took = 0
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if reached := hits.Load() > before; reached != c.want.Delivered {
				t.Errorf("reached: %v", reached)
			}
		})
	}
}

func TestAProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("ALL_PROXY", proxy.URL)
	if s := NewSender(DefaultConfig(), time.Now); s.transport.Proxy != nil {
		t.Error("the transport has a proxy")
	}
	config := DefaultConfig()
	config.AllowHTTP = true
	s := NewSender(config, time.Now)
	t.Cleanup(s.Close)
	s.transport.DialContext = (&net.Dialer{Control: config.control, Resolver: names(t, netip.MustParseAddr("127.0.0.1"))}).DialContext
	s.Send(t.Context(), &Endpoint{URL: "http://hooks.example.com/"}, "msg_1_2", []byte("{}"))
	if asked.Load() > 0 {
		t.Error("the proxy was asked")
	}
}

func TestWhatHasNoAnswerIsNamedWithoutTellingOfTheNetwork(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(plain.Close)
	private := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	private.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(private.Close)
	closed := httptest.NewServer(nil)
	closed.Close()
	config := DefaultConfig()
	config.AllowPrivate, config.AllowHTTP = true, true
	s := NewSender(config, time.Now)
	t.Cleanup(s.Close)
	for address, want := range map[string]string{
		closed.URL:  "the connection was refused",
		private.URL: "the certificate is not trusted",
		strings.Replace(plain.URL, "http:", "https:", 1):   "the endpoint does not speak TLS",
		strings.Replace(private.URL, "https:", "http:", 1): "answered 400",
	} {
		if got := s.Send(t.Context(), &Endpoint{URL: address}, "msg_1_2", []byte("{}")); got.Problem != want || got.Delivered {
			t.Errorf("%s: %+v, want %q", address, got, want)
		}
	}
}

func TestNoSecretIsPrinted(t *testing.T) {
	t.Parallel()
	e := Endpoint{Password: "swordfish", Secrets: []Secret{NewSecret(time.Now())}}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s", e, e, e, e.Password)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "endpoint", e, "password", e.Password)
	if s := out.String(); strings.Contains(s, "swordfish") || strings.Contains(s, SecretPrefix) {
		t.Errorf("printed: %s", s)
	}
}

package bus_test

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/clustertest"
)

func TestReplicasAreChangedOnAnInstallationWithData(t *testing.T) {
	t.Parallel()
	cfg := bus.DefaultConfig()
	_, cfg.URL = clustertest.Start(t)
	cfg.StartTimeout = time.Minute
	written := 0
	for _, each := range []struct {
		asked, replicas int
		lowers          bool
	}{{1, 1, false}, {3, 3, false}, {1, 3, false}, {1, 1, true}} {
		cfg.Replicas, cfg.Lowers = each.asked, each.lowers
		replicas := each.replicas
		b := open(t, cfg)
		if written == 0 {
			for _, stream := range everyStream {
				for k := range 30 {
					if _, err := b.JS.Publish(t.Context(), fmt.Sprintf(stream.subject, k), []byte("kept")); err != nil {
						t.Fatalf("%s: %v", stream.name, err)
					}
				}
			}
			written = 30
		}
		for _, stream := range everyStream {
			s, err := b.Stream(t.Context(), stream.name)
			if err != nil {
				t.Fatal(err)
			}
			if info := s.CachedInfo(); info.Config.Replicas != replicas || info.State.Msgs != uint64(written) || info.Config.Mirror != nil ||
				strings.HasPrefix(stream.name, "KV_") && info.Config.AllowDirect != (replicas == 1) {
				t.Errorf("%s with nats_replicas %d: %d replicas of %d messages", stream.name, each.asked, info.Config.Replicas, info.State.Msgs)
			}
			if _, err := b.JS.Publish(t.Context(), fmt.Sprintf(stream.subject, written), []byte("new")); err != nil {
				t.Errorf("write to %s: %v", stream.name, err)
			}
			if _, err := b.JS.Stream(t.Context(), stream.name+"_COPY"); err == nil {
				t.Errorf("a copy of %s was left behind", stream.name)
			}
		}
		written++
		b.Close()
	}
}

var everyStream = []struct{ name, subject string }{
	{bus.EventsStream, bus.EventsPrefix + ".pro-1.usr-%d.login-error"},
	{bus.OffersStream, bus.OffersPrefix + ".pro-1.usr-%d.login"},
	{bus.DecisionsStream, bus.DecisionsPrefix + ".pro-1.usr-%d.login"},
	{bus.WebhookDeliveriesStream, bus.WebhookDeliveriesPrefix + ".pro-1.web-1.usr-%d.ok"},
	{"KV_" + bus.ChallengesBucket, "$KV." + bus.ChallengesBucket + ".pro-1.usr-%d.c"},
	{"KV_" + bus.ProcessesBucket, "$KV." + bus.ProcessesBucket + ".pro-1.p-%d"},
	{"KV_" + bus.AccountsBucket, "$KV." + bus.AccountsBucket + ".pro-1.usr-%d"},
}

func TestAServerThatHangsIsLeftForOneThatDoesNot(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Addr = "127.0.0.1:0"
	open(t, cfg)
	address, err := bus.ServerURL(cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	behind, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	first, second := relay(t, behind.Host), relay(t, behind.Host)
	client := bus.DefaultConfig()
	client.PingInterval = 100 * time.Millisecond
	client.URL = address[:len(address)-len(behind.Host)] + first.addr + "," + address[:len(address)-len(behind.Host)] + second.addr
	b := open(t, client)
	hung := first
	if b.Conn.ConnectedAddr() == second.addr {
		hung = second
	}
	hung.hang()
	eventually(t, "the hung server is left", func() bool {
		_, err := b.JS.Publish(t.Context(), bus.EventsPrefix+".pro-1.usr-1.login-error", nil)
		return err == nil && b.Conn.ConnectedAddr() != hung.addr
	})
}

// relayed is a server as its clients see it, that can hang: its connections stay and nothing comes.
type relayed struct {
	addr string

	mu   sync.Mutex
	hung bool
}

func (r *relayed) hang() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hung = true
}

func (r *relayed) hangs() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hung
}

func relay(t *testing.T, to string) *relayed {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r := &relayed{addr: l.Addr().String()}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			t.Cleanup(func() { _, _ = in.Close(), out.Close() })
			go r.pass(in, out)
			go r.pass(out, in)
		}
	}()
	return r
}

func (r *relayed) pass(from io.Reader, to io.Writer) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if r.hangs() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

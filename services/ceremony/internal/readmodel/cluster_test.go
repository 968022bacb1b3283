package readmodel_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/loopbacktest"
)

// newCluster is three servers with the buckets on all of them, of which reads are answered by the leader alone.
func newCluster(tb testing.TB) (*storage, []*server.Server) {
	tb.Helper()
	var routes []*url.URL
	for range 3 {
		routes = append(routes, &url.URL{Scheme: "nats", Host: loopbacktest.Address(tb)})
	}
	var servers []*server.Server
	for i, route := range routes {
		port, err := strconv.Atoi(route.Port())
		if err != nil {
			tb.Fatal(err)
		}
		s, err := server.NewServer(&server.Options{
			ServerName: "node-" + strconv.Itoa(i), Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, JetStreamMaxStore: 1 << 40,
			StoreDir: tb.TempDir(), NoSigs: true, NoLog: true,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port}, Routes: routes,
		})
		if err != nil {
			tb.Fatal(err)
		}
		servers = append(servers, s)
		s.Start()
		tb.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	}
	var addresses []string
	for _, s := range servers {
		if !s.ReadyForConnections(time.Minute) {
			tb.Fatal("a server did not start")
		}
		addresses = append(addresses, s.ClientURL())
	}
	cfg := bus.DefaultConfig()
	cfg.URL, cfg.Replicas, cfg.StartTimeout = strings.Join(addresses, ","), 3, time.Minute
	b, err := bus.Open(tb.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.Close)
	st := &storage{Bus: b}
	st.open(tb)
	return st, servers
}

// BenchmarkRebuild makes a read model anew, of KEYWARD_READMODEL_USERS users.
func BenchmarkRebuild(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *storage{
		"one server":     newStorage,
		"three replicas": func(tb testing.TB) *storage { st, _ := newCluster(tb); return st },
	} {
		b.Run(name, func(b *testing.B) {
			n := benchUsers(b)
			st := open(b)
			fill(b, st, ident.NewProjectID(), n)
			var took, used time.Duration
			for b.Loop() {
				began, before := time.Now(), cpu(b)
				m := newModel(b, st, b.TempDir())
				waitBuilt(b, m.Store)
				took, used = took+time.Since(began), used+cpu(b)-before
				m.stop()
			}
			b.ReportMetric(float64(n)*float64(b.N)/took.Seconds(), "users/s")
			b.ReportMetric(used.Seconds()/float64(b.N), "CPU-s/op")
		})
	}
}

// Of three servers one goes, with which the bucket's leader goes and maybe the connection: what was and what comes is in the lists, by way
// of no consumer, and nothing is read anew.
func TestListsGoOnWithoutTheLeaderOfTheirBucket(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("three servers take seconds to elect leaders")
	}
	st, servers := newCluster(t)
	project := ident.NewProjectID()
	names := []string{}
	put := func() {
		names = append(names, fmt.Sprintf("%04d", len(names)))
		a := named(project, names[len(names)-1])
		raw, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(2 * time.Minute); ; {
			_, err := st.accounts.Put(t.Context(), string(project)+"."+string(a.ID), raw)
			if err == nil {
				return
			}
			if time.Now().After(end) {
				t.Fatal(err)
			}
		}
	}
	for range 200 { // more than is read one after the other
		put()
	}
	m := newModel(t, st, t.TempDir())
	want(t, "at first", names, listed(t, m, project))
	put()
	want(t, "what came", names, listed(t, m, project))

	stream, err := st.JS.Stream(t.Context(), "KV_"+bus.AccountsBucket)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Consumers; n != 0 {
		t.Errorf("there are %d consumers", n)
	}
	for _, s := range servers {
		if s.Name() == stream.CachedInfo().Cluster.Leader {
			s.Shutdown()
		}
	}
	for range 100 {
		put()
	}
	want(t, "without the leader", names, listed(t, m, project))
	want(t, "rebuilds", map[string]float64{"missing": 1}, rebuilds(t, m))
}

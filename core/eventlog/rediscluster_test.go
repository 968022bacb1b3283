package eventlog_test

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/sighting"
)

// clusterNode is a redis-server of a Cluster.
type clusterNode struct {
	*redis.Client
	port, busPort int
	process       *os.Process
}

func port(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func startNode(t *testing.T) *clusterNode {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("redis-server is not installed (make test installs it): %v", err)
	}
	dir := t.TempDir()
	n := &clusterNode{port: port(t), busPort: port(t)}
	config := fmt.Sprintf("bind 127.0.0.1\nport %d\ncluster-port %d\ndir %s\nlogfile %s\nsave \"\"\ncluster-enabled yes\n"+
		"cluster-node-timeout 1000\ncluster-replica-validity-factor 0\ncluster-require-full-coverage no\nrepl-diskless-sync-delay 0\n",
		n.port, n.busPort, dir, filepath.Join(dir, "log"))
	file := filepath.Join(dir, "redis.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.process = cmd.Process
	n.Client = redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", n.port)})
	t.Cleanup(func() {
		_ = n.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	within(t, "a node answers", func() bool { return n.Ping(t.Context()).Err() == nil })
	return n
}

func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for limit := time.After(time.Minute); !holds(); {
		select {
		case <-limit:
			t.Fatalf("not within a minute: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// startRedisCluster starts three masters, each with a third of the slots, and a replica of the first.
func startRedisCluster(t *testing.T) (masters []*clusterNode, replica *clusterNode) {
	t.Helper()
	for range 3 {
		masters = append(masters, startNode(t))
	}
	replica = startNode(t)
	all := append([]*clusterNode{replica}, masters...)
	for i, n := range masters {
		last := 16383 * (i + 1) / 3
		if err := n.ClusterAddSlotsRange(t.Context(), 16383*i/3+min(i, 1), last).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range all {
		if err := masters[0].Do(t.Context(), "cluster", "meet", "127.0.0.1", n.port, n.busPort).Err(); err != nil {
			t.Fatal(err)
		}
	}
	ready := func() bool {
		for _, n := range all {
			info := n.ClusterInfo(t.Context()).Val()
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:4") ||
				!strings.Contains(info, "cluster_slots_assigned:16384") {
				return false
			}
		}
		return true
	}
	within(t, "the Cluster is there", ready)
	first := masters[0].ClusterMyID(t.Context()).Val()
	within(t, "the replica takes its place", func() bool { return replica.ClusterReplicate(t.Context(), first).Err() == nil })
	within(t, "the replica follows", func() bool {
		return masters[0].Wait(t.Context(), 1, time.Second).Val() == 1 && ready()
	})
	return masters, replica
}

// onCluster opens a store on the cache of a Cluster.
func (i *installation) onCluster(masters []*clusterNode) (*eventlog.Store, *cache.Cache) {
	i.t.Helper()
	var hosts []string
	for _, n := range masters {
		hosts = append(hosts, fmt.Sprintf("127.0.0.1:%d", n.port))
	}
	c, err := cache.Open(cache.Config{URL: "redis+cluster://" + strings.Join(hosts, ","), Timeout: 2 * time.Second})
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() { _ = c.Close() })
	epochs, err := i.bus.Bucket(i.t.Context(), bus.EpochsBucket)
	if err != nil {
		i.t.Fatal(err)
	}
	store, err := eventlog.Open(i.t.Context(), eventlog.Deps{
		JetStream: i.bus.JS,
		Epochs:    epochs,
		Redis:     c.Client,
		Metrics:   prometheus.NewRegistry(),
		Clock:     time.Now,
		Log:       slog.New(slog.DiscardHandler),
	}, quick())
	if err != nil {
		i.t.Fatal(err)
	}
	store.Want(sighting.EveryKind)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { store.Run(ctx) })
	i.t.Cleanup(func() { stop(); running.Wait() })
	return store, c
}

func TestWhatWasAppendedIsReadThoughAMasterOfTheClusterDiesWithIt(t *testing.T) {
	t.Parallel()
	i := install(t)
	masters, replica := startRedisCluster(t)
	store, c := i.onCluster(masters)
	other, _ := i.onCluster(masters)
	if err := c.Writable(t.Context()); err != nil {
		t.Fatal(err)
	}
	count := make(map[ident.UserID]int)
	offices := make([]string, 8) // somewhere in the Cluster each
	for n := range offices {
		offices[n] = fmt.Sprintf("203.0.113.%d", n)
	}
	named := sighting.NewNamer(make([]byte, sighting.KeySize), sighting.Version{})
	failures := sighting.Counter{Count: sighting.Users, Of: sighting.TypesOf(sighting.LoginRefused), Window: time.Hour}
	// counted returns how many users an address has failed with, and whether nothing is missing.
	counted := func(reader *eventlog.Store, office string) (int, bool) {
		t.Helper()
		keys := sighting.Keys(project, named.Name("", "", office), sighting.Bad)
		read, err := reader.ReadWith(t.Context(), project, "", "", keys[:1])
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		return read.Sets[0].Count(failures, now), read.Since.Covers(failures.Of, failures.Window, now)
	}
	var users []ident.UserID
	for n := range 24 {
		users = append(users, ident.UserID(fmt.Sprintf("usr-%d", 1000+n)))
	}
	at := func(user ident.UserID) string { return offices[slices.Index(users, user)%len(offices)] }
	add := func(user ident.UserID) {
		count[user]++
		e := event.Event{
			ID: ident.EventID(fmt.Sprintf("pke-%s%d", user[len("usr-"):], count[user])), Project: project, User: user, Type: event.LoginRefused,
			CreatedMs: time.Now().UnixMilli(), Sighted: named.Name(string(user), "", at(user)),
		}
		if _, err := store.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	check := func() {
		t.Helper()
		for user, want := range count {
			for _, reader := range []*eventlog.Store{other, store} {
				events, err := reader.Events(t.Context(), project, user)
				if err != nil || len(events) != want {
					t.Errorf("%s: %d of %d events, %v", user, len(events), want, err)
				}
			}
		}
		for _, office := range offices {
			there := 0
			for user := range count {
				if at(user) == office {
					there++
				}
			}
			for _, reader := range []*eventlog.Store{other, store} {
				if n, complete := counted(reader, office); n > there || complete && n < there {
					t.Errorf("%d users are counted at %s, complete %t, of %d", n, office, complete, there)
				}
			}
		}
	}
	for range 3 {
		for _, user := range users {
			add(user)
		}
		check()
	}
	held := 0
	for _, n := range masters {
		size := int(n.DBSize(t.Context()).Val())
		if size == 0 {
			t.Errorf("a master holds nothing")
		}
		held += size
	}
	if held < len(users) {
		t.Errorf("the masters hold %d entries of %d", held, len(users))
	}

	// The replica does not hear of what is appended last, and then takes over.
	if err := replica.process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// Nor does it find that in the buffers of its connection.
	if err := masters[0].Do(t.Context(), "client", "kill", "type", "replica").Err(); err != nil {
		t.Fatal(err)
	}
	for _, user := range users {
		add(user)
	}
	check()
	if err := masters[0].process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := replica.process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	within(t, "the replica takes over", func() bool {
		return strings.HasPrefix(replica.Info(t.Context(), "replication").Val(), "# Replication\r\nrole:master")
	})
	within(t, "the cache is used again", func() bool {
		check()
		return c.Writable(t.Context()) == nil && store.Degraded() == nil && other.Degraded() == nil
	})
	check()
	for _, user := range users {
		add(user)
	}
	check()
	missing := func() (n int) {
		for _, office := range offices {
			if _, complete := counted(other, office); !complete {
				n++
			}
		}
		return n
	}
	within(t, "what is counted is found again", func() bool { return missing() == 0 })
	check()

	// This one has no replica: what it had is away for good, and is said to be.
	if err := masters[1].process.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, user := range users {
			add(user)
		}
		check()
	}
	if missing() == 0 {
		t.Error("a third of the Cluster is away, and nothing is said to be missing")
	}
	check()
}

// Package clustertest starts NATS servers that a test needs three of. It touches ports of 127.0.0.1 and directories of the test, and the
// servers end with it.
package clustertest

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/keyward/keyward/core/loopbacktest"
)

// Start starts three servers of a cluster with JetStream and returns them, with the URL that names all.
func Start(tb testing.TB) ([]*server.Server, string) {
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
			ServerName: "node-" + strconv.Itoa(i), Host: "127.0.0.1", Port: server.RANDOM_PORT,
			JetStream: true, JetStreamMaxStore: 1 << 40, // however little the disk has left
			StoreDir: tb.TempDir(), NoSigs: true, NoLog: true, MaxPayload: 4 << 20,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port}, Routes: routes,
		})
		if err != nil {
			tb.Fatal(err)
		}
		s.Start()
		tb.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		servers = append(servers, s)
	}
	var addresses []string
	for _, s := range servers {
		if !s.ReadyForConnections(time.Minute) {
			tb.Fatal("a server did not start")
		}
		addresses = append(addresses, s.ClientURL())
	}
	return servers, strings.Join(addresses, ",")
}

package cache

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The schemes of a Redis Cluster, of which some nodes are named; the second speaks TLS with all of them.
const (
	clusterScheme    = "redis+cluster"
	clusterTLSScheme = "rediss+cluster"
	clusterPort      = "6379"
)

var errClusterURL = errors.New("must be of the form redis+cluster://user:password@host:port,host:port; a Cluster has no databases")

// inCluster reports whether a URL names nodes of a Cluster.
func inCluster(address string) bool {
	scheme, _, _ := strings.Cut(address, "://")
	return scheme == clusterScheme || scheme == clusterTLSScheme
}

// cluster reads such a URL.
func cluster(address string, cfg Config) (*redis.ClusterOptions, error) {
	u, hosts, err := several(address, clusterPort)
	if err != nil || strings.Trim(u.Path, "/") != "" {
		return nil, errClusterURL
	}
	tuned := tune(&redis.Options{}, cfg)
	opts := &redis.ClusterOptions{
		Addrs: hosts, DialTimeout: tuned.DialTimeout, ReadTimeout: tuned.ReadTimeout, WriteTimeout: tuned.WriteTimeout,
		PoolTimeout: tuned.PoolTimeout, PoolSize: tuned.PoolSize, ContextTimeoutEnabled: true, DisableIdentity: true,
		DialerRetries: tuned.DialerRetries, MinRetryBackoff: tuned.MinRetryBackoff, MaxRetryBackoff: tuned.MaxRetryBackoff,
		MaintNotificationsConfig: tuned.MaintNotificationsConfig,
	}
	if u.User != nil {
		opts.Username = u.User.Username()
		opts.Password, _ = u.User.Password()
	}
	if u.Scheme == clusterTLSScheme {
		opts.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return opts, nil
}

// Node returns the client of the server that has a key: of a Cluster the master that the key belongs to, as far as is known. It follows no
// redirection, so that whoever must know which server answered does. An error of it, or that it no longer has the key, is a reason to
// Relearn.
func Node(ctx context.Context, client redis.UniversalClient, key string) (*redis.Client, error) {
	switch c := client.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		node, err := c.MasterForKey(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("find the node that has a key: %w", err)
		}
		return node, nil
	default:
		return nil, fmt.Errorf("a client of type %T has no nodes", client)
	}
}

// Relearn finds out in the background which nodes of a Cluster have which keys.
func Relearn(ctx context.Context, client redis.UniversalClient) {
	if c, is := client.(*redis.ClusterClient); is {
		c.ReloadState(ctx)
	}
}

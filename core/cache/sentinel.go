package cache

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The schemes of a Redis whose master Sentinels know; the second speaks TLS with Redis and with them.
const (
	sentinelScheme    = "redis+sentinel"
	sentinelTLSScheme = "rediss+sentinel"
	sentinelPort      = "26379"
)

var errSentinelURL = errors.New("must be of the form redis+sentinel://user:password@host:port,host:port/master/database")

// bySentinels reports whether a URL names Sentinels.
func bySentinels(address string) bool {
	scheme, _, _ := strings.Cut(address, "://")
	return scheme == sentinelScheme || scheme == sentinelTLSScheme
}

// sentinels reads such a URL. User and password are of Redis; those of the Sentinels are sentinel_user and sentinel_password in the query.
func sentinels(address string, cfg Config) (*redis.FailoverOptions, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	authority, path, _ := strings.Cut(rest, "/")
	hosts := authority[strings.LastIndex(authority, "@")+1:]
	// Of several hosts together no URL can be read.
	u, err := url.Parse(scheme + "://" + strings.TrimSuffix(authority, hosts) + "sentinels/" + path)
	if err != nil || hosts == "" {
		return nil, errSentinelURL
	}
	master, database, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if master == "" {
		return nil, errSentinelURL
	}
	tuned := tune(&redis.Options{}, cfg)
	opts := &redis.FailoverOptions{
		MasterName: master, SentinelUsername: u.Query().Get("sentinel_user"), SentinelPassword: u.Query().Get("sentinel_password"),
		DialTimeout: tuned.DialTimeout, ReadTimeout: tuned.ReadTimeout, WriteTimeout: tuned.WriteTimeout, PoolTimeout: tuned.PoolTimeout,
		PoolSize: tuned.PoolSize, ContextTimeoutEnabled: true, DisableIdentity: true, DialerRetries: tuned.DialerRetries,
		MaxRetries: tuned.MaxRetries, MinRetryBackoff: tuned.MinRetryBackoff, MaxRetryBackoff: tuned.MaxRetryBackoff,
	}
	if u.User != nil {
		opts.Username = u.User.Username()
		opts.Password, _ = u.User.Password()
	}
	if database != "" {
		if opts.DB, err = strconv.Atoi(database); err != nil {
			return nil, fmt.Errorf("the database %q is not a number", database)
		}
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), sentinelPort)
		}
		opts.SentinelAddrs = append(opts.SentinelAddrs, host)
	}
	if scheme == sentinelTLSScheme {
		opts.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return opts, nil
}

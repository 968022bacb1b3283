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
	u, hosts, err := several(address, sentinelPort)
	if err != nil {
		return nil, errSentinelURL
	}
	master, database, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if master == "" {
		return nil, errSentinelURL
	}
	tuned := tune(&redis.Options{}, cfg)
	opts := &redis.FailoverOptions{
		MasterName: master, SentinelUsername: u.Query().Get("sentinel_user"), SentinelPassword: u.Query().Get("sentinel_password"),
		SentinelAddrs: hosts,
		DialTimeout:   tuned.DialTimeout, ReadTimeout: tuned.ReadTimeout, WriteTimeout: tuned.WriteTimeout, PoolTimeout: tuned.PoolTimeout,
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
	if u.Scheme == sentinelTLSScheme {
		opts.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return opts, nil
}

// several reads a URL of several hosts, for which no other reader is made. The host of what it returns means nothing.
func several(address, port string) (*url.URL, []string, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	authority, path, _ := strings.Cut(rest, "/")
	names := authority[strings.LastIndex(authority, "@")+1:]
	u, err := url.Parse(scheme + "://" + strings.TrimSuffix(authority, names) + "several/" + path)
	if err != nil || names == "" {
		return nil, nil, errNoHosts
	}
	var hosts []string
	for host := range strings.SplitSeq(names, ",") {
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		hosts = append(hosts, host)
	}
	return u, hosts, nil
}

var errNoHosts = errors.New("names no hosts")

// Package certificate keeps the TLS certificate of a server as its files have it. It reads the two files and nothing else, again whenever
// they have changed, so that a certificate is renewed without a restart. A key is never logged.
package certificate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/plainfile"
)

// Every is how often the files are looked at, at most: whenever a client connects and that long has passed.
const Every = 2 * time.Second

// Deps are what Files works with.
type Deps struct {
	Now     func() time.Time
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil: nothing is counted
}

// Files is a certificate and its key in two PEM files. It may be shared. Make it with Open.
type Files struct {
	cert, key string
	deps      Deps
	failures  prometheus.Counter

	mu      sync.Mutex // guards what follows
	loaded  *tls.Certificate
	seen    state     // of the files when they were last read
	failing bool      // they could not be used then
	checked time.Time // when they were last looked at
}

// state tells files that have changed from ones that have not.
type state [2]struct {
	modified time.Time
	size     int64
}

// Open reads a certificate with its chain, and its key. An error begins with the setting that names the file at fault.
func Open(cert, key string, deps Deps) (*Files, error) {
	f := &Files{cert: cert, key: key, deps: deps, failures: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "keyward_tls_reload_failures_total",
		Help: "Changed certificate files that could not be used, so that the old certificate stayed; healthy is 0.",
	})}
	var err error
	if f.seen, err = f.look(); err != nil {
		return nil, err
	}
	if f.loaded, err = f.load(); err != nil {
		return nil, err
	}
	f.checked = deps.Now()
	f.tell("the TLS certificate is used")
	if deps.Metrics == nil {
		return f, nil
	}
	expiry := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "keyward_tls_certificate_expiry_timestamp_seconds", Help: "When the TLS certificate in use expires; Unix seconds.",
	}, func() float64 {
		f.mu.Lock()
		defer f.mu.Unlock()
		return float64(f.loaded.Leaf.NotAfter.Unix())
	})
	return f, errors.Join(deps.Metrics.Register(f.failures), deps.Metrics.Register(expiry))
}

// Get returns the certificate for a handshake, as tls.Config.GetCertificate wants it. If changed files cannot be used, the certificate that
// was used before stays.
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.deps.Now(); now.Sub(f.checked) >= Every || now.Before(f.checked) {
		f.checked = now
		f.renew()
	}
	return f.loaded, nil
}

// renew reads the files if they have changed, or could not be used when they were last read: they are not replaced both at once. A failure
// is told once.
func (f *Files) renew() {
	now, err := f.look()
	if err == nil && now == f.seen && !f.failing {
		return
	}
	told := f.failing && now == f.seen
	f.seen = now
	var renewed *tls.Certificate
	if err == nil {
		renewed, err = f.load()
	}
	if f.failing = err != nil; !f.failing {
		f.loaded = renewed
		f.tell("the TLS certificate has been renewed")
		return
	}
	if !told {
		f.failures.Inc()
		f.deps.Log.Warn(
			"the changed TLS certificate cannot be used; the one before stays", "error", err.Error(), "expires", f.loaded.Leaf.NotAfter,
		)
	}
}

func (f *Files) look() (state, error) {
	var found state
	for i, file := range []struct{ setting, path string }{{"tls_cert", f.cert}, {"tls_key", f.key}} {
		info, err := os.Stat(file.path)
		if err != nil {
			return state{}, fmt.Errorf("%s: %w", file.setting, err)
		}
		found[i].modified, found[i].size = info.ModTime(), info.Size()
	}
	return found, nil
}

func (f *Files) load() (*tls.Certificate, error) {
	cert, err := plainfile.Read(f.cert, plainfile.MaxText)
	if err != nil {
		return nil, fmt.Errorf("tls_cert: %w", err)
	}
	key, err := plainfile.Read(f.key, plainfile.MaxText)
	if err != nil {
		return nil, fmt.Errorf("tls_key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("tls_cert, tls_key: %w", err)
	}
	return &pair, nil
}

// tell logs which certificate is used. One that is expired is used too: some clients take it, and none would take nothing.
func (f *Files) tell(what string) {
	leaf := f.loaded.Leaf
	level := slog.LevelInfo
	if f.deps.Now().After(leaf.NotAfter) {
		level, what = slog.LevelWarn, what+", but it has expired"
	}
	f.deps.Log.LogAttrs(context.Background(), level, what, slog.Any("names", leaf.DNSNames), slog.Time("expires", leaf.NotAfter))
}

package bus

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
)

const (
	natsUser       = "keyward"
	passwordFile   = "nats-password"
	maxPayload     = 4 << 20 // bytes; above the largest HTTP body
	readyStep      = 20 * time.Millisecond
	storeDir       = "nats"
	lockFile       = "lock"
	listenerOff    = "off"
	ownerOnlyFile  = 0o600
	ownerOnlyEntry = 0o700
)

// startEmbedded runs a NATS server in this process. A lock on the data directory keeps a second process from opening the same store.
func (b *Bus) startEmbedded(ctx context.Context, cfg Config, log *slog.Logger) error {
	if err := os.MkdirAll(filepath.Join(cfg.DataDir, storeDir), ownerOnlyEntry); err != nil {
		return fmt.Errorf("data_dir: make data directory: %w", err)
	}
	lock := flock.New(filepath.Join(cfg.DataDir, lockFile))
	locked, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("data_dir: lock data directory: %w", err)
	}
	if !locked {
		return fmt.Errorf("data directory %s is in use by another keyward", cfg.DataDir)
	}
	b.unlock = lock.Unlock

	opts, err := serverOptions(cfg)
	if err != nil {
		return err
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("make embedded nats: %w", err)
	}
	fatal := make(chan string, 1)
	srv.SetLoggerV2(serverLog{log, fatal}, false, false, false)
	b.embedded = srv
	b.guard = &guard{dir: opts.StoreDir, reserve: cfg.DiskReserve, srv: srv, log: log, measure: b.measure}
	srv.Start()
	if err := awaitServer(ctx, srv, fatal); err != nil {
		return fmt.Errorf("%w; nats_addr is %s, data_dir is %s", err, cfg.Addr, cfg.DataDir)
	}
	return b.publishURL(cfg)
}

// inUse reports whether a process has the data directory. It makes no file.
func inUse(dataDir string) bool {
	path := filepath.Join(dataDir, lockFile)
	if _, err := os.Stat(path); err != nil {
		return false
	}
	lock := flock.New(path)
	free, err := lock.TryLock()
	if err != nil {
		return false
	}
	_ = lock.Unlock()
	return !free
}

// awaitServer returns when the server takes connections, which a large store takes its time for, or says why it will not.
func awaitServer(ctx context.Context, srv *server.Server, fatal <-chan string) error {
	for {
		select {
		case cause := <-fatal:
			return fmt.Errorf("the embedded nats does not start (nats_addr, data_dir): %s", cause)
		case <-ctx.Done():
			return fmt.Errorf("the embedded nats was not ready in time: %w", ctx.Err())
		default:
		}
		if srv.ReadyForConnections(readyStep) {
			return nil
		}
	}
}

func serverOptions(cfg Config) (*server.Options, error) {
	user, password, err := credentials(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	opts := &server.Options{
		ServerName: "keyward",
		JetStream:  true,
		StoreDir:   filepath.Join(cfg.DataDir, storeDir),
		NoSigs:     true,
		MaxPayload: maxPayload,

		JetStreamMaxStore: storeLimit,

		CustomClientAuthentication: passwordCheck{user, password},
	}
	if cfg.SyncInterval == 0 {
		opts.SyncAlways = true
	} else {
		opts.SyncInterval = cfg.SyncInterval
	}
	if cfg.Addr == listenerOff || cfg.Addr == "" {
		opts.DontListen = true
		return opts, nil
	}
	host, port, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("nats_addr: %w", err)
	}
	opts.Host = host
	if opts.Port, err = strconv.Atoi(port); err != nil {
		return nil, fmt.Errorf("nats_addr: port %q is not a number", port)
	}
	if opts.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	return opts, nil
}

// passwordCheck lets in who knows the password of the data directory.
type passwordCheck struct{ user, password string }

// Check implements server.Authentication.
func (p passwordCheck) Check(client server.ClientAuthentication) bool {
	given := client.GetOpts()
	user := subtle.ConstantTimeCompare([]byte(given.Username), []byte(p.user))
	password := subtle.ConstantTimeCompare([]byte(given.Password), []byte(p.password))
	return user&password == 1
}

// publishURL leaves the URL for NATS tools and keyward's own commands, or removes the one of an earlier run.
func (b *Bus) publishURL(cfg Config) error {
	path := filepath.Join(cfg.DataDir, URLFile)
	addr := b.ListenAddr()
	if addr == "" {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove stale nats url: %w", err)
		}
		return nil
	}
	user, password, err := credentials(cfg.DataDir)
	if err != nil {
		return err
	}
	u := url.URL{Scheme: "nats", User: url.UserPassword(user, password), Host: addr}
	if err := os.WriteFile(path, []byte(u.String()), ownerOnlyFile); err != nil {
		return fmt.Errorf("write nats url: %w", err)
	}
	return nil
}

// credentials returns the user and password of the embedded server, drawn once and kept in the data directory.
func credentials(dataDir string) (user, password string, err error) {
	path := filepath.Join(dataDir, passwordFile)
	raw, err := os.ReadFile(path)
	if err == nil {
		return natsUser, strings.TrimSpace(string(raw)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", "", fmt.Errorf("read nats password: %w", err)
	}
	password = rand.Text()
	if err := os.WriteFile(path, []byte(password), ownerOnlyFile); err != nil {
		return "", "", fmt.Errorf("write nats password: %w", err)
	}
	return natsUser, password, nil
}

// serverLog passes the embedded server's messages on. Its notices are a start-up banner, of interest only when debugging.
// What would end a server of its own goes to fatal too.
type serverLog struct {
	log   *slog.Logger
	fatal chan<- string
}

func (l serverLog) Noticef(format string, v ...any) {
	l.log.Debug("nats: " + fmt.Sprintf(format, v...))
}
func (l serverLog) Warnf(format string, v ...any) { l.log.Warn("nats: " + fmt.Sprintf(format, v...)) }
func (l serverLog) Fatalf(format string, v ...any) {
	cause := fmt.Sprintf(format, v...)
	l.log.Error("nats: " + cause)
	select {
	case l.fatal <- cause:
	default:
	}
}
func (l serverLog) Errorf(format string, v ...any) { l.log.Error("nats: " + fmt.Sprintf(format, v...)) }
func (l serverLog) Debugf(format string, v ...any) { l.log.Debug("nats: " + fmt.Sprintf(format, v...)) }
func (l serverLog) Tracef(format string, v ...any) { l.log.Debug("nats: " + fmt.Sprintf(format, v...)) }

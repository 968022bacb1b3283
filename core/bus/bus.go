// Package bus is the connection to NATS: an embedded server with JetStream on disk, or an external one by URL. It creates the streams and
// buckets of the design and owns the connection; what is written to them is the business of others.
//
// A write that JetStream acknowledged is on disk under the default configuration. The streams of observations (offers, decisions, pending
// challenges) are persisted asynchronously: they survive the death of the process, and may lose their last moments when the machine loses
// power.
package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bus is an open connection. Close it.
type Bus struct {
	Conn *nats.Conn
	JS   jetstream.JetStream

	id       string // of this connection among the probes
	replicas int

	lowers    bool
	unlowered int // streams that keep more replicas than are asked for
	embedded  *server.Server
	measure   func(dir string) (volume, error)
	guard     *guard // nil = an external server
	unguard   func()
	unlock    func() error
}

// pingsOut is how many pings may be unanswered before a connection is given up.
const pingsOut = 2

// Open connects, starting the embedded server if the configuration names no other, and creates what is missing, unless that is another's to
// do. It may be called by any number of processes at once. An error says what could not be reached or created; nothing is left running
// then.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Bus, error) {
	return openOn(ctx, cfg, log, measure)
}

// openOn is Open on a volume as measured.
func openOn(ctx context.Context, cfg Config, log *slog.Logger, measured func(dir string) (volume, error)) (*Bus, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.StartTimeout)
	defer cancel()
	b := &Bus{id: rand.Text(), replicas: cfg.Replicas, lowers: cfg.Lowers, measure: measured}
	if err := b.connect(ctx, cfg, log); err != nil {
		b.Close()
		return nil, err
	}
	js, err := jetstream.New(b.Conn, jetstream.WithPublishAsyncMaxPending(8192))
	if err != nil {
		b.Close()
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	b.JS = js
	provide := b.provision
	if cfg.Provided {
		provide = b.await
	}
	if err := provide(ctx, cfg, log); err != nil {
		b.Close()
		return nil, err
	}
	b.watch()
	return b, nil
}

// watch looks after the embedded server's disk until the bus is closed.
func (b *Bus) watch() {
	if b.guard == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.guard.run(ctx)
	}()
	b.unguard = func() {
		cancel()
		<-done
	}
}

func (b *Bus) connect(ctx context.Context, cfg Config, log *slog.Logger) error {
	opts := []nats.Option{
		nats.Name("keyward"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		// A server that hangs is left after three intervals: it still has its connections, and nothing else says that it hangs.
		nats.PingInterval(cfg.PingInterval),
		nats.MaxPingsOutstanding(pingsOut),
		// Nothing is buffered while the server is away: a write either reaches the log or fails at once.
		nats.ReconnectBufSize(-1),
		// Each batch read makes a queue of that length for its answer, of 1,000 messages at most; the client's default costs half a megabyte each
		// time.
		nats.SyncQueueLen(2048),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("nats disconnected", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("nats reconnected") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("nats", "error", err) }),
	}
	if prefix := inboxPrefix(cfg.URL); prefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(prefix))
	}
	if cfg.URL != "" {
		if cfg.CredentialsFile != "" {
			opts = append(opts, nats.UserCredentials(cfg.CredentialsFile))
		}
		return b.dial(ctx, cfg.URL, opts)
	}
	if err := b.startEmbedded(ctx, cfg, log); err != nil {
		return err
	}
	user, password, err := credentials(cfg.DataDir)
	if err != nil {
		return err
	}
	// If this process hangs, so does the server in it; if it is only busy, neither is to be left for that.
	opts = append(opts, nats.PingInterval(nats.DefaultPingInterval), nats.InProcessServer(b.embedded), nats.UserInfo(user, password))
	conn, err := nats.Connect("", opts...)
	if err != nil {
		return fmt.Errorf("connect to the embedded nats: %w", err)
	}
	b.Conn = conn
	return nil
}

// dial tries until ctx ends: the server may be starting beside us.
func (b *Bus) dial(ctx context.Context, address string, opts []nats.Option) error {
	for {
		conn, err := nats.Connect(address, opts...)
		if err == nil {
			b.Conn = conn
			return nil
		}
		if errors.Is(err, nats.ErrAuthorization) {
			return fmt.Errorf("connect to nats at %s: %w", redact(address), err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("connect to nats at %s: %w", redact(address), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

var inboxName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

// inboxPrefix is where the answers to a user of an external server are sent, _INBOX.<user>: a server may then let each user
// listen to its own answers alone. It is empty if the address names no user.
func inboxPrefix(address string) string {
	first, _, _ := strings.Cut(address, ",")
	u, err := url.Parse(first)
	if err != nil || u.User == nil {
		return ""
	}
	if _, named := u.User.Password(); !named || !inboxName.MatchString(u.User.Username()) {
		return "" // a token, or a name that no subject may have
	}
	return nats.InboxPrefix + u.User.Username()
}

func redact(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the configured URL"
	}
	return u.Redacted()
}

// Close ends the connection and, if it is ours, the server behind it.
func (b *Bus) Close() {
	if b.unguard != nil {
		b.unguard()
	}
	if b.Conn != nil {
		b.Conn.Close()
	}
	if b.embedded != nil {
		b.embedded.Shutdown()
		b.embedded.WaitForShutdown()
	}
	if b.unlock != nil {
		_ = b.unlock()
	}
}

// ListenAddr returns where the embedded server listens, or "" if it does not.
func (b *Bus) ListenAddr() string {
	if b.embedded == nil {
		return ""
	}
	addr, ok := b.embedded.Addr().(*net.TCPAddr)
	if !ok || addr == nil {
		return ""
	}
	return addr.String()
}

// URLFile is the name of the file in the data directory that holds the URL, credentials included, of the running embedded server.
const URLFile = "nats-url"

// Why there is no URL in a data directory.
var (
	// ErrNoServer says that none runs there.
	ErrNoServer = errors.New("no running server found")
	// ErrNotListening says that one does, and that nobody can reach its NATS.
	ErrNotListening = errors.New("the server there runs with nats_addr off, so that no command reaches it")
)

// ServerURL reads the URL of the server that runs on dataDir. Errors are ErrNoServer, ErrNotListening, or of reading.
func ServerURL(dataDir string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(dataDir, URLFile))
	switch {
	case err == nil:
		return string(raw), nil
	case !errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("find the server of %s: %w", dataDir, err)
	case inUse(dataDir):
		return "", fmt.Errorf("%w: %s", ErrNotListening, dataDir)
	default:
		return "", fmt.Errorf("%w in %s: %w", ErrNoServer, dataDir, err)
	}
}

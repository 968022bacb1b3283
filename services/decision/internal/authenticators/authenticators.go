// Package authenticators gets what FIDO's metadata service says of models of authenticators, from a file or over HTTPS, and offers it to
// who keeps it. It promises that nothing waits for it, that it asks nobody but the one address, and only if that is what it was told; that
// it reads no more than metadata may have; and that a file that is being written is left alone until it rests. It touches that file, or
// that address.
package authenticators

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/services/decision/internal/follow"
)

// Setting is the name of the setting of where metadata comes from.
const Setting = "mds_source"

// Off is the source of nothing.
const Off = "off"

// Config says where metadata comes from, and who is believed.
type Config struct {
	Source string        // Off, the path of a file, or the address of a service
	Root   string        // a file with the certificates that it must lead to; empty = that of FIDO's service
	Name   string        // whom the certificate is for that has signed
	Grace  time.Duration // for which metadata may be overdue
}

// DefaultConfig is off.
func DefaultConfig() Config {
	return Config{Source: Off, Name: metadata.Name, Grace: metadata.DefaultGrace}
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	if c.Grace < 0 {
		errs = append(errs, errors.New("mds_grace: must not be negative"))
	}
	if err := Check(c.Source); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", Setting, err))
	}
	return errors.Join(errs...)
}

// On reports whether there is a source.
func (c Config) On() bool { return c.Source != "" && c.Source != Off }

// Times of fetching. FIDO has another blob every month, and says at once what is compromised.
const (
	day          = 24 * time.Hour
	firstPause   = time.Minute // after a failure, and twice as long after each that follows
	longestPause = 6 * time.Hour
	fetchTimeout = 2 * time.Minute
)

// Keeper takes what was got. core/metadata.Keeper is one.
type Keeper interface {
	Offer(ctx context.Context, blob []byte, from metadata.Origin) error
	Kept(context.Context) (metadata.Origin, error)
}

// Source is where metadata comes from.
type Source struct {
	keeper Keeper
	log    *slog.Logger
	client *http.Client
	url    string             // empty = it is a file
	file   *follow.File[blob] // nil = it is fetched

	pending []byte // of the file, that could not be judged yet
	wrong   atomic.Pointer[error]
}

type blob []byte

// Check says what is wrong with the name of a source: off, the path of a file, or an address that nobody on the way can change.
func Check(source string) error {
	if !strings.Contains(source, "://") {
		return nil
	}
	u, err := url.Parse(source)
	if err != nil {
		return errors.New("must be off, the path of a file, or an https URL")
	}
	host := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || host != nil && host.IsLoopback()
	if u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return errors.New("must be off, the path of a file, or an https URL")
	}
	return nil
}

// New returns a source that has asked nobody yet, and looked at nothing. The client is for addresses.
func New(source string, keeper Keeper, client *http.Client, log *slog.Logger) *Source {
	s := &Source{keeper: keeper, log: log}
	if !strings.Contains(source, "://") {
		s.file = follow.New(source, metadata.MaxSize, func(content []byte) (blob, error) { return content, nil })
		return s
	}
	s.url = source
	asking := *client
	asking.Timeout = fetchTimeout
	asking.CheckRedirect = func(to *http.Request, via []*http.Request) error {
		const most = 5
		if len(via) >= most || to.URL.Scheme != via[0].URL.Scheme {
			return http.ErrUseLastResponse
		}
		return nil
	}
	s.client = &asking
	return s
}

// Err says why what was got last is not used; nil if it is.
func (s *Source) Err() error {
	if wrong := s.wrong.Load(); wrong != nil {
		return *wrong
	}
	return nil
}

// Run gets metadata until ctx ends: it looks at a file once a pause, and asks an address once a day, sooner after a failure.
func (s *Source) Run(ctx context.Context, pause time.Duration) {
	failures := 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if s.file != nil {
			s.Look(ctx)
			timer.Reset(pause)
			continue
		}
		wait := day
		if err := s.Fetch(ctx); err != nil {
			wait = min(firstPause<<min(failures, 10), longestPause)
			failures++
		} else {
			failures = 0
		}
		const tenth = 10                       // so that not all processes ask at once
		timer.Reset(wait + rand.N(wait/tenth)) //nolint:gosec // no secret
	}
}

// Look looks at the file once.
func (s *Source) Look(ctx context.Context) {
	read := s.file.Look()
	err := s.file.Err()
	if good := s.file.Good(); read && err == nil && good != nil {
		s.pending = good.Value
	}
	if err != nil {
		s.is(ctx, err, read)
		return
	}
	if s.pending == nil {
		return
	}
	err = s.keeper.Offer(ctx, s.pending, metadata.Origin{})
	if !errors.Is(err, metadata.ErrUnavailable) {
		s.pending = nil
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", s.file.Path(), err)
	}
	s.is(ctx, err, read)
}

// Fetch asks the address once.
func (s *Source) Fetch(ctx context.Context) error {
	err := s.fetch(ctx)
	if err != nil {
		err = fmt.Errorf("%s: %w", s.url, err)
	}
	s.is(ctx, err, true)
	return err
}

func (s *Source) fetch(ctx context.Context) error {
	known, err := s.keeper.Kept(ctx)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return err
	}
	if known.ETag != "" {
		req.Header.Set("If-None-Match", known.ETag)
	}
	if known.LastModified != "" {
		req.Header.Set("If-Modified-Since", known.LastModified)
	}
	rsp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = rsp.Body.Close() }()
	switch {
	case rsp.StatusCode == http.StatusNotModified:
		return nil
	case rsp.StatusCode != http.StatusOK:
		return fmt.Errorf("%w: %d", ErrStatus, rsp.StatusCode)
	case rsp.ContentLength > metadata.MaxSize:
		return metadata.ErrTooLarge
	}
	content, err := io.ReadAll(io.LimitReader(rsp.Body, metadata.MaxSize+1))
	if err != nil {
		return err
	}
	return s.keeper.Offer(ctx, content, metadata.Origin{
		ETag: rsp.Header.Get("ETag"), LastModified: rsp.Header.Get("Last-Modified"),
	})
}

// ErrStatus says that an address answered with something else than what it was asked for.
var ErrStatus = errors.New("the answer has another status than 200 and 304")

// is makes known what is wrong, and tells it if it was not wrong before, or something else is now.
func (s *Source) is(ctx context.Context, err error, other bool) {
	before := s.wrong.Load()
	if err == nil {
		s.wrong.Store(nil)
		return
	}
	s.wrong.Store(&err)
	if ctx.Err() == nil && (before == nil || other) {
		s.log.ErrorContext(ctx, "metadata of authenticators cannot be used, what is known stays", "error", err)
	}
}

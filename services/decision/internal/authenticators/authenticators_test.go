package authenticators_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/services/decision/internal/authenticators"
)

// keeper is what was offered.
type keeper struct {
	mu      sync.Mutex
	offered [][]byte
	from    metadata.Origin
	answers error
}

func (k *keeper) Offer(_ context.Context, blob []byte, from metadata.Origin) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.offered = append(k.offered, blob)
	if k.answers == nil {
		k.from = from
	}
	return k.answers
}

func (k *keeper) Kept(context.Context) (metadata.Origin, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.from, nil
}

var quiet = slog.New(slog.DiscardHandler)

// offline is a client that connects with nobody, and says if it was to.
func offline(t *testing.T) *http.Client {
	t.Helper()
	return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		t.Error("it connects")
		return nil, errors.New("offline")
	}}}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFileIsOfferedWheneverItHasChangedAndRests(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mds.jwt")
	k := &keeper{}
	s := authenticators.New(path, k, offline(t), quiet)
	if s.Look(t.Context()); !errors.Is(s.Err(), os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", s.Err())
	}
	write(t, path, "one")
	for range 3 {
		s.Look(t.Context())
	}
	if len(k.offered) != 1 || s.Err() != nil {
		t.Fatalf("offered %q, %v", k.offered, s.Err())
	}
	k.answers = metadata.ErrOlder
	write(t, path, "another")
	s.Look(t.Context())
	if len(k.offered) != 1 {
		t.Error("it is offered while it is being written")
	}
	s.Look(t.Context())
	s.Look(t.Context())
	if len(k.offered) != 2 || !errors.Is(s.Err(), metadata.ErrOlder) {
		t.Errorf("one that is refused: %q, %v", k.offered, s.Err())
	}
	k.answers = metadata.ErrUnavailable
	write(t, path, "the third")
	for range 4 {
		s.Look(t.Context())
	}
	if k.answers = nil; len(k.offered) < 4 {
		t.Errorf("what nobody could judge is not offered again: %q", k.offered)
	}
	s.Look(t.Context())
	if s.Err() != nil || string(k.offered[len(k.offered)-1]) != "the third" {
		t.Errorf("offered %q, %v", k.offered, s.Err())
	}
	write(t, path, string(bytes.Repeat([]byte("a"), metadata.MaxSize+1)))
	s.Look(t.Context())
	if s.Look(t.Context()); s.Err() == nil {
		t.Error("a file of any size is read")
	}
}

func TestAnAddressIsAskedForWhatHasChanged(t *testing.T) {
	t.Parallel()
	answer := func(http.ResponseWriter, *http.Request) {}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	t.Cleanup(server.Close)
	k := &keeper{}
	s := authenticators.New(server.URL, k, server.Client(), quiet)
	answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"a"`)
		w.Header().Set("Last-Modified", "Sun, 01 Nov 2026 00:00:00 GMT")
		_, _ = w.Write([]byte("one"))
	}
	if err := s.Fetch(t.Context()); err != nil || len(k.offered) != 1 || string(k.offered[0]) != "one" {
		t.Fatalf("%q, %v", k.offered, err)
	}
	var asked http.Header
	answer = func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header
		w.WriteHeader(http.StatusNotModified)
	}
	if err := s.Fetch(t.Context()); err != nil || len(k.offered) != 1 || asked.Get("If-None-Match") != `"a"` ||
		asked.Get("If-Modified-Since") != "Sun, 01 Nov 2026 00:00:00 GMT" {
		t.Errorf("%q, %v, %v", k.offered, err, asked)
	}
	for what, tc := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"an error": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, authenticators.ErrStatus},
		"what says that it is too large": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "41943040")
			_, _ = w.Write([]byte("a"))
		}, metadata.ErrTooLarge},
		"a redirection to another scheme": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1:1/", http.StatusFound)
		}, authenticators.ErrStatus},
	} {
		answer = tc.answer
		if err := s.Fetch(t.Context()); !errors.Is(err, tc.want) || !errors.Is(s.Err(), tc.want) || len(k.offered) != 1 {
			t.Errorf("%s: %v, %v", what, err, s.Err())
		}
	}
	k.answers = metadata.ErrTooLarge
	answer = func(w http.ResponseWriter, _ *http.Request) {
		for range 41 {
			_, _ = w.Write(make([]byte, 1<<20))
		}
	}
	if err := s.Fetch(t.Context()); !errors.Is(err, metadata.ErrTooLarge) || len(k.offered[1]) != metadata.MaxSize+1 {
		t.Errorf("of one without a length %d bytes are read, %v", len(k.offered[1]), err)
	}
}

func TestNobodyIsAskedWhereThereIsAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mds.jwt")
	write(t, path, "one")
	ctx, cancel := context.WithCancel(t.Context())
	k := &keeper{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		authenticators.New(path, k, offline(t), quiet).Run(ctx, time.Millisecond)
	}()
	for len(k.all()) == 0 {
		select {
		case <-ended:
			t.Fatal("it has ended")
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	<-ended
}

func (k *keeper) all() [][]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.offered
}

func TestASourceIsAFileOrAnAddressThatNobodyOnTheWayCanChange(t *testing.T) {
	t.Parallel()
	for source, good := range map[string]bool{
		"off": true, "/etc/keyward/mds.jwt": true, "mds.jwt": true, "https://mds3.fidoalliance.org/": true, "http://127.0.0.1:9000/": true,
		"http://localhost/mds": true, "http://mds.example.com/": false, "https:///": false, "ftp://mds.example.com/": false, "https://[": false,
	} {
		if err := authenticators.Check(source); (err == nil) != good {
			t.Errorf("%s: %v", source, err)
		}
	}
}

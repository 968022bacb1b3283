package outside_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/core/place/mmdbtest"
	"github.com/keyward/keyward/services/decision/internal/lists"
	"github.com/keyward/keyward/services/decision/internal/outside"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestListsInFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tor := filepath.Join(dir, "tor.txt")
	write(t, tor, "198.18.7.0/24\n")
	s := outside.New(outside.Config{ListsDir: dir}, time.Now, slog.New(slog.DiscardHandler))
	s.Want(t.Context(), []string{"lost.txt", "tor.txt"})

	exit := netip.MustParseAddr("198.18.7.1")
	view := s.Now()
	if !view.Files["tor.txt"].Contains(exit) || view.Revisions["tor.txt"] == "" {
		t.Errorf("the file is not read: %v", view)
	}
	if _, there := view.Files["lost.txt"]; there || len(view.Wrong) != 1 || !errors.Is(view.Wrong[0], os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", view.Wrong)
	}

	write(t, tor, "198.18.8.0/24\nexit.example\n")
	s.Look(t.Context())
	s.Look(t.Context())
	view = s.Now()
	if !view.Files["tor.txt"].Contains(exit) {
		t.Error("what was read before is gone")
	}
	if len(view.Wrong) != 2 || !errors.Is(view.Wrong[1], lists.ErrLine) || !strings.HasPrefix(view.Wrong[1].Error(), tor+":2: ") {
		t.Errorf("it is told as %v", view.Wrong)
	}

	write(t, tor, "198.18.8.0/24\n# no more\n")
	s.Look(t.Context())
	s.Look(t.Context())
	if view := s.Now(); view.Files["tor.txt"].Contains(exit) || len(view.Wrong) != 1 {
		t.Errorf("the change is not taken up: %v", view)
	}
	s.Want(t.Context(), nil)
	if view := s.Now(); len(view.Files) != 0 || len(view.Wrong) != 0 {
		t.Errorf("a file that no list is in counts: %v", view)
	}
}

func TestAListInAFileNeedsADirectory(t *testing.T) {
	t.Parallel()
	s := outside.New(outside.Config{}, time.Now, slog.New(slog.DiscardHandler))
	s.Want(t.Context(), []string{"tor.txt"})
	if wrong := s.Now().Wrong; len(wrong) != 1 || !errors.Is(wrong[0], outside.ErrNoDirectory) {
		t.Errorf("got %v", wrong)
	}
}

func TestItStopsWhenItIsTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		outside.New(outside.Config{}, time.Now, slog.New(slog.DiscardHandler)).Run(ctx, time.Millisecond)
	}()
	cancel()
	<-ended
}

func TestDatabasesOfLocations(t *testing.T) {
	t.Parallel()
	built := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	now := built.Add(90 * 24 * time.Hour)
	clock := func() time.Time { return now }
	of := func(country string) string {
		return string(mmdbtest.Write(built, map[string]mmdbtest.Entry{"203.0.113.0/24": mmdbtest.Located(country, 52.52, 13.40, 20)}))
	}
	city := filepath.Join(t.TempDir(), "city.mmdb")
	write(t, city, of("DE"))
	cfg := outside.Config{CityDB: city, ASNDB: city + ".asn", MaxAge: outside.DefaultMaxAge}
	s := outside.New(cfg, clock, slog.New(slog.DiscardHandler))
	if p := s.Now().Place("203.0.113.9"); p.Country != "" {
		t.Errorf("it knows %v before it has looked", p)
	}
	s.Want(t.Context(), nil)
	holds := func(country string, wrong ...error) {
		t.Helper()
		view := s.Now()
		if p := view.Place("[::ffff:203.0.113.9]:443"); p.Country != country || p.Point == nil || view.Revisions[outside.CityDB] == "" {
			t.Errorf("an address is in %v", p)
		}
		if len(view.Wrong) != len(wrong) {
			t.Fatalf("wrong is %v, want %v", view.Wrong, wrong)
		}
		for i := range wrong {
			if !errors.Is(view.Wrong[i], wrong[i]) {
				t.Errorf("wrong is %v, want %v", view.Wrong, wrong)
			}
		}
	}
	looks := func() {
		s.Look(t.Context())
		s.Look(t.Context())
	}
	holds("DE", os.ErrNotExist)

	write(t, city, of("DE")[:400]) // as while it is written in place
	looks()
	if view := s.Now(); view.Place("203.0.113.9").Country != "DE" || len(view.Wrong) != 2 {
		t.Errorf("of one that is cut off %v", view.Wrong)
	}
	write(t, city, of("AT"))
	looks()
	holds("AT", os.ErrNotExist)
	now = now.Add(time.Second)
	looks()
	holds("AT", outside.ErrOld, os.ErrNotExist)
	if err := os.Remove(city); err != nil {
		t.Fatal(err)
	}
	looks()
	holds("AT", os.ErrNotExist, outside.ErrOld, os.ErrNotExist)
	if p := s.Now().Place("unknown"); p.Country != "" {
		t.Errorf("no address is in %v", p)
	}
}

func TestLookupsWhileDatabasesAreSwapped(t *testing.T) {
	t.Parallel()
	city := filepath.Join(t.TempDir(), "city.mmdb")
	content := func(country string) string {
		return string(mmdbtest.Write(time.Now(), map[string]mmdbtest.Entry{"203.0.113.0/24": mmdbtest.Located(country, 1, 2, 3)}))
	}
	write(t, city, content("DE"))
	s := outside.New(outside.Config{CityDB: city}, time.Now, slog.New(slog.DiscardHandler))
	s.Want(t.Context(), nil)
	ctx, stop := context.WithCancel(t.Context())
	var asked sync.WaitGroup
	for range 4 {
		asked.Go(func() {
			for ctx.Err() == nil {
				if country := s.Now().Place("203.0.113.9").Country; country != "DE" && country != "AT" {
					t.Errorf("it is in %q", country)
				}
			}
		})
	}
	for i := range 10 {
		write(t, city, content([]string{"AT", "DE"}[i%2]))
		s.Look(t.Context())
		s.Look(t.Context())
	}
	stop()
	asked.Wait()
}

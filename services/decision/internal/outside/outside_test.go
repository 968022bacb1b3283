package outside_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	s := outside.New(outside.Config{ListsDir: dir}, slog.New(slog.DiscardHandler))
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
	s := outside.New(outside.Config{}, slog.New(slog.DiscardHandler))
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
		outside.New(outside.Config{}, slog.New(slog.DiscardHandler)).Run(ctx, time.Millisecond)
	}()
	cancel()
	<-ended
}

package stages

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// profiler writes profiles of what a Keyward has allocated since it began, around the calls of one kind. Without a directory it does
// nothing.
type profiler struct{ dir, kind, admin string }

func (p profiler) write(when string) (err error) {
	if p.dir == "" {
		return nil
	}
	const cycles = 2 // what a profile tells is as old as the collection before the last
	var body []byte
	for range cycles {
		if body, err = p.read(); err != nil {
			return fmt.Errorf("a profile: %w", err)
		}
	}
	return os.WriteFile(filepath.Join(p.dir, strings.ReplaceAll(p.kind, " ", "-")+"."+when+".pb.gz"), body, 0o600)
}

func (p profiler) read() (body []byte, err error) {
	rsp, err := http.Get("http://" + p.admin + "/debug/pprof/heap?gc=1")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rsp.Body.Close() }()
	if rsp.StatusCode != http.StatusOK {
		return nil, errors.New(rsp.Status)
	}
	return io.ReadAll(rsp.Body)
}

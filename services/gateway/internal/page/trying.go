package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"strings"
	"sync/atomic"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/fault"
)

// tryingPolicy lets the page to try passkeys with load and call nothing but this server, and write no markup from text.
const tryingPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"

// trialPath is where what only the page asks for begins.
const trialPath = "/v2/trial"

// MountTrying serves the page to try passkeys with at /. Its files are built from web/ and kept with the source, so that Go alone builds
// Keyward. Without the page there is nothing of what only the page asks for either, whoever asks.
func (cfg Config) MountTrying(app *fiber.App) error {
	if !cfg.Trying {
		app.Use(trialPath, func(*fiber.Ctx) error { return fault.NotFound("there is no such route") })
		return nil
	}
	for _, served := range []struct{ path, name, kind string }{
		{"/app/main.js", "main.js", "text/javascript; charset=utf-8"},
		{"/app/main.css", "main.css", "text/css; charset=utf-8"},
		{"/app/icon.svg", "icon.svg", "image/svg+xml"},
	} {
		plain, err := pageFiles.ReadFile("app/" + served.name)
		if err != nil {
			return fmt.Errorf("read the page to try passkeys with: %w", err)
		}
		f, err := zippedFile(served.path, served.kind, plain)
		if err != nil {
			return err
		}
		app.Get(f.path, serveFile(f))
	}
	index, err := pageFiles.ReadFile("app/index.html")
	if err != nil {
		return fmt.Errorf("read the page to try passkeys with: %w", err)
	}
	if !bytes.Contains(index, []byte(projectSlot)) {
		return errors.New("the page to try passkeys with has no place for its project")
	}
	app.Get("/", cfg.serveIndex(string(index)))
	return nil
}

// projectSlot is where the page has the ID of its project.
const projectSlot = `name="keyward-project" content="`

// serveIndex tells the page which project it works in, whatever host it was opened at. Most requests are for one project.
func (cfg Config) serveIndex(index string) fiber.Handler {
	type told struct {
		project string
		serve   fiber.Handler
	}
	var last atomic.Pointer[told]
	return func(c *fiber.Ctx) error {
		project := cfg.Project(c)
		if l := last.Load(); l != nil && l.project == project {
			return l.serve(c)
		}
		filled := strings.Replace(index, projectSlot, projectSlot+html.EscapeString(project), 1)
		f, err := zippedFile("/", fiber.MIMETextHTMLCharsetUTF8, []byte(filled))
		if err != nil {
			return err
		}
		l := &told{project: project, serve: serveFile(f)}
		last.Store(l)
		return l.serve(c)
	}
}

// zippedFile returns a file of the page with its compressed form, made once, and the tag of its content.
func zippedFile(path, kind string, plain []byte) (file, error) {
	var zipped bytes.Buffer
	writer, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return file{}, fmt.Errorf("compress %s: %w", path, err)
	}
	if _, err := writer.Write(plain); err != nil {
		return file{}, fmt.Errorf("compress %s: %w", path, err)
	}
	if err := writer.Close(); err != nil {
		return file{}, fmt.Errorf("compress %s: %w", path, err)
	}
	sum := sha256.Sum256(plain)
	// Weak: the same content goes out compressed and not.
	tag := `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return file{path: path, kind: kind, plain: plain, zipped: zipped.Bytes(), policy: tryingPolicy, tag: tag}, nil
}

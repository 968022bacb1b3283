// Package page serves what people open in a browser: the page to try passkeys with, the OpenAPI documents, and the pages to browse them.
// It needs no credentials, and its pages load and call nothing but this server. Its files are kept with the source, so that Go alone
// builds Keyward; app/ is built from web/.
package page

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"embed"
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"
	assets "github.com/swaggest/swgui/v5/static"

	"github.com/keyward/keyward/services/gateway/internal/contract"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
)

// pageFiles holds the API page; the viewer itself comes from the module swgui, so the page works without the internet.
//
//go:embed app console index.html docs.css start.js
var pageFiles embed.FS

// contentPolicy lets the API page load and call nothing but this server. The viewer sets styles on elements and draws its icons from data
// URLs.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"

// file is something served as it is.
type file struct {
	path, kind string
	plain      []byte // nil: what zipped holds
	zipped     []byte // gzip; nil: only plain is served
	policy     string // Content-Security-Policy; empty: that of the API page
	tag        string // ETag, by which a browser asks whether what it has is still good; empty: it has to load it again
}

// Config says what is served.
type Config struct {
	Trying            bool   // the page to try passkeys with is at /
	Console           bool   // the console is at /console
	Version           string // of the binary, shown on the API page
	Backend, Frontend *contract.Document
	Operator          *contract.Document // nil: it is not served

	// Project returns the ID of the project that the page to try passkeys with works in, "" if there is none.
	Project func(*fiber.Ctx) string
}

// MountDocs serves the OpenAPI documents and the pages to browse them. None of it needs authentication.
func (cfg Config) MountDocs(app *fiber.App) error {
	files := []file{
		{path: "/openapi.yaml", kind: "application/yaml", plain: cfg.Backend.YAML()},
		{path: "/openapi.json", kind: fiber.MIMEApplicationJSON, plain: cfg.Backend.JSON()},
		{path: "/v2/openapi.yaml", kind: "application/yaml", plain: cfg.Backend.YAML()},
		{path: "/frontend.yaml", kind: "application/yaml", plain: cfg.Frontend.YAML()},
		{path: "/frontend.json", kind: fiber.MIMEApplicationJSON, plain: cfg.Frontend.JSON()},
	}
	shownAt := map[string]shownAPI{
		"/docs": {Name: "Backend API", Document: "/openapi"}, "/docs/frontend": {Name: "Frontend API", Document: "/frontend"},
	}
	if cfg.Operator != nil {
		files = append(files,
			file{path: "/operator.yaml", kind: "application/yaml", plain: cfg.Operator.YAML()},
			file{path: "/operator.json", kind: fiber.MIMEApplicationJSON, plain: cfg.Operator.JSON()})
		shownAt["/docs/operator"] = shownAPI{Name: "Operator API", Document: "/operator"}
	}
	for path, shown := range shownAt {
		index, err := cfg.index(shown)
		if err != nil {
			return fmt.Errorf("make the API page: %w", err)
		}
		files = append(files, file{path: path, kind: fiber.MIMETextHTMLCharsetUTF8, plain: index})
	}
	for _, own := range []struct{ name, kind string }{
		{"start.js", "text/javascript; charset=utf-8"}, {"docs.css", "text/css; charset=utf-8"},
	} {
		raw, err := pageFiles.ReadFile(own.name)
		if err != nil {
			return fmt.Errorf("read the API page: %w", err)
		}
		files = append(files, file{path: "/docs/" + own.name, kind: own.kind, plain: raw})
	}
	for _, viewer := range []struct{ name, kind string }{
		{"swagger-ui-bundle.js", "text/javascript; charset=utf-8"},
		{"swagger-ui.css", "text/css; charset=utf-8"},
	} {
		f, err := zippedAsset(viewer.name, viewer.kind)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	icon, err := assets.FS.ReadFile("favicon-32x32.png")
	if err != nil {
		return fmt.Errorf("read the icon of the API page: %w", err)
	}
	files = append(files, file{path: "/docs/favicon-32x32.png", kind: "image/png", plain: icon})
	for _, f := range files {
		app.Get(f.path, serveFile(f))
	}
	redirectToDocs(app, "/docs/")
	if !cfg.Trying {
		redirectToDocs(app, "/")
	}
	return nil
}

func redirectToDocs(app *fiber.App, from string) {
	app.Get(from, func(c *fiber.Ctx) error {
		exchange.Of(c.UserContext()).Route = from
		return c.Redirect("/docs", http.StatusFound)
	})
}

// shownAPI is an API that a page shows.
type shownAPI struct {
	Name, Document string // the document without .yaml or .json
}

// index is the page itself.
func (cfg Config) index(shown shownAPI) ([]byte, error) {
	page, err := pageFiles.ReadFile("index.html")
	if err != nil {
		return nil, err
	}
	home, operator := "", ""
	if cfg.Operator != nil {
		operator = `<a href="/docs/operator">Operator API</a>`
	}
	if cfg.Trying {
		home = `<a href="/">Try passkeys</a>`
	}
	// Not html/template: whatever calls it keeps every exported method of every type in the binary, 15 MB of them.
	filled := strings.NewReplacer(
		"{{.Name}}", html.EscapeString(shown.Name),
		"{{.Document}}", html.EscapeString(shown.Document),
		"{{.Home}}", home,
		"{{.Operator}}", operator,
		"{{.Version}}", html.EscapeString(cfg.Version),
	)
	return []byte(filled.Replace(string(page))), nil
}

func zippedAsset(name, kind string) (file, error) {
	zipped, err := assets.FS.ReadFile(name + ".gz")
	if err != nil {
		return file{}, fmt.Errorf("read the viewer's %s: %w", name, err)
	}
	return file{path: "/docs/" + name, kind: kind, zipped: zipped}, nil
}

func serveFile(f file) fiber.Handler {
	return func(c *fiber.Ctx) error {
		exchange.Of(c.UserContext()).Route = f.path
		c.Set(fiber.HeaderContentType, f.kind)
		c.Set(fiber.HeaderContentSecurityPolicy, cmp.Or(f.policy, contentPolicy))
		c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
		c.Set(fiber.HeaderCacheControl, "no-cache")
		if f.zipped != nil {
			c.Vary(fiber.HeaderAcceptEncoding)
		}
		if f.tag != "" {
			c.Set(fiber.HeaderETag, f.tag)
			if c.Get(fiber.HeaderIfNoneMatch) == f.tag {
				return c.SendStatus(http.StatusNotModified)
			}
		}
		if f.zipped == nil {
			return c.Send(f.plain)
		}
		if c.Request().Header.HasAcceptEncoding("gzip") {
			c.Set(fiber.HeaderContentEncoding, "gzip")
			return c.Send(f.zipped)
		}
		if f.plain != nil {
			return c.Send(f.plain)
		}
		reader, err := gzip.NewReader(bytes.NewReader(f.zipped))
		if err != nil {
			return fmt.Errorf("unpack %s: %w", f.path, err)
		}
		plain, err := io.ReadAll(reader)
		if err != nil {
			return fmt.Errorf("unpack %s: %w", f.path, err)
		}
		return c.Send(plain)
	}
}

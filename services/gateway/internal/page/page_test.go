package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	assets "github.com/swaggest/swgui/v5/static"

	"github.com/keyward/keyward/services/gateway/internal/contract"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
)

// document is an API as small as there can be one.
func document(t *testing.T, title string) *contract.Document {
	t.Helper()
	d, err := contract.Parse([]byte("openapi: 3.1.0\ninfo: { title: " + title + ", version: \"1\" }\n" +
		"paths: { /v2/thing: { get: { operationId: getThing, security: [], responses: { \"200\": { description: It. } } } } }\n"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// mounted serves the pages in memory, as the gateway mounts them.
func mounted(t *testing.T, cfg Config) *fiber.App {
	t.Helper()
	cfg.Backend, cfg.Frontend, cfg.Operator = document(t, "back"), document(t, "front"), document(t, "operated")
	recorder, err := exchange.NewRecorder(exchange.Deps{
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Address: func(*exchange.Exchange) string { return "" },
	})
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New()
	app.Use(func(c *fiber.Ctx) error {
		ctx, _ := recorder.Begin(c.UserContext(), &exchange.Exchange{Asked: &c.Request().Header, Answer: &c.Response().Header})
		c.SetUserContext(ctx)
		return c.Next()
	})
	for _, mount := range []func(*fiber.App) error{cfg.MountTrying, cfg.MountDocs} {
		if err := mount(app); err != nil {
			t.Fatal(err)
		}
	}
	return app
}

type answer struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, app *fiber.App, path string, headers ...string) answer {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rsp, err := app.Test(r, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	body, err := io.ReadAll(rsp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{rsp.StatusCode, rsp.Header, string(body)}
}

func nobody(*fiber.Ctx) string { return "" }

var reference = regexp.MustCompile(`(?:src|href|data-document)="([^"]*)"`)

// What a page names is served by this server, so that it works without the internet and no other host learns of its visitors.
func TestWhatAPageNamesIsServedHere(t *testing.T) {
	t.Parallel()
	app := mounted(t, Config{Trying: true, Project: nobody})
	for _, page := range []string{"/", "/docs", "/docs/frontend", "/docs/operator"} {
		named := reference.FindAllStringSubmatch(get(t, app, page).body, -1)
		if len(named) == 0 {
			t.Errorf("%s names nothing", page)
		}
		for _, found := range named {
			path := found[1]
			if strings.Contains(found[0], "data-document") {
				path += ".json" // as the page's own script asks for it
			}
			if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
				t.Errorf("%s names %s, which is elsewhere", page, path)
				continue
			}
			if a := get(t, app, path); a.status != http.StatusOK || a.body == "" {
				t.Errorf("%s names %s, which is %d with %d bytes", page, path, a.status, len(a.body))
			}
		}
	}
}

// What an operator or a caller chose stands in a page as text, whatever it is.
func TestWhatAPageIsToldIsTextInIt(t *testing.T) {
	t.Parallel()
	const hostile = `"><script>alert(1)</script>`
	app := mounted(t, Config{Trying: true, Version: hostile, Project: func(*fiber.Ctx) string { return hostile }})
	for _, page := range []string{"/", "/docs", "/docs/frontend", "/docs/operator"} {
		body := get(t, app, page).body
		if strings.Contains(body, "<script>alert") || !strings.Contains(body, "&lt;script&gt;alert(1)&lt;/script&gt;") {
			t.Errorf("%s has %s", page, body)
		}
		if strings.Contains(body, "{{") {
			t.Errorf("%s has a place that nothing was put into", page)
		}
	}
}

func TestEachVisitorIsToldTheProjectOfTheRequest(t *testing.T) {
	t.Parallel()
	app := mounted(t, Config{Trying: true, Project: func(c *fiber.Ctx) string {
		return strings.Clone(c.Get("Visited")) // a header is good for its request alone
	}})
	tags := map[string]string{}
	for _, project := range []string{"pro-1", "pro-2", "pro-2", "pro-1", ""} {
		a := get(t, app, "/", "Visited", project)
		if !strings.Contains(a.body, `name="keyward-project" content="`+project+`"`) {
			t.Errorf("visiting %q: %s", project, a.body)
		}
		if before, seen := tags[project]; seen && before != a.header.Get(fiber.HeaderETag) {
			t.Errorf("the same page of %q has another tag", project)
		}
		tags[project] = a.header.Get(fiber.HeaderETag)
	}
	if tags["pro-1"] == tags["pro-2"] || tags["pro-1"] == "" {
		t.Errorf("pages of two projects have the tags %v: a browser would show one for the other", tags)
	}
	// What a browser has of one project is not good for another.
	if a := get(t, app, "/", "Visited", "pro-2", fiber.HeaderIfNoneMatch, tags["pro-1"]); a.status != http.StatusOK {
		t.Errorf("got %d", a.status)
	}
	if a := get(t, app, "/", "Visited", "pro-2", fiber.HeaderIfNoneMatch, tags["pro-2"]); a.status != http.StatusNotModified || a.body != "" {
		t.Errorf("got %d with %d bytes", a.status, len(a.body))
	}
}

// A file is the same whether it goes out compressed or not, also where only its compressed form is kept.
func TestAFileIsTheSameCompressed(t *testing.T) {
	t.Parallel()
	app := mounted(t, Config{Trying: true, Project: nobody})
	for _, path := range []string{
		"/", "/app/main.js", "/app/main.css", "/app/icon.svg", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css",
	} {
		plain, zipped := get(t, app, path), get(t, app, path, fiber.HeaderAcceptEncoding, "gzip")
		reader, err := gzip.NewReader(bytes.NewReader([]byte(zipped.body)))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		unpacked, err := io.ReadAll(reader)
		if err != nil || string(unpacked) != plain.body || plain.body == "" {
			t.Errorf("%s: %d bytes, and %d out of what was compressed, %v", path, len(plain.body), len(unpacked), err)
		}
		for name, a := range map[string]answer{"plain": plain, "compressed": zipped} {
			if a.header.Get(fiber.HeaderVary) != fiber.HeaderAcceptEncoding {
				t.Errorf("%s, %s: a cache may give it to whoever cannot read it: Vary %q", path, name, a.header.Get(fiber.HeaderVary))
			}
		}
	}
}

func TestWithoutThePageToTryPasskeysWithTheDocumentsAreTheFirstPage(t *testing.T) {
	t.Parallel()
	app := mounted(t, Config{Project: nobody})
	if a := get(t, app, "/"); a.status != http.StatusFound || a.header.Get(fiber.HeaderLocation) != "/docs" {
		t.Errorf("/ is %d to %q", a.status, a.header.Get(fiber.HeaderLocation))
	}
	if body := get(t, app, "/docs").body; strings.Contains(body, "Try passkeys") {
		t.Errorf("the documents name a page that there is not: %s", body)
	}
	for _, path := range []string{"/app/main.js", trialPath, trialPath + "/decisions/dec-1"} {
		if a := get(t, app, path); a.status == http.StatusOK {
			t.Errorf("%s is served: %s", path, a.body)
		}
	}
}

// Nothing but this server is loaded or called, and nobody may frame a page, whatever it is.
func TestEveryFileSaysWhatItsPageMayLoad(t *testing.T) {
	t.Parallel()
	app := mounted(t, Config{Trying: true, Project: nobody})
	for _, route := range app.GetRoutes(true) {
		if route.Method != http.MethodGet || route.Path == "/docs/" {
			continue
		}
		a := get(t, app, route.Path)
		policy := a.header.Get(fiber.HeaderContentSecurityPolicy)
		for _, want := range []string{
			"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'",
		} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: %q lacks %s", route.Path, policy, want)
			}
		}
		if a.status != http.StatusOK || strings.Contains(policy, "http") || a.header.Get(fiber.HeaderReferrerPolicy) != "no-referrer" {
			t.Errorf("%s: %d, %v", route.Path, a.status, a.header)
		}
	}
}

// What shows the API documents comes in a Go module that leaves out its licences. They are kept for the binary's notices, and are good for
// the very files whose sums are kept with them.
func TestTheLicencesThatAreKeptAreThoseOfTheFilesBuiltIn(t *testing.T) {
	t.Parallel()
	const kept = "../../../../tools/notices/swagger-ui-dist"
	sums := read(t, kept+"/SHA256SUMS")
	notices := read(t, "../../../../THIRD_PARTY_NOTICES")
	entries, err := assets.FS.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		text, err := assets.FS.ReadFile(entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		name, zipped := strings.CutSuffix(entry.Name(), ".gz")
		if zipped {
			text = unzipped(t, text)
		}
		if line := fmt.Sprintf("%x  %s\n", sha256.Sum256(text), name); !strings.Contains(sums, line) {
			t.Errorf("%s is another one than the licences in %s were taken with: take those of its version", name, kept)
		}
		named := regexp.MustCompile(`For license information please see (\S+)`).FindSubmatch(text)
		if named == nil {
			continue
		}
		if licences := strings.TrimSpace(read(t, kept+"/"+string(named[1]))); !strings.Contains(notices, licences) {
			t.Errorf("THIRD_PARTY_NOTICES is without %s: make notices writes it", named[1])
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func unzipped(t *testing.T, zipped []byte) []byte {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

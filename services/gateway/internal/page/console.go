package page

import (
	"fmt"
	"path"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/fault"
)

// MountConsole serves the console at /console: its files, and for every other path below the page itself, which finds out what is meant.
// Its files are built from web/ and kept with the source, and served by the rules of the page to try passkeys with: rules of style that
// the editor makes are adopted by its own root, and need no leave.
func (cfg Config) MountConsole(app *fiber.App) error {
	if !cfg.Console {
		return nil
	}
	entries, err := pageFiles.ReadDir("console")
	if err != nil {
		return fmt.Errorf("read the console: %w", err)
	}
	for _, entry := range entries {
		if err := mountConsoleFile(app, entry.Name()); err != nil {
			return err
		}
	}
	icon, err := pageFiles.ReadFile("app/icon.svg")
	if err != nil {
		return fmt.Errorf("read the console: %w", err)
	}
	f, err := zippedFile("/console/icon.svg", kindOf("icon.svg"), icon)
	if err != nil {
		return err
	}
	app.Get(f.path, serveFile(f))
	index, err := pageFiles.ReadFile("console/index.html")
	if err != nil {
		return fmt.Errorf("read the console: %w", err)
	}
	whole, err := zippedFile("/console", fiber.MIMETextHTMLCharsetUTF8, index)
	if err != nil {
		return err
	}
	app.Get("/console/assets/*", func(*fiber.Ctx) error { return fault.NotFound("there is no such file") })
	app.Get("/console", serveFile(whole))
	app.Get("/console/*", serveFile(whole))
	return nil
}

func mountConsoleFile(app *fiber.App, name string) error {
	kind := kindOf(name)
	if kind == "" {
		return nil
	}
	plain, err := pageFiles.ReadFile("console/" + name)
	if err != nil {
		return fmt.Errorf("read the console: %w", err)
	}
	f, err := zippedFile("/console/assets/"+name, kind, plain)
	if err != nil {
		return err
	}
	app.Get(f.path, serveFile(f))
	return nil
}

// kindOf is the type of a file of the console by its name; empty: it is not served as a file.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		return ""
	}
}

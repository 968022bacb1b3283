package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Admin is the server of the admin port: GET /metrics, /livez, /readyz, /readyz?verbose, /version and, if asked for, Go's profiles below
// /debug/pprof/. It asks for no credentials and shows no secret; keep its port off the public network.
type Admin struct {
	server   *http.Server
	listener net.Listener
}

// Shown is what the admin port shows. Metrics and Health are required.
type Shown struct {
	Metrics  *prometheus.Registry
	Health   *Health
	Build    Build
	Profiles bool // they cost work, and tell what the process does
}

// NewAdmin listens on addr; Serve answers. An error means that the address is taken or cannot be read.
func NewAdmin(ctx context.Context, addr string, shows Shown, log *slog.Logger) (*Admin, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("admin_addr: %w", err)
	}
	server := &http.Server{
		Handler:           AdminHandler(shows),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return &Admin{server: server, listener: listener}, nil
}

// Addr returns the address that the server listens on.
func (a *Admin) Addr() string { return a.listener.Addr().String() }

// Serve answers until Shutdown.
func (a *Admin) Serve() error {
	if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the admin port: %w", err)
	}
	return nil
}

// Shutdown stops the server, waiting for answers under way until ctx ends.
func (a *Admin) Shutdown(ctx context.Context) error {
	// The server closes only the listeners that it has begun to serve.
	defer func() { _ = a.listener.Close() }()
	if err := a.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("stop the admin port: %w", err)
	}
	return nil
}

// AdminHandler returns the routes of the admin port.
func AdminHandler(shows Shown) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(shows.Metrics, promhttp.HandlerOpts{Registry: shows.Metrics}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, string(OK)) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { ready(w, r, shows.Health) })
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(shows.Build)
	})
	if shows.Profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	}
	return mux
}

// ready answers 200 as long as calls are answered: degraded is ready, and says so. With ?verbose each dependency has a line: name, state,
// and what is the matter.
func ready(w http.ResponseWriter, r *http.Request, health *Health) {
	state, findings := health.Report(r.Context())
	status := http.StatusOK
	if state == Down {
		status = http.StatusServiceUnavailable
	}
	if !r.URL.Query().Has("verbose") {
		plain(w, status, string(state))
		return
	}
	var body strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&body, "%s %s", f.Name, f.State)
		if f.Detail != "" {
			body.WriteString(" " + strings.Join(strings.Fields(f.Detail), " "))
		}
		body.WriteByte('\n')
	}
	body.WriteString(string(state))
	plain(w, status, body.String())
}

func plain(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, body)
}

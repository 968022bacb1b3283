package telemetry

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/secret"
)

// The keys that every log line uses for the same things.
const (
	KeyRequestID  = "request_id"
	KeyDecisionID = "decision_id"
	KeyProject    = "project"
	KeyTraceID    = "trace_id"
	KeyService    = "service"
	KeyError      = "error"
)

// NewLogger returns a logger of JSON lines. A line logged with a context carries the request ID and the trace ID of that context. What
// bears the name of a secret is logged as stars, whatever its type.
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(contextHandler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redact})})
}

// secretKeys are parts of attribute names whose values are never logged: the second guard behind secret.Text, for values that were plain
// strings.
func secretKeys() []string {
	return []string{"secret", "password", "authorization", "cookie", "private_key", "handle_key"}
}

func redact(_ []string, a slog.Attr) slog.Attr {
	key := strings.ToLower(a.Key)
	if slices.ContainsFunc(secretKeys(), func(s string) bool { return strings.Contains(key, s) }) {
		return slog.String(a.Key, secret.Stars)
	}
	return a
}

// contextHandler adds what names a request to the lines that are logged for it.
type contextHandler struct{ slog.Handler }

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := reqctx.RequestID(ctx); id != "" && !has(r, KeyRequestID) {
		r.AddAttrs(slog.String(KeyRequestID, string(id)))
	}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() && !has(r, KeyTraceID) {
		r.AddAttrs(slog.String(KeyTraceID, span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// has reports whether a line carries a key already: JSON with a key twice is read differently by different tools.
func has(r slog.Record, key string) bool {
	found := false
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == key
		return !found
	})
	return found
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name)}
}

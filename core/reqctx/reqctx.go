// Package reqctx carries what names a request through a context, across services too.
package reqctx

import (
	"context"

	"github.com/keyward/keyward/core/ident"
)

type requestIDKey struct{}

// WithRequestID returns a context that carries id.
func WithRequestID(ctx context.Context, id ident.RequestID) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the ID that ctx carries, or "" if it carries none.
func RequestID(ctx context.Context) ident.RequestID {
	id, _ := ctx.Value(requestIDKey{}).(ident.RequestID)
	return id
}

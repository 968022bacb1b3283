// Package reqctx carries what names a request through a context, across services too.
package reqctx

import (
	"context"

	"github.com/keyward/keyward/core/ident"
)

type requestIDKey struct{}

// named is a context that carries a request's ID: every request has one.
type named struct {
	context.Context //nolint:containedctx // it is one
	id              ident.RequestID
}

// Value implements context.Context.
func (n *named) Value(key any) any {
	if key == (requestIDKey{}) {
		return n
	}
	return n.Context.Value(key)
}

// WithRequestID returns a context that carries id.
func WithRequestID(ctx context.Context, id ident.RequestID) context.Context {
	return &named{Context: ctx, id: id}
}

// RequestID returns the ID that ctx carries, or "" if it carries none.
func RequestID(ctx context.Context) ident.RequestID {
	if n, is := ctx.Value(requestIDKey{}).(*named); is {
		return n.id
	}
	return ""
}

type callerKeyKey struct{}

// WithCallerKey returns a context that carries the ID of the API key that a call came with.
func WithCallerKey(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, callerKeyKey{}, id)
}

// CallerKey returns the ID of the API key that ctx carries, or "" if it carries none.
func CallerKey(ctx context.Context) string {
	id, _ := ctx.Value(callerKeyKey{}).(string)
	return id
}

type seedKey struct{}

// WithSeed returns a context that carries what the IDs of a call's creations are derived from, so that a repeat of the call makes the same
// IDs.
func WithSeed(ctx context.Context, seed ident.Seed) context.Context {
	return context.WithValue(ctx, seedKey{}, seed)
}

// Seed returns the seed that ctx carries, or an empty one: IDs made from that are random.
func Seed(ctx context.Context) ident.Seed {
	seed, _ := ctx.Value(seedKey{}).(ident.Seed)
	return seed
}

type frontendKey struct{}

// WithFrontend returns a context of a call in which a client speaks for itself: no backend vouches for what it says.
func WithFrontend(ctx context.Context) context.Context {
	return context.WithValue(ctx, frontendKey{}, true)
}

// Frontend reports whether the client of the call that ctx is of speaks for itself.
func Frontend(ctx context.Context) bool {
	itself, _ := ctx.Value(frontendKey{}).(bool)
	return itself
}

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

package entry

import (
	"context"
	"time"
)

// How long Redis is waited for. A read goes on with the log when Redis does not answer, and a write with the epochs, so that neither may
// spend on Redis what its caller has: however long the client would wait, Redis gets a part of what is left.
const (
	part          = 3                      // one in so many
	MostPatience  = 5 * time.Second / part // also if the caller set no deadline
	leastPatience = 100 * time.Millisecond // of a write whose caller has no time left, lest the entry fall behind
)

// Patience returns for how long a step may wait for Redis.
func Patience(ctx context.Context) time.Duration {
	deadline, set := ctx.Deadline()
	if !set {
		return MostPatience
	}
	return min(MostPatience, max(leastPatience, time.Until(deadline)/part))
}

// Asked runs a step of a read.
func Asked(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, Patience(ctx))
}

// Told is for a step of a write, which must be done although the caller may have gone.
func Told(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), Patience(ctx))
}

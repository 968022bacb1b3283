package historycache

import (
	"context"
	"time"
)

// How long Redis is waited for. A read goes on with the log when Redis does not answer, and a write with the epochs, so that neither may
// spend on Redis what its caller has: however long the client would wait, Redis gets a part of what is left.
const (
	part          = 3                      // one in so many
	mostPatience  = 5 * time.Second / part // also if the caller set no deadline
	leastPatience = 100 * time.Millisecond // of a write whose caller has no time left, lest the entry fall behind
)

// patience returns for how long a step may wait for Redis.
func patience(ctx context.Context) time.Duration {
	deadline, set := ctx.Deadline()
	if !set {
		return mostPatience
	}
	return min(mostPatience, max(leastPatience, time.Until(deadline)/part))
}

// asked runs a step of a read.
func asked(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, patience(ctx))
}

// told runs a step of a write, which must be done although the caller may have gone.
func told(ctx context.Context, step func(context.Context) (control, error)) (control, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience(ctx))
	defer cancel()
	return step(ctx)
}

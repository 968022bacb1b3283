package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/idempotency"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
)

// Idempotency is what the gateway asks of the store of answers. idempotency.Store is one.
type Idempotency interface {
	Begin(context.Context, idempotency.Call) (*idempotency.Attempt, *idempotency.Answer, error)
}

// HoldMargin is how much longer than a request may take its Idempotency-Key is held for it: clocks of instances differ, and the answer is
// stored after the call.
const HoldMargin = 5 * time.Second

// settleLimit bounds the storing of an answer. The caller waits for it.
const settleLimit = 5 * time.Second

// once executes the call unless it has been answered before. Only answers of success are kept: a call that failed, and so changed
// nothing, frees its key, and one of which nobody knows what it did (5xx, a panic) may be repeated at once, with the same IDs.
func (g *Gateway) once(c *fiber.Ctx, x *exchange.Exchange, key string, call func() error) error {
	ctx := c.UserContext()
	attempt, before, err := g.idempotency.Begin(ctx, idempotency.Call{
		Project: x.Project, Salt: x.Salt, Key: key,
		Method: c.Method(), Path: string(c.Request().URI().RequestURI()), Body: c.Request().Body(),
	})
	if err != nil {
		return err
	}
	if before != nil {
		c.Set(exchange.HeaderReplayed, "true")
		c.Set(fiber.HeaderContentType, before.Type)
		c.Status(before.Status).Response().SetBody(before.Body)
		return nil
	}
	settle := attempt.Retry
	defer func() { g.settle(ctx, x, settle) }()
	c.SetUserContext(reqctx.WithSeed(ctx, attempt.Seed))
	err = call()
	c.SetUserContext(ctx)
	switch {
	case err == nil && c.Response().StatusCode() == http.StatusOK:
		answer := idempotency.Answer{Status: http.StatusOK, Type: string(c.Response().Header.ContentType()), Body: c.Response().Body()}
		settle = func(ctx context.Context) error { return attempt.Complete(ctx, answer) }
	case err != nil && !fault.OfServer(g.faultOf(err)):
		settle = attempt.Forget
	}
	return err
}

// settle says how an attempt ended, also when the request's own time is over. If that fails, the key is held until its hold is over, and
// a repeat then makes the same IDs.
func (g *Gateway) settle(ctx context.Context, x *exchange.Exchange, how func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	if err := how(ctx); err != nil {
		g.log.LogAttrs(ctx, slog.LevelWarn, "the answer of a call with an Idempotency-Key could not be stored",
			slog.String("request_id", string(x.ID)), slog.String("error", err.Error()))
	}
}

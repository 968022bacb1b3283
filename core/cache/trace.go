package cache

import (
	"context"
	"errors"
	"net"

	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/span"
)

// steps tells the trace of a call how long Redis took for each of its commands.
type steps struct{}

func (steps) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return next(ctx, network, address)
	}
}

func (steps) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		ctx, step := span.Cache(ctx, command.Name(), 1)
		err := next(ctx, command)
		step.End(failure(err))
		return err
	}
}

func (steps) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		ctx, step := span.Cache(ctx, "pipeline", len(commands))
		err := next(ctx, commands)
		step.End(failure(err))
		return err
	}
}

// failure is err unless it only says that a key is not there.
func failure(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

// traced lets a client tell of its commands; of a Cluster the client of each node does, so that those that are asked directly do, too.
func traced(client redis.UniversalClient) redis.UniversalClient {
	if all, is := client.(*redis.ClusterClient); is {
		all.OnNewNode(func(node *redis.Client) { node.AddHook(steps{}) })
		return client
	}
	client.AddHook(steps{})
	return client
}

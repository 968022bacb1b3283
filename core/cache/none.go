package cache

import (
	"context"
	"net"

	"github.com/redis/go-redis/v9"
)

// None returns a client where there is no Redis: every command fails at once, with why, and nothing is ever dialled.
func None(why error) *Cache {
	client := redis.NewClient(&redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) { return nil, why }})
	client.AddHook(refusal{why})
	return &Cache{Client: client}
}

// refusal keeps commands from the client's pool, which would try to dial for each of them, and complain.
type refusal struct{ why error }

func (r refusal) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r refusal) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, command redis.Cmder) error {
		command.SetErr(r.why)
		return r.why
	}
}

func (r refusal) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, commands []redis.Cmder) error {
		for _, command := range commands {
			command.SetErr(r.why)
		}
		return r.why
	}
}

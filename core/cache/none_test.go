package cache_test

import (
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/cache"
)

func TestWhereThereIsNoRedisCommandsSayWhyAndNothingIsDialled(t *testing.T) {
	t.Parallel()
	why := errors.New("there is none")
	c := cache.None(why)
	if err := c.Writable(t.Context()); !errors.Is(err, why) {
		t.Errorf("a probe: %v", err)
	}
	for name, run := range map[string]func(func(redis.Pipeliner) error) error{
		"a pipeline": func(fill func(redis.Pipeliner) error) error {
			_, err := c.Client.Pipelined(t.Context(), fill)
			return err
		},
		"a transaction": func(fill func(redis.Pipeliner) error) error {
			_, err := c.Client.TxPipelined(t.Context(), fill)
			return err
		},
	} {
		var got *redis.StringCmd
		err := run(func(p redis.Pipeliner) error {
			got = p.Get(t.Context(), "key")
			return nil
		})
		if !errors.Is(err, why) || !errors.Is(got.Err(), why) {
			t.Errorf("%s: %v, its command %v", name, err, got.Err())
		}
	}
	if s := c.Client.PoolStats(); s.Misses+s.TotalConns != 0 {
		t.Errorf("the pool was asked: %+v", s)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

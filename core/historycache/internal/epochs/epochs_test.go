package epochs_test

import (
	"testing"

	"github.com/keyward/keyward/core/historycache/internal/epochs"
	"github.com/keyward/keyward/core/ident"
)

func TestShardsAreUsedEvenly(t *testing.T) {
	t.Parallel()
	const users = 256 * 100
	counts := make(map[uint8]int)
	for range users {
		counts[epochs.ShardOf("pro-1", ident.NewUserID())]++
	}
	for shard, n := range counts {
		if n > 200 {
			t.Errorf("shard %d has %d of %d users", shard, n, users)
		}
	}
	if len(counts) != epochs.Shards {
		t.Errorf("%d of %d shards are used", len(counts), epochs.Shards)
	}
}

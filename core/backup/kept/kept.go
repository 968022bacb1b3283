// Package kept says what of a store a backup holds. It touches nothing.
package kept

import (
	"slices"

	"github.com/keyward/keyward/core/bus"
)

// Streams returns the names of the streams that a backup holds, that of events last. Left out is what is of no use elsewhere or later:
// probes, who is there, who does which work, and which entries of a cache may be trusted.
func Streams() []string {
	all, probes := bus.Names()
	passing := []string{probes, "KV_" + bus.InstancesBucket, "KV_" + bus.WebhookWorkBucket, "KV_" + bus.EpochsBucket}
	return slices.DeleteFunc(all, func(name string) bool { return slices.Contains(passing, name) })
}

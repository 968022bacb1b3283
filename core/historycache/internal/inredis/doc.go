// Package inredis keeps entries, and sets of sightings, in Redis for all instances, and the most used entries decoded in the process too.
// What it promises, and why that holds, is said in core/historycache. It touches the Redis keys {project/user}:events and :offers, those of
// sets (sighting.Key), {project}:v and keyward:sightings:*.
package inredis

import "time"

// Config holds what may be tuned; see historycache.Config.
type Config struct {
	TTL             time.Duration
	Near            int
	BreakerFailures uint32
	BreakerPause    time.Duration
}

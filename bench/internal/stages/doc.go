// Package stages measures what one call of each kind costs: processor time, allocations, messages over NATS, round trips to Redis, and
// writes that are flushed to disk. What can be counted must stay below a bound that is written down with its reason; times depend on the
// machine, and are told only. It touches the servers of a fleet.
package stages

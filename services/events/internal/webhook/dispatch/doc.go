// Package dispatch delivers passkey events to webhook endpoints. It reads the stream of events and the bucket "webhook-endpoints", keeps
// in the bucket "webhook-work" which instance works for which endpoint, and leaves what is to be kept to the queue.
//
// # Promise
//
// Every event that is appended after an endpoint was created, and that it has subscribed to, is delivered to it at least once: the
// endpoint answered 2xx, or the event is a dead letter. A user's events are delivered in the order of the log: an event is tried for the
// first time only after each earlier one of the same user was delivered or is a dead letter. One user's failing event holds back no other
// user. A duplicate carries the same webhook-id.
//
// # How it is kept
//
// Each endpoint has a durable consumer of the log, and one instance at a time that works for it (see claim). The instance resets the
// consumer to its acknowledgement floor when it begins, so whatever its predecessor had not acknowledged comes again, and in order; what
// had been acknowledged out of order may come twice.
//
// An event is acknowledged when it was delivered, or when it is stored in the stream of retries: the first of a user that fails is parked
// there, and as long as the user has anything parked, so are the user's later events. So the consumer always moves on, whoever fails, and
// what waits is on disk. How often the first parked event of a user was tried, and when it is tried next, is on disk too (the user's
// head), so a restart neither forgets nor hurries. An event that was tried often enough moves to the dead letters, and the user's next
// one is tried.
//
// The head is written before the event that it is for, the event before its acknowledgement, and an event is delivered from the parking
// only after the acknowledgement was confirmed. It is parked at most once. So no crash between any two steps loses an event or lets a
// later one of the user pass it.
//
// # An endpoint that is down
//
// After so many failures in a row that the endpoint must be down, events are no longer read for it but one at a time, at growing
// intervals, until any attempt succeeds. What waits costs nothing then but its place in the log. The number of users with parked events
// is bounded in the same way.
package dispatch

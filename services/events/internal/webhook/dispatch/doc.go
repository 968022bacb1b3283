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
// Each endpoint has a position in the log, which the queue keeps, and one instance at a time that works for it (see claim) and reads on
// from there, without a consumer: whoever may make one has it deliver wherever it likes. Up to the position nothing remains to be done;
// what of the rest was done before an instance ended comes again, and in order. A position is stored on the one that was read, so that an
// instance that is late moves none.
//
// The log is done with an event that was delivered, or that is stored in the stream of retries: the first of a user that fails is parked
// there, and as long as the user has anything parked, so are the user's later events. So the position always moves on, whoever fails, and
// what waits is on disk. How often the first parked event of a user was tried, and when it is tried next, is on disk too (the user's
// head), so a restart neither forgets nor hurries. An event that was tried often enough moves to the dead letters, and the user's next
// one is tried.
//
// The head is written before the event that it is for, the event before the position, and an event is delivered from the parking only after
// the position was. It is parked at most once. So no crash between any two steps loses an event or lets a later one of the user pass it.
//
// # An endpoint that is down
//
// After so many failures in a row that the endpoint must be down, events are no longer read for it but one at a time, at growing
// intervals, until any attempt succeeds. What waits costs nothing then but its place in the log. The number of users with parked events
// is bounded in the same way.
package dispatch

// Package eventlog keeps users' passkey events. The log, a JetStream stream, is the truth; Redis holds a copy so that reading a user's events takes one
// round trip. The package touches the streams of events, offers and decisions, the key-value bucket "cache-epochs", and the Redis keys {project/user}:events.
//
// # Promise
//
// When Append has returned without error, the event is on disk and every read that begins afterwards, on whichever instance, holds it: also if Redis was
// empty, flushed, restarted, evicting or out of reach of any instance in between. An event for which Append returned an error may be stored or not.
//
// # How it is kept
//
// A cache entry is a hash: a field for each event and four of its own. A reader trusts it only if all of these hold; otherwise it reads the log:
//
//   - It is whole. A filler draws a token, writes what the log holds together with :fill=token, reads what the log got meanwhile, writes that, and then
//     :ready=token. The entry is whole if both tokens are equal: since :fill was written the entry has not been removed, so what writers have added since
//     is there, and what was appended before was in the log when it was read the second time. What a writer adds to an entry that is not there has no tokens.
//   - Its epoch is current. A writer whose event is in the log but who cannot update Redis raises the epoch of the user's shard in the key-value store,
//     waits until no instance can still hold the old one for current, and only then returns. An instance holds its view of the epochs for current for a
//     lease, counted from before it asked for them, on its monotonic clock.
//   - It was filled in the run of the Redis server that answers. A server that restarts from a snapshot, or a replica that was promoted, may have lost what
//     writers added; it has another run ID. The run ID is asked for again after each new connection.
//
// An entry expires a while after it was filled. That bounds how long it can lack an event that nobody was told is stored: one whose writer died between
// the log and the cache, or never learned what became of it. An events service that starts raises all epochs, which ends that sooner.
//
// Not covered: a Redis that is split so that two masters answer at once, and a suspended process whose monotonic clock stands still while others' runs.
//
// Login offers and denials go to a stream of their own that is persisted asynchronously, and not to Redis: the last moments of them may be lost with the machine.
// An offer may carry what its ceremony needs to be finished; readers of history do not see that.
package eventlog

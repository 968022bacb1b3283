// Package eventlog keeps users' passkey events. The log, a JetStream stream, is the truth; Redis holds a copy so that reading a user's
// events takes one round trip. The package touches the streams of events, offers and decisions; the copy is kept by historycache.
//
// # Promise
//
// When Append has returned without error, the event is on disk and every read that begins afterwards, on whichever instance, holds it:
// also if Redis was empty, flushed, restarted, evicting or out of reach of any instance in between. An event for which Append returned an
// error may be stored or not.
//
// The same is promised of accounts, which are kept elsewhere: once AccountChanged has returned without error, no read that begins
// afterwards vouches for the account as it was before.
//
// How it is kept although most reads come from the copy, is in the package historycache, with what it does not cover.
//
// # Appends that come together
//
// A server that flushes every write takes about as many messages a second from one publisher as from hundreds. So a few appends have a
// message of their own, at once, and those that come while so many are under way wait, and are stored as one atomic batch if they are
// many enough for that to be cheaper. A batch is stored whole or not at all. One that the server refuses, as it does if it knows one of
// the IDs, is stored message by message, so that each append is answered for itself. If a batch is not answered, none of its appends
// knows whether it is stored. What is written to Redis afterwards goes together, too.
//
// # Events of the account
//
// Events that tell of the account are for subscribers. They are in the log alone: no read of a history holds them, and no entry.
//
// # Erasing
//
// Erase purges what the streams hold of a user, and EraseLate what calls appended that were under way meanwhile; the event that tells of
// the deletion stays. Entries that other processes keep decoded go when room is needed; nobody reads them.
//
// # What is left
//
// Login offers and denials go to a stream of their own that is persisted asynchronously: the last moments of them may be lost with the
// machine. The newest of each user are in Redis too, under the same promise. An offer may carry what its ceremony needs to be finished;
// readers of history do not see that.
package eventlog

// Package eventlog keeps users' passkey events. The log, a JetStream stream, is the truth; Redis holds a copy so that reading a user's
// events takes one round trip, or, where there is none, the memory of the one process. The package touches the streams of events, offers
// and decisions; the copy is kept by historycache.
//
// # Promise
//
// When Append has returned without error, the event is on disk and every read that begins afterwards, on whichever instance, holds it:
// also if Redis was empty, flushed, restarted, evicting or out of reach of any instance in between. An event for which Append returned an
// error may be stored or not.
//
// The same is promised of accounts, which are kept elsewhere: once AccountChanged has returned without error, no read that begins
// afterwards vouches for the account as it was before.
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
// # Ends of logins
//
// The event that completes a login spends its challenge: what names the ceremony in the user's log is all there is of that, so it has to be
// there once. Conclude appends it on the condition that the newest event of its own subject, which is the user's newest completed login, is
// the one that the caller has judged everything up to. The server refuses it otherwise, whichever instance asks and whatever has crashed or
// been forgotten meanwhile; the caller reads again and judges again (services/ceremony/internal/challenge).
//
// Why no two of them end one ceremony, nor pass with one signature counter: all of them are appended so, on one subject. Take two that are
// stored, and let A be the earlier. B was stored on the condition that the newest of the subject was at a sequence up to which B's caller
// knew everything. If that is A's or later, the caller has seen A, and would not have gone on. If it is earlier, the server would have had
// to take B without seeing A, and it does not: one server judges and stores in one step, and the leader of several refuses a condition on a
// subject while a message with one on it is under way, and judges by nothing before a leader elected anew has taken up what the one before
// had under way. What was read may be old: then the sequence is, too, and the server refuses.
//
// Nothing else comes into it: answers that are refused are many if somebody wants them to be who knows a user's name. They are appended as
// any event, and what spends their challenges is a mark. So nobody can make a user's logins slow, or wait for others, but that user.
//
// They go alone: one whose condition does not hold would have the server refuse all the others of a batch. The condition stays with each,
// and so names the one before it: a user's latest are read from one to the other, whatever lies between (internal/trail).
//
// A caller whose answer was lost asks again. The event has the ID of its ceremony, as any other's would; who has stored it the header
// Keyward-Attempt says. So a repeated call finds its own, while and after the server knows the ID, and another is told that it came late.
//
// # Usage of accounts
//
// What logins say of an account (counters, use, environments) nobody waits to be stored in it. An account's document notes up to which
// sequence it knows the user's logins, and whoever reads it takes up the later ones, which is one read of the newest: each login says up
// to where an account has to know the log to take up that login alone. Mostly that is what the document knew at its end, for it says all
// that the logins between say. Why that holds: its caller knew all logins before it, since it was stored on the condition that there is
// none other; and it compared what all leave of the document with what this one leaves. It covers none of a passkey that the document does
// not have, which may have been created since. The document may have moved forward since, which takes up some of the logins between before
// the last one, in their order, and leaves the same. If the login does not say all, it says so, its document is written at once, and after
// a crash before that, readers take up all that come after what the document knows.
//
// Changes of an account are made upon what the log said before them, so that what they take away no login of before brings back. Documents
// move forward in the background before events grow too old (services/ceremony/internal/folding).
//
// Where the log has a bound in bytes it drops events however young they are, and with them what was spent: there a mark spends the
// challenge before its event does.
//
// # Events of the account
//
// Events that tell of the account are for subscribers. They are in the log alone: no read of a history holds them, and no entry.
//
// # Erasing
//
// Erase purges what the streams hold of a user, and EraseLate what calls appended that were under way meanwhile; the event that tells of
// the deletion stays. What counts them goes when Redis can be reached, what others keep decoded when room is needed: nobody reads that.
//
// # What is left
//
// Login offers and denials go to a stream of their own that is persisted asynchronously: the last moments of them may be lost with the
// machine. The newest of each user are in Redis too, under the same promise. An offer may carry what its ceremony needs to be finished;
// readers of history do not see that.
//
// Where one process is all there is, they leave it in the background (core/flow), so that no login start waits for the log. Whoever reads
// them here gets those on their way too: they are looked up first, and what is missing there was in the log before it was read. An erasure
// waits for the user's. What is lost with a process that dies is what was under way, milliseconds; what the log refuses is counted, and
// then each is awaited until the log takes one again: what cannot be stored is not offered. With Redis each is awaited: another instance
// may be asked for it whose Redis has just forgotten it.
package eventlog

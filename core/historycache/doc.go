// Package historycache keeps a copy of users' histories where reading one costs little: in Redis, and the most used of them decoded in the
// process, so that it takes one round trip; or, where one process is all there is, in its memory alone. The truth is a log. The package
// touches the key-value bucket "cache-epochs" and the Redis keys {project/user}:events and {project/user}:offers and those of package
// inredis, and reads the log.
//
// # Promise
//
// When Add or Remove has returned without error, every read that begins afterwards, on whichever instance, holds what the log held
// before: also if Redis was empty, flushed, restarted, evicting or out of reach of any instance in between. Once AccountChanged or
// AccountGone has returned without error, no read that begins afterwards vouches for the account as it was before.
//
// # How it is kept in Redis
//
// A cache entry is a hash: a field for each event and four of its own. A reader trusts it only if all of these hold; otherwise it reads
// the log:
//
//   - It is whole. A filler draws a mark, writes what the log holds together with :fill=mark, reads what the log got meanwhile, writes
//     that, and then :ready=mark. The entry is whole if both are equal: since :fill was written the entry has not been removed, so what
//     writers have added since is there, and what was appended before was in the log when it was read the second time. What a writer adds
//     to an entry that is not there has no mark.
//   - Its epoch is current. A writer whose event is in the log but who cannot update Redis raises the epoch of the user's shard in the
//     key-value store, waits until no instance can still hold the old one for current, and only then returns. An instance holds its view of
//     the epochs for current for a lease, counted from before it asked for them, on its monotonic clock.
//   - It was filled in the run of the Redis server that answers. A server that restarts from a snapshot, or a replica that was promoted,
//     may have lost what writers added; it has another run ID. The run ID is asked for again after each new connection.
//
// The mark names the epoch and the run of its fill, and no two fills have the same.
//
// # What a process keeps
//
// Reading and decoding a whole entry costs far more than asking what it says of itself, so a process keeps decoded entries, the most used
// ones, up to a number of events, of which a user has a share: what is beyond it is read whole each time. With each event it adds, a writer
// raises the field :version in the same step. A reader that keeps an entry asks for the four fields only, judges them as above, and if
// :fill and :version are those under which it keeps the entry, what it keeps is good. For an event whose Add returned before that reader
// began had been added to the entry, or its epoch raised. If it was added after the entry was read whole, then either the entry has not
// been removed since and :version is higher, or it has and :fill is another. If it was added before, it was in the entry that was read. And
// if the epoch was raised, the entry is not trusted, unless it was filled after that, and then from a log that held the event. The order in
// which :version and the events are read does not matter, since Redis answers HGETALL in one step.
//
// A process that adds an event to an entry it keeps learns in the same step what the entry says after that. If :fill is as it was and
// :version one higher, its own event is all that has been added, and it goes on with the entry that has this event too.
//
// # Offers
//
// Login offers and denials have an entry of their own, since logins read none. It is judged as that of events is, with the same promise
// but that a writer who cannot reach Redis raises the epoch and does not wait until nobody holds the old one for current. It is filled
// alike, by who asks for it first: nothing is written with :fill, since nothing was read yet. The log cannot take its place for every
// read: a server that is asked for the messages of a user looks at all that others had between them, tens of thousands after a busy hour.
// So that an entry costs the same however often somebody's logins are started, the newest offers alone are told of, and writers remove the
// others.
//
// # Accounts
//
// Who has changed an account raises the field :account of the user's entry before telling anybody, or, if Redis cannot be reached, the
// epoch. The part of the mark that is drawn, with :account, is the account's stamp; what a trusted entry says is told to those who ask
// for decisions. An account that was read from its store after its stamp was told, is good for a decision if a trusted entry still has
// that stamp when the decision is made. For take a change that was announced before the decision began, and the moment at which the stamp
// was read that was told. If the change raised :account before that moment, it was in the store before the account was read. If it raised
// it afterwards, and the entry has stood since, :account is higher now; if the entry was removed, :fill is another, as :fill is never
// written twice. If it raised the epoch instead, then a trusted entry was filled after the change was stored; its stamp cannot have been
// told earlier, so the account was read later. Nothing here asks which change of an account is the newer: a stamp is only ever compared
// for equality, and who finds that it does not hold reads the account from the store. There is no watch whose messages could be late.
//
// A stamp says nothing of a change of which its writer does not know whether it was stored. Such a writer raises :account too if it can,
// and what is left of the doubt ends when the entry expires.
//
// # In the memory of one process
//
// Without Redis the same is kept decoded, within a bound, and whoever reads takes it as it is: there is nobody to confirm it, since all who
// add events and change accounts tell this memory. Its entries are judged by the same rules, with numbers for marks, but for the run, as it
// ends with the process. A step that Redis takes in one transaction is one under the lock. What is added to an entry that is not there is
// left to whoever fills it. A fill takes the place of what the entry had instead of adding to it: what writers added before it began was in
// the log before the log is read the second time. The epochs are asked all the same, which costs no message: a process that does not see
// this memory, since it has come by the NATS that is embedded here, raises them with each event it appends.
//
// What is as long as a history, to put it in order, copy or weigh it, is done outside the lock: who adds to a history takes it, makes the
// next one, and puts that in its place if it is still there, else begins again.
//
// A history beyond a user's share of the bound is not kept, but only, until an entry would expire, that it is so large. Such an entry
// vouches for nothing, so its readers are told no stamp, and read the log without filling anything; its writers do nothing.
//
// Stamps name the process, by a text that it draws, and the fill and the changes by their numbers, so that no two are alike.
//
// # Sets of sightings
//
// What was seen of an address, a network, a browser or a user is kept in sets beside the entries, of those kinds that somebody's rules read
// (package wanted). That nothing is missing from the sets of a server is said in a mark there (package whole), under an epoch as entries
// have one, for a run and a number of evicted keys, and for a generation of each kind. A rebuild opens the mark, adds what the log holds
// beside whoever adds meanwhile, and closes it; a kind that begins to be read is added to a mark that holds. Who is told that nothing is
// missing since a moment counts all that was acknowledged since then.
//
// # What is left
//
// An entry expires a while after it was filled. That bounds how long it can lack an event that nobody was told is stored: one whose
// writer died between the log and the cache, or never learned what became of it. An events service that starts raises all epochs, which
// ends that sooner. Entries that a process keeps go with the entry that confirms them.
//
// However long Redis hangs, and whatever its client is set to, a step waits for it only a part of the time that its caller has, so that the
// rest is enough for the log or the epochs.
//
// Not covered: a Redis that is split so that two masters answer at once, a suspended process whose monotonic clock stands still while
// others' runs, and a network that brings both steps of a fill a second time, over connections that were given up, after the entry has
// been removed.
package historycache

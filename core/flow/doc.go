// Package flow lets observations leave a process: what tells of a call, is not waited for by it, and is many. They are handed over, and one
// goroutine sends them to a stream in the order in which they came.
//
// # Many under one acknowledgement
//
// Each is a message of its own, with the subject and headers that readers know, so that it is found, followed, bounded and erased by its
// subject as any other. What they share is the acknowledgement: the server tells once for a hundred or so that it has them, and in which
// order it wants to be told; of each alone it would cost a third of what sending costs, at both ends. A batch ends when nothing has come
// for a moment, and then all of it is acknowledged. The server takes what it gets at once: no reader waits for the end of a batch.
//
// Several in one message would cost less still. But then a stream could be read by nobody who does not take packs apart, bounds of a
// subject would hold for nothing, and to erase a user would be to write anew, or to hide behind a key that is destroyed, what is in one
// message with others.
//
// A server, or a stream, that does not know such batches gets messages that are acknowledged one by one.
//
// # Promise
//
// Add takes an observation or says that it does not, and waits for nobody. What was taken is stored, or counted as lost: if the server
// refuses it, or if it does not answer in time. If a batch is not acknowledged to its end, what is left of it is sent once more, so a
// message may be there twice. When Run returns, nothing is left that was taken. If the process dies, what was taken and not yet sent is
// lost, and nobody counts it: the last milliseconds.
//
// Held is everything that was taken and is not yet known to be stored: who reads the stream after Held has returned misses nothing that
// was taken before.
package flow

// Package backup is the format of a backup: what a store held at one moment or several, in one stream of bytes. It promises that a reader
// either gets what was written or an error that says what is wrong with it, and that no bytes make it take more memory than a part has. It
// touches nothing: packages take and restore read and write the store, and package envelope encrypts.
//
// # Format
//
// A magic, the version of the format, and parts. A part is its kind, a length, a checksum (CRC-32C) over its number, its kind and its
// bytes, and its bytes, compressed with S2. The number is of the parts before it, so that none can be left out, doubled or put elsewhere.
// The first part is the header, the last the trailer, which counts the others: a file without it was cut short. Between them are parts with
// messages, each of one stream, in the order of their sequences, with those of the server and its times; and cuts.
//
// # Cuts
//
// A cut is a moment, and up to which sequence each stream belongs to it. A backup is taken while everything goes on being written: each
// stream is read from its first message on and followed from then on, so that what takes the place of a value is here beside the value.
// At a cut, every stream is at the state that it had at that moment, by one clock: a cause is there if its effect is. A backup that goes
// on for a while has many cuts, and each can be restored.
package backup

package backup

import (
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// Format is the version of the format that this package writes. It reads this one and those before.
const Format = 1

// Schema is the version of what the messages hold. It goes up with each change that the version of Keyward before cannot read.
const Schema = 1

const (
	magic      = "KEYWARD-BACKUP\n"
	partHeader = 1 + 4 + 4 // kind, length, checksum
	// partSize is what a part holds before it is compressed, unless one message is larger.
	partSize = 512 << 10
	// maxPart is what a part may hold: the largest message that NATS takes in any configuration, and what is said of it.
	maxPart = 65 << 20
)

type kind byte

const (
	headerPart   kind = 1
	messagesPart kind = 2
	cutPart      kind = 3
	trailerPart  kind = 4
)

// What can be wrong with a backup.
var (
	ErrNotABackup = errors.New("that is no backup of Keyward")
	ErrCutShort   = errors.New("the backup was cut short: its end is missing")
	ErrDamaged    = errors.New("the backup was damaged or changed after it was written")
	ErrNewer      = errors.New("the backup was written by a newer version of Keyward")
)

// Header says what a backup is of.
type Header struct {
	Schema  int       `json:"schema"`
	Keyward string    `json:"keyward"` // the version that wrote it
	Made    time.Time `json:"made"`
	Streams []Stream  `json:"streams"`
	// The key of the data directory that secrets are stored under; empty = it came from the settings.
	EncryptionKey string `json:"encryptionKey,omitempty"`
}

// Stream is one of which there are messages.
type Stream struct {
	Name     string            `json:"name"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Message is one as it is stored.
type Message struct {
	Sequence uint64
	Time     int64 // Unix ns
	Subject  string
	Header   []byte // as on the wire
	Data     []byte
}

// Cut is one moment.
type Cut struct {
	At      time.Time  `json:"at"`
	Streams []Position `json:"streams"` // as in the header
}

// Position is how much of a stream belongs to a cut.
type Position struct {
	Last      uint64     `json:"last"` // sequence
	Consumers []Consumer `json:"consumers,omitempty"`
}

// Consumer is a durable one, and up to where it has got: what was delivered and not acknowledged is delivered once more.
type Consumer struct {
	Config       []byte `json:"config"` // JSON as NATS has it
	Acknowledged uint64 `json:"acknowledged"`
	Delivered    uint64 `json:"delivered"` // number of the delivery that was acknowledged last
}

// trailer counts what is before it.
type trailer struct {
	Parts    uint64   `json:"parts"`
	Messages []uint64 `json:"messages"` // of each stream
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(number uint64, k kind, raw []byte) uint32 {
	var head [9]byte
	for i := range 8 {
		head[i] = byte(number >> (8 * i))
	}
	head[8] = byte(k)
	return crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, raw)
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

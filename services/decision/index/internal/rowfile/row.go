package rowfile

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/keyward/keyward/services/decision/index/internal/packing"
	"github.com/keyward/keyward/services/decision/internal/outline"
)

// Row is a decision of the index.
type Row struct {
	Sequence uint64 // of its record in the stream
	outline.Outline
}

// Dimension is something of a decision that can be asked for.
type Dimension uint8

// The dimensions. Numbers are part of what is stored.
const (
	all     Dimension = 0 // every decision has it
	Project Dimension = iota
	Action
	Rule
	Tag
	Allow
	OS
	Browser
	Device
	Route // of a login, or the kind of a creation
	Reason
	Verdict
	Level
	Revision
	Arm
	// What has so many values that sets of places would be of one or two each.
	User
	Process
)

// keyed reports whether a dimension is kept by key.
func (d Dimension) keyed() bool { return d >= User }

// words of a row, each with its dimension; those of no word are left out.
func (r *Row) words(visit func(Dimension, string)) {
	for _, w := range [...]struct {
		of   Dimension
		word string
	}{
		{Project, r.Project},
		{Action, r.Action},
		{Rule, r.Rule},
		{Tag, r.Tag},
		{Allow, strconv.FormatBool(r.Allow)},
		{OS, r.OS},
		{Browser, r.Browser},
		{Device, r.Device},
		{Route, r.Route + r.Kind},
		{Verdict, r.Verdict},
		{Level, r.Level},
		{Revision, r.Revision},
		{Arm, r.Arm},
	} {
		if w.word != "" {
			visit(w.of, w.word)
		}
	}
	for _, reason := range r.Reasons {
		visit(Reason, reason)
	}
}

var errRow = errors.New("a row is not as it was written")

const (
	idPrefix   = "dec-"
	userPrefix = "usr-"
	timeDigits = 13
	idDigits   = 25
	uuidLength = 16
)

// How a text is written.
const (
	none    = 0
	plain   = 1
	compact = 2 // a number, or the 16 bytes of a UUID
)

// encode appends a row without its sequence. Texts that come again and again are numbers of words.
func (r *Row) encode(to []byte, word func(string) uint32) []byte {
	to = append(to, rowVersion)
	to = appendID(to, r.ID)
	to = appendNumbered(to, userPrefix, r.User)
	to = appendUUID(to, r.Process)
	flags := uint64(0)
	if r.Allow {
		flags |= 1
	}
	if r.Memoised {
		flags |= 2
	}
	to = binary.AppendUvarint(to, flags)
	to = binary.AppendUvarint(to, uint64(max(r.DurationMicros, 0)))
	to = binary.AppendUvarint(to, uint64(max(r.Number, 0)))
	for _, text := range r.texts() {
		to = binary.AppendUvarint(to, uint64(word(*text)))
	}
	to = binary.AppendUvarint(to, uint64(len(r.Reasons)))
	for _, reason := range r.Reasons {
		to = binary.AppendUvarint(to, uint64(word(reason)))
	}
	return to
}

// texts are those that come again and again.
func (r *Row) texts() []*string {
	return []*string{
		&r.Project, &r.Action, &r.Rule, &r.Tag, &r.Revision, &r.Arm, &r.OS, &r.Browser, &r.Device, &r.Route, &r.Kind, &r.Verdict, &r.Level,
	}
}

const rowVersion = 1

// appendID writes an ID of 25 digits as two numbers.
func appendID(to []byte, id string) []byte {
	digits, ok := strings.CutPrefix(id, idPrefix)
	if !ok || len(digits) != idDigits {
		return packing.AppendText(append(to, plain), id)
	}
	ms, err := strconv.ParseUint(digits[:timeDigits], 10, 64)
	rest, err2 := strconv.ParseUint(digits[timeDigits:], 10, 64)
	if err != nil || err2 != nil {
		return packing.AppendText(append(to, plain), id)
	}
	return binary.AppendUvarint(binary.AppendUvarint(append(to, compact), ms), rest)
}

// appendNumbered writes an ID that is a number behind a prefix.
func appendNumbered(to []byte, prefix, id string) []byte {
	if id == "" {
		return append(to, none)
	}
	digits, ok := strings.CutPrefix(id, prefix)
	if n, err := strconv.ParseUint(digits, 10, 64); ok && err == nil && strconv.FormatUint(n, 10) == digits {
		return binary.AppendUvarint(append(to, compact), n)
	}
	return packing.AppendText(append(to, plain), id)
}

func appendUUID(to []byte, id string) []byte {
	if id == "" {
		return append(to, none)
	}
	if raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", "")); err == nil && len(raw) == uuidLength && uuid(raw) == id {
		return append(append(to, compact), raw...)
	}
	return packing.AppendText(append(to, plain), id)
}

func uuid(raw []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:])
}

// decodeRow reads a row. Its sequence and time are kept beside it.
func decodeRow(raw []byte, word func(uint64) (string, bool)) (Row, error) {
	var r Row
	c := packing.Reader{Left: raw}
	if c.Number() != rowVersion {
		return r, errRow
	}
	switch c.Number() {
	case compact:
		r.ID = fmt.Sprintf("%s%013d%012d", idPrefix, c.Number(), c.Number())
	default:
		r.ID = c.Text()
	}
	switch c.Number() {
	case none:
	case compact:
		r.User = userPrefix + strconv.FormatUint(c.Number(), 10)
	default:
		r.User = c.Text()
	}
	switch c.Number() {
	case none:
	case compact:
		if raw := c.Bytes(uuidLength); raw != nil {
			r.Process = uuid(raw)
		}
	default:
		r.Process = c.Text()
	}
	flags := c.Number()
	r.Allow, r.Memoised = flags&1 != 0, flags&2 != 0
	r.DurationMicros, r.Number = int64(c.Number()), int(c.Number())
	named := func() string {
		text, known := word(c.Number())
		c.Bad = c.Bad || !known
		return text
	}
	for _, text := range r.texts() {
		*text = named()
	}
	for range min(c.Number(), uint64(len(raw))) {
		r.Reasons = append(r.Reasons, named())
	}
	if c.Bad || len(c.Left) > 0 {
		return Row{}, errRow
	}
	return r, nil
}

package eventstream

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"sync"
	"time"

	"github.com/keyward/keyward/core/feed"
)

// frame puts server-sent events together in one buffer, as one chunk of HTTP/1.1 (RFC 9112, section 7.1) if it is chunked.
type frame struct {
	text    []byte
	body    int // where the chunk's data begins
	chunked bool
}

const (
	chunkHead  = 8 + 2    // room for the chunk's size in hexadecimal and the end of its line
	usualFrame = 8 << 10  // bytes
	keptFrame  = 96 << 10 // larger buffers are not kept for others
)

// frames keeps buffers of streams that are not writing.
var frames = sync.Pool{New: func() any { return &frame{text: make([]byte, 0, usualFrame)} }}

func newFrame(chunked bool) *frame {
	f := frames.Get().(*frame)
	f.reset(chunked)
	return f
}

func (f *frame) free() {
	if cap(f.text) <= keptFrame {
		frames.Put(f)
	}
}

func (f *frame) reset(chunked bool) {
	f.text, f.chunked = f.text[:0], chunked
	if chunked {
		f.text = f.text[:chunkHead]
	}
	f.body = len(f.text)
}

// prepend puts what is no part of the chunk before it. Nothing may have been written yet.
func (f *frame) prepend(head []byte) {
	f.text = append(f.text[:0], head...)
	if f.chunked {
		f.text = append(f.text, make([]byte, chunkHead)...)
	}
	f.body = len(f.text)
}

// comment writes a line that clients ignore.
func (f *frame) comment(text string) {
	f.text = append(append(append(f.text, ": "...), text...), "\n\n"...)
}

// retry tells the client how long to wait before it connects again.
func (f *frame) retry(after time.Duration) {
	f.text = append(strconv.AppendInt(append(f.text, "retry: "...), after.Milliseconds(), 10), "\n\n"...)
}

// event writes one event. JSON has no line break in it unless somebody formatted it; then each line is a field of its own, which clients
// put together again.
func (f *frame) event(m *feed.Message, at positions) {
	f.text = at.append(append(f.text, "id: "...), m.Sequence)
	f.text = append(append(f.text, "\nevent: "...), m.Type...)
	for rest, more := m.Data, true; more; {
		var line []byte
		line, rest, more = bytes.Cut(rest, []byte{'\n'})
		f.text = append(append(f.text, "\ndata: "...), bytes.TrimSuffix(line, []byte{'\r'})...)
	}
	f.text = append(f.text, "\n\n"...)
}

// finish returns what is to be sent; it is good until the frame is reset or freed.
func (f *frame) finish() []byte {
	if !f.chunked {
		return f.text
	}
	size := len(f.text) - f.body
	head := f.text[f.body-chunkHead : f.body]
	hex.Encode(head, []byte{byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)})
	copy(head[8:], "\r\n")
	f.text = append(f.text, "\r\n"...)
	return f.text
}

package backup

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
)

// Writer writes one backup. It is for one goroutine at a time.
type Writer struct {
	w       io.Writer
	parts   uint64
	pending []batch // of each stream
	counts  []uint64
	packed  []byte
}

// batch is what is to become a part.
type batch struct {
	raw  []byte
	last Message // for differences; its bytes are not kept
}

// NewWriter begins a backup.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	if _, err := w.Write(append([]byte(magic), Format)); err != nil {
		return nil, fmt.Errorf("write the backup: %w", err)
	}
	b := &Writer{w: w, pending: make([]batch, len(h.Streams)), counts: make([]uint64, len(h.Streams))}
	return b, b.document(headerPart, h)
}

// Add appends a message to a stream, by its number in the header. Sequences go up.
func (b *Writer) Add(stream int, m Message) error {
	p := &b.pending[stream]
	if len(p.raw) == 0 {
		p.raw, p.last = binary.AppendUvarint(p.raw[:0], uint64(stream)), Message{}
	}
	p.raw = binary.AppendUvarint(p.raw, m.Sequence-p.last.Sequence)
	p.raw = binary.AppendVarint(p.raw, m.Time-p.last.Time)
	p.raw = append(binary.AppendUvarint(p.raw, uint64(len(m.Subject))), m.Subject...)
	p.raw = append(binary.AppendUvarint(p.raw, uint64(len(m.Header))), m.Header...)
	p.raw = append(binary.AppendUvarint(p.raw, uint64(len(m.Data))), m.Data...)
	p.last.Sequence, p.last.Time = m.Sequence, m.Time
	b.counts[stream]++
	if len(p.raw) < partSize {
		return nil
	}
	return b.flush(stream)
}

func (b *Writer) flush(stream int) error {
	p := &b.pending[stream]
	if len(p.raw) == 0 {
		return nil
	}
	err := b.part(messagesPart, p.raw)
	p.raw = p.raw[:0]
	return err
}

// Cut writes all that was added before, and that there is a cut.
func (b *Writer) Cut(c Cut) error {
	for stream := range b.pending {
		if err := b.flush(stream); err != nil {
			return err
		}
	}
	return b.document(cutPart, c)
}

// Close ends the backup. Without it, it is one that was cut short.
func (b *Writer) Close() error {
	for stream := range b.pending {
		if err := b.flush(stream); err != nil {
			return err
		}
	}
	return b.document(trailerPart, trailer{Parts: b.parts, Messages: b.counts})
}

func (b *Writer) document(k kind, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return b.part(k, raw)
}

func (b *Writer) part(k kind, raw []byte) error {
	if len(raw) > maxPart {
		return fmt.Errorf("write the backup: a part of %d bytes is more than a reader takes", len(raw))
	}
	if most := s2.MaxEncodedLen(len(raw)); cap(b.packed) < partHeader+most {
		b.packed = make([]byte, partHeader+most)
	}
	packed := s2.Encode(b.packed[partHeader:cap(b.packed)], raw)
	whole := b.packed[:partHeader+len(packed)]
	whole[0] = byte(k)
	binary.LittleEndian.PutUint32(whole[1:], uint32(len(packed)))
	binary.LittleEndian.PutUint32(whole[5:], checksum(b.parts, k, packed))
	b.parts++
	if _, err := b.w.Write(whole); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return nil
}

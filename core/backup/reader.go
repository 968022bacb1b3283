package backup

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/klauspost/compress/s2"
)

// Index is what a backup holds, and where. Make it with Scan.
type Index struct {
	Header Header
	Cuts   []Cut // in the order of their moments
	parts  [][]place
	last   []uint64 // the sequence read last of each stream
	counts []uint64
}

// place is where a part with messages is.
type place struct {
	offset int64
	number uint64
	first  uint64 // sequence
}

// Scan reads all of a backup and checks it. The errors are those above, or of the reader.
func Scan(r io.Reader) (*Index, error) {
	s := &scanner{r: bufio.NewReaderSize(r, 1<<20)}
	if err := s.magic(); err != nil {
		return nil, err
	}
	for {
		ended, err := s.next()
		if err != nil {
			return nil, err
		}
		if ended {
			break
		}
	}
	if _, err := s.r.ReadByte(); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, fmt.Errorf("read the backup: %w", err)
		}
		return nil, damaged("there is something behind its end")
	}
	if len(s.index.Cuts) == 0 {
		return nil, damaged("there is no moment in it at which everything is known")
	}
	return &s.index, nil
}

type scanner struct {
	r      *bufio.Reader
	index  Index
	offset int64
	number uint64
	buffer []byte
	raw    []byte
}

func (s *scanner) magic() error {
	head := make([]byte, len(magic)+1)
	if _, err := io.ReadFull(s.r, head); err != nil {
		return ended(err, ErrNotABackup)
	}
	if string(head[:len(magic)]) != magic {
		return ErrNotABackup
	}
	if version := int(head[len(magic)]); version > Format {
		return fmt.Errorf("%w: its format is version %d, and this one reads up to %d", ErrNewer, version, Format)
	}
	s.offset = int64(len(head))
	return nil
}

// ended makes of an end that came too soon what it means.
func ended(err, means error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return means
	}
	return fmt.Errorf("read the backup: %w", err)
}

// next reads a part, and reports whether it was the last.
func (s *scanner) next() (last bool, err error) {
	at := s.offset
	k, raw, size, err := readPart(s.r, s.number, &s.buffer, &s.raw)
	if err != nil {
		return false, err
	}
	s.offset += size
	number := s.number
	s.number++
	if number == 0 {
		if k != headerPart {
			return false, damaged("it does not begin with a header")
		}
		return false, s.header(raw)
	}
	switch k {
	case messagesPart:
		return false, s.messages(raw, place{offset: at, number: number})
	case cutPart:
		return false, s.cut(raw)
	case trailerPart:
		return true, s.trailer(raw, number)
	default:
		return false, damaged("part %d is of no kind that there is", number)
	}
}

// readPart reads what is in one part. What it returns is good until the buffers are used again.
func readPart(r io.Reader, number uint64, buffer, unpacked *[]byte) (k kind, raw []byte, size int64, err error) {
	var head [partHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, 0, ended(err, ErrCutShort)
	}
	k = kind(head[0])
	length := int(binary.LittleEndian.Uint32(head[1:]))
	if length > s2.MaxEncodedLen(maxPart) {
		return 0, nil, 0, damaged("part %d is larger than any", number)
	}
	packed, err := readN(r, length, (*buffer)[:0])
	if err != nil {
		return 0, nil, 0, ended(err, ErrCutShort)
	}
	*buffer = packed
	if checksum(number, k, packed) != binary.LittleEndian.Uint32(head[5:]) {
		return 0, nil, 0, damaged("the checksum of part %d is another", number)
	}
	if n, err := s2.DecodedLen(packed); err != nil || n > maxPart {
		return 0, nil, 0, damaged("part %d is larger than any", number)
	}
	if raw, err = s2.Decode((*unpacked)[:cap(*unpacked)], packed); err != nil {
		return 0, nil, 0, damaged("part %d cannot be unpacked", number)
	}
	*unpacked = raw
	return k, raw, int64(partHeader + length), nil
}

// readN reads so many bytes. It takes memory as they come, not as somebody says that there are.
func readN(r io.Reader, n int, into []byte) ([]byte, error) {
	const step = 1 << 20
	for len(into) < n {
		had := len(into)
		more := min(step, n-had)
		if cap(into)-had < more {
			grown := make([]byte, had, max(2*cap(into), had+more))
			copy(grown, into)
			into = grown
		}
		into = into[:had+more]
		if _, err := io.ReadFull(r, into[had:]); err != nil {
			return into, err
		}
	}
	return into, nil
}

func (s *scanner) header(raw []byte) error {
	if err := json.Unmarshal(raw, &s.index.Header); err != nil {
		return damaged("its header cannot be read")
	}
	if h := s.index.Header; h.Schema > Schema {
		return fmt.Errorf("%w, %s: what is stored is of version %d, and this one reads up to %d", ErrNewer, h.Keyward, h.Schema, Schema)
	}
	n := len(s.index.Header.Streams)
	s.index.parts, s.index.last, s.index.counts = make([][]place, n), make([]uint64, n), make([]uint64, n)
	return nil
}

func (s *scanner) messages(raw []byte, at place) error {
	stream := -1
	err := decode(raw, func(of int, m Message) error {
		if of >= len(s.index.parts) {
			return damaged("part %d is of a stream that the header does not name", at.number)
		}
		if m.Sequence <= s.index.last[of] {
			return damaged("part %d goes back in its stream", at.number)
		}
		if stream < 0 {
			stream, at.first = of, m.Sequence
		}
		s.index.last[of] = m.Sequence
		s.index.counts[of]++
		return nil
	})
	if err != nil {
		return err
	}
	if stream >= 0 {
		s.index.parts[stream] = append(s.index.parts[stream], at)
	}
	return nil
}

func (s *scanner) cut(raw []byte) error {
	var c Cut
	if err := json.Unmarshal(raw, &c); err != nil || len(c.Streams) != len(s.index.parts) {
		return damaged("a cut cannot be read")
	}
	if n := len(s.index.Cuts); n > 0 && c.At.Before(s.index.Cuts[n-1].At) {
		return damaged("cuts are out of order")
	}
	s.index.Cuts = append(s.index.Cuts, c)
	return nil
}

func (s *scanner) trailer(raw []byte, number uint64) error {
	var t trailer
	if err := json.Unmarshal(raw, &t); err != nil || t.Parts != number || len(t.Messages) != len(s.index.counts) {
		return damaged("its trailer cannot be read, or counts other parts")
	}
	for i, n := range t.Messages {
		if n != s.index.counts[i] {
			return damaged("of %s there are %d messages, and there were %d", s.index.Header.Streams[i].Name, s.index.counts[i], n)
		}
	}
	return nil
}

// decode hands the messages of a part on. Their bytes are good until see returns.
func decode(raw []byte, see func(stream int, m Message) error) error {
	d := decoder{raw: raw}
	stream := d.number()
	if stream > 1<<20 {
		return damaged("a part is of no stream")
	}
	var m Message
	for len(d.raw) > 0 && !d.failed {
		m.Sequence += d.number()
		m.Time += d.difference()
		m.Subject = string(d.bytes())
		m.Header, m.Data = d.bytes(), d.bytes()
		if d.failed {
			break
		}
		if err := see(int(stream), m); err != nil {
			return err
		}
	}
	if d.failed {
		return damaged("a message cannot be read")
	}
	return nil
}

type decoder struct {
	raw    []byte
	failed bool
}

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.raw)
	if n <= 0 {
		d.failed = true
		return 0
	}
	d.raw = d.raw[n:]
	return v
}

func (d *decoder) difference() int64 {
	v, n := binary.Varint(d.raw)
	if n <= 0 {
		d.failed = true
		return 0
	}
	d.raw = d.raw[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.number()
	if d.failed || n > uint64(len(d.raw)) {
		d.failed = true
		return nil
	}
	got := d.raw[:n:n]
	d.raw = d.raw[n:]
	return got
}

// Stream returns the number of a stream, -1 if the backup has none of that name.
func (x *Index) Stream(name string) int {
	for i, s := range x.Header.Streams {
		if s.Name == name {
			return i
		}
	}
	return -1
}

// Count returns how many messages there are of all streams, at all cuts.
func (x *Index) Count() uint64 {
	var all uint64
	for _, n := range x.counts {
		all += n
	}
	return all
}

// errEnough ends the reading of a part.
var errEnough = errors.New("that is all")

// Messages returns the messages of a stream up to a sequence, out of the bytes that were scanned. Their bytes are good until the next.
func (x *Index) Messages(r io.ReaderAt, stream int, last uint64) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		var buffer, unpacked []byte
		for _, at := range x.parts[stream] {
			if at.first > last {
				return
			}
			part := io.NewSectionReader(r, at.offset, int64(partHeader+s2.MaxEncodedLen(maxPart)))
			_, raw, _, err := readPart(part, at.number, &buffer, &unpacked)
			if err == nil {
				err = decode(raw, func(_ int, m Message) error {
					if m.Sequence > last || !yield(m, nil) {
						return errEnough
					}
					return nil
				})
			}
			if errors.Is(err, errEnough) {
				return
			}
			if err != nil {
				yield(Message{}, err)
				return
			}
		}
	}
}

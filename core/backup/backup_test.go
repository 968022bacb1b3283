package backup_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/core/backup"
)

func header() backup.Header {
	return backup.Header{Schema: backup.Schema, Keyward: "1.2.3", Streams: []backup.Stream{{Name: "A"}, {Name: "B"}}}
}

// written returns a backup with so many messages in each of two streams, and two cuts.
func written(tb testing.TB, h backup.Header, n int) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, h)
	if err != nil {
		tb.Fatal(err)
	}
	for i := 1; i <= n; i++ {
		for stream := range h.Streams {
			if err := w.Add(stream, message(stream, i)); err != nil {
				tb.Fatal(err)
			}
		}
		if i == n/2 || i == n {
			at := time.Unix(int64(i), 0)
			cut := backup.Cut{At: at, Streams: []backup.Position{{Last: uint64(3 * i)}, {Last: uint64(3*i + 1)}}}
			if err := w.Cut(cut); err != nil {
				tb.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func message(stream, i int) backup.Message {
	return backup.Message{
		Sequence: uint64(3*i + stream), Time: int64(i) * 1e9, Subject: fmt.Sprintf("s.%d.%d", stream, i), Header: []byte("NATS/1.0\r\n\r\n"),
		Data: bytes.Repeat([]byte{byte(i)}, i%2000),
	}
}

func TestWhatIsReadIsWhatWasWritten(t *testing.T) {
	t.Parallel()
	const n = 2000
	raw := written(t, header(), n)
	index, err := backup.Scan(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if index.Count() != 2*n || len(index.Cuts) != 2 || index.Stream("B") != 1 || index.Stream("C") != -1 {
		t.Errorf("%d messages, %+v", index.Count(), index.Cuts)
	}
	for _, cut := range index.Cuts {
		for stream := range index.Header.Streams {
			i := 0
			for m, err := range index.Messages(bytes.NewReader(raw), stream, cut.Streams[stream].Last) {
				i++
				if err != nil || fmt.Sprint(m) != fmt.Sprint(message(stream, i)) {
					t.Fatalf("message %d: %v, %v", i, m, err)
				}
			}
			if want := int(cut.At.Unix()); i != want {
				t.Errorf("%d messages of stream %d, want %d", i, stream, want)
			}
		}
	}
}

func TestWhatIsNotWholeIsRefused(t *testing.T) {
	t.Parallel()
	raw := written(t, header(), 50)
	newer := header()
	newer.Schema++
	later := bytes.Clone(raw)
	later[len("KEYWARD-BACKUP\n")]++
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"nothing":                       {nil, backup.ErrNotABackup},
		"something else":                {[]byte(strings.Repeat("hello", 10)), backup.ErrNotABackup},
		"a newer format":                {later, backup.ErrNewer},
		"a newer version of the stored": {written(t, newer, 50), backup.ErrNewer},
		"more behind its end":           {append(bytes.Clone(raw), 0), backup.ErrDamaged},
	} {
		if _, err := backup.Scan(bytes.NewReader(c.raw)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	head := len("KEYWARD-BACKUP\n") + 1
	for cut := head; cut < len(raw); cut++ {
		if _, err := backup.Scan(bytes.NewReader(raw[:cut])); !errors.Is(err, backup.ErrCutShort) {
			t.Fatalf("cut at %d of %d: %v", cut, len(raw), err)
		}
	}
	for at := head; at < len(raw); at++ {
		changed := bytes.Clone(raw)
		changed[at] ^= 0x40
		if _, err := backup.Scan(bytes.NewReader(changed)); err == nil {
			t.Fatalf("a bit of byte %d was changed, and nobody noticed", at)
		}
	}
}

func FuzzScan(f *testing.F) {
	raw := written(f, header(), 20)
	f.Add(raw)
	f.Add(raw[:len(raw)-3])
	f.Add([]byte("KEYWARD-BACKUP\n\x01\x02\xff\xff\xff\xff\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		index, err := backup.Scan(bytes.NewReader(raw))
		if err != nil {
			return
		}
		var n uint64
		for stream := range index.Header.Streams {
			for _, err := range index.Messages(bytes.NewReader(raw), stream, 1<<63) {
				if err != nil {
					t.Fatalf("what was scanned cannot be read: %v", err)
				}
				n++
			}
		}
		if n > index.Count() {
			t.Errorf("%d messages of %d", n, index.Count())
		}
	})
}

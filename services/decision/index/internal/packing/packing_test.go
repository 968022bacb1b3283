package packing_test

import (
	"encoding/binary"
	"testing"

	"github.com/keyward/keyward/services/decision/index/internal/packing"
)

func FuzzWhatIsReadIsWhatWasWritten(f *testing.F) {
	f.Add(uint64(300), "a text")
	f.Add(uint64(0), "")
	f.Fuzz(func(t *testing.T, n uint64, text string) {
		r := packing.Reader{Left: packing.AppendText(binary.AppendUvarint(nil, n), text)}
		if got, said := r.Number(), r.Text(); got != n || said != text || r.Bad || len(r.Left) > 0 {
			t.Errorf("%d %q, want %d %q; %d are left", got, said, n, text, len(r.Left))
		}
		cut := packing.Reader{Left: []byte(text)}
		cut.Text()
		if cut.Bytes(1 << 40); !cut.Bad {
			t.Error("more was read than there is")
		}
	})
}

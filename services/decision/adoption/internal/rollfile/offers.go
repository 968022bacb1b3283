package rollfile

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

const (
	offerSize = 8 + 4 // bytes of an entry
	// offerMost bounds what is kept of offers in memory: about 30 MB. At 2,500 a second it spans seven minutes.
	offerMost = 1 << 20
	// answered is how long after a decision an answer to its offer may come: longer than any challenge is valid.
	answered = 30 * time.Minute
)

// offers are decisions that offered something, by the hashes of their IDs.
type offers struct {
	batches []offerBatch
	of      map[uint64]uint32
}

// offerBatch is what was taken up at once.
type offerBatch struct {
	id, ms  int64
	entries []byte
}

func newOffers() *offers { return &offers{of: map[uint64]uint32{}} }

func (b *offerBatch) add(key uint64, combination uint32) {
	b.entries = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(b.entries, key), combination)
}

func (b *offerBatch) keys(visit func(key uint64, combination uint32)) {
	for raw := b.entries; len(raw) >= offerSize; raw = raw[offerSize:] {
		visit(binary.LittleEndian.Uint64(raw), binary.LittleEndian.Uint32(raw[8:]))
	}
}

// put adds a batch, the newest.
func (o *offers) put(b offerBatch) {
	o.batches = append(o.batches, b)
	b.keys(func(key uint64, combination uint32) { o.of[key] = combination })
}

// drop takes out what is older than a moment, or too much, and returns the ID of the last batch that went; 0 = none.
func (o *offers) drop(before int64) (last int64) {
	for len(o.batches) > 1 && (o.batches[0].ms < before || len(o.of) > offerMost) {
		o.batches[0].keys(func(key uint64, _ uint32) { delete(o.of, key) })
		last = o.batches[0].id
		o.batches = o.batches[1:]
	}
	return last
}

// hashed is what IDs are kept as.
func hashed(texts ...string) int64 {
	h := sha256.New()
	for _, text := range texts {
		_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(text))))
		_, _ = h.Write([]byte(text))
	}
	return int64(binary.LittleEndian.Uint64(h.Sum(nil)))
}

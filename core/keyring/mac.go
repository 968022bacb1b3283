package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// MAC computes HMAC-SHA256 (RFC 2104) with one key. It keeps what it has made of the key, which costs more than a short message does. It is
// safe for concurrent use.
type MAC struct{ states sync.Pool }

// state is what one message at a time is computed with.
type state struct {
	hash hash.Hash
	sum  [sha256.Size]byte
}

func newMAC(key []byte) *MAC {
	return &MAC{sync.Pool{New: func() any { return &state{hash: hmac.New(sha256.New, key)} }}}
}

// Sum returns the code of a message. The message is not kept.
func (m *MAC) Sum(message []byte) [sha256.Size]byte {
	s := m.states.Get().(*state) //nolint:forcetypeassert // nothing else is put there
	defer m.states.Put(s)
	s.hash.Reset()
	s.hash.Write(message)
	s.hash.Sum(s.sum[:0])
	return s.sum
}

// Package memo remembers answers by the bytes of what they depend on. It holds a bounded number of them in memory and touches nothing else.
//
// What a key stands for is the caller's business: equal keys must have equal answers. A Memo is safe for concurrent use, and what it has
// remembered it may forget at any time.
package memo

import (
	"unsafe"

	"github.com/maypok86/otter/v2"
)

// Memo maps keys to answers. A nil Memo remembers nothing.
type Memo struct {
	cache *otter.Cache[string, any]
}

// New returns a memo for at most so many entries; 0 or less gives nil. It calls evicted, which may be nil, for each entry that makes room
// for another.
func New(entries int, evicted func()) *Memo {
	if entries <= 0 {
		return nil
	}
	options := options()
	options.MaximumSize = entries
	if evicted != nil {
		options.OnAtomicDeletion = func(e otter.DeletionEvent[string, any]) {
			if e.WasEvicted() {
				evicted()
			}
		}
	}
	return &Memo{cache: otter.Must(options)}
}

// NewBytes returns a memo whose keys and answers take at most so many bytes together, each answer so many.
func NewBytes(most, answer int) *Memo {
	options := options()
	options.MaximumWeight = uint64(max(0, most))
	options.Weigher = func(key string, _ any) uint32 { return uint32(min(len(key)+answer, most)) }
	return &Memo{cache: otter.Must(options)}
}

// options are those of every memo. Upkeep is short and done by whoever finds it due, so that no goroutine outlives it.
func options() *otter.Options[string, any] {
	return &otter.Options[string, any]{Executor: func(upkeep func()) { upkeep() }}
}

// Get returns the answer of the key, or nil. The key is not kept.
func (m *Memo) Get(key []byte) any {
	if m == nil {
		return nil
	}
	// The look-up only reads the key, so its bytes need not be copied.
	answer, _ := m.cache.GetIfPresent(unsafe.String(unsafe.SliceData(key), len(key))) //nolint:gosec // the string does not outlive the call
	return answer
}

// Put remembers the answer of the key, of which it takes a copy.
func (m *Memo) Put(key []byte, answer any) {
	if m != nil {
		m.cache.Set(string(key), answer)
	}
}

// Len returns how many entries there are.
func (m *Memo) Len() int {
	if m == nil {
		return 0
	}
	m.cache.CleanUp()
	return m.cache.EstimatedSize()
}

package memo_test

import (
	"encoding/binary"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/keyward/keyward/services/decision/internal/memo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAnAnswerIsFoundByItsKeyAlone(t *testing.T) {
	t.Parallel()
	m := memo.New(10, nil)
	key := []byte("first")
	m.Put(key, 1)
	// The caller goes on using the bytes.
	copy(key, "other")
	if got := m.Get([]byte("first")); got != 1 {
		t.Errorf("got %v", got)
	}
	if got := m.Get(key); got != nil {
		t.Errorf("a key that was never put has %v", got)
	}
	if got := m.Get(nil); got != nil {
		t.Errorf("the empty key has %v", got)
	}
	m.Put(nil, 2)
	if got := m.Get([]byte{}); got != 2 {
		t.Errorf("the empty key has %v, not what was put", got)
	}
}

func TestWithoutRoomNothingIsRemembered(t *testing.T) {
	t.Parallel()
	for _, entries := range []int{0, -1} {
		m := memo.New(entries, nil)
		m.Put([]byte("key"), 1)
		if m.Get([]byte("key")) != nil || m.Len() != 0 {
			t.Errorf("a memo for %d entries remembers", entries)
		}
	}
}

func TestCallersAtOnceFindTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	const room, callers, rounds = 64, 8, 2000
	evicted := 0
	var counting sync.Mutex
	m := memo.New(room, func() { counting.Lock(); defer counting.Unlock(); evicted++ })
	var running sync.WaitGroup
	for caller := range callers {
		running.Go(func() {
			for i := range rounds {
				n := uint64(i*caller) % (4 * room)
				key := binary.BigEndian.AppendUint64(nil, n)
				if found := m.Get(key); found != nil && found != n {
					t.Errorf("%d has the answer %v", n, found)
				}
				m.Put(key, n)
			}
		})
	}
	running.Wait()
	if n := m.Len(); n > room {
		t.Errorf("%d entries in room for %d", n, room)
	}
	counting.Lock()
	defer counting.Unlock()
	if evicted == 0 {
		t.Error("nothing made room")
	}
}

func BenchmarkGet(b *testing.B) {
	m := memo.New(10_000, nil)
	key := make([]byte, 64)
	m.Put(key, 1)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if m.Get(key) == nil {
				b.Fatal("lost")
			}
		}
	})
}

func TestWhatIsRememberedTakesNoMoreBytesThanThereAre(t *testing.T) {
	t.Parallel()
	const most, answer, key = 10_000, 92, 8
	m := memo.NewBytes(most, answer)
	for i := range 1000 {
		m.Put(binary.BigEndian.AppendUint64(nil, uint64(i)), i)
	}
	if n := m.Len(); n == 0 || n > most/(answer+key) {
		t.Errorf("%d answers are remembered, of %d bytes each", n, answer+key)
	}
	m.Put(make([]byte, 2*most), "what has no room")
	if n := m.Len(); n > most/(answer+key) {
		t.Errorf("%d answers are remembered", n)
	}
}

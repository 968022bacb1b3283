package cache

import (
	"container/list"
	"sync"
)

// What the embedded server takes beside the bytes of keys, fields and values: measured with histories of 1 to 100 events.
const (
	perKey   = 1100
	perField = 96
)

// LeastBytes is the smallest bound of the embedded server.
const LeastBytes = 1 << 20

// ledger keeps the embedded server within a bound, as a Redis with maxmemory and allkeys-lru does, which the server itself cannot: when
// there is more, what was asked for least lately goes. It reads the commands before they are executed, and counts a field that is set again
// a second time, until its key goes.
type ledger struct {
	most   int64
	exists func(key string) bool
	remove func(key string) bool

	mu    sync.Mutex
	taken int64
	order *list.List // of *entry; the one that was asked for last is in front
	keys  map[string]*list.Element
}

type entry struct {
	key   string
	bytes int64
}

func newLedger(most int64, exists, remove func(string) bool) *ledger {
	return &ledger{most: most, exists: exists, remove: remove, order: list.New(), keys: make(map[string]*list.Element)}
}

// note takes a command into account.
func (l *ledger) note(command string, args []string) {
	if len(args) == 0 {
		return
	}
	switch command {
	case "HSET", "SET":
		l.add(args[0], args[1:])
	case "DEL", "UNLINK":
		for _, key := range args {
			l.drop(key)
		}
	default:
		l.touch(args[0])
	}
}

// add counts what is written under a key.
func (l *ledger) add(key string, written []string) {
	var bytes int64
	for _, text := range written {
		bytes += int64(len(text)) + perField/2 // a field is a name and a value
	}
	expired := !l.exists(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.keys[key]
	if known != nil && expired {
		l.forget(known)
		known = nil
	}
	if known == nil {
		known = l.order.PushFront(&entry{key: key})
		l.keys[key] = known
		bytes += int64(len(key)) + perKey
	}
	l.order.MoveToFront(known)
	known.Value.(*entry).bytes += bytes //nolint:forcetypeassert // nothing else is in it
	l.taken += bytes
	for l.taken > l.most && l.order.Len() > 1 { // what is just being written stays
		least := l.order.Back()
		l.remove(least.Value.(*entry).key) //nolint:forcetypeassert // nothing else is in it
		l.forget(least)
	}
}

// touch notes that a key was asked for.
func (l *ledger) touch(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.keys[key]; known != nil {
		l.order.MoveToFront(known)
	}
}

func (l *ledger) drop(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.keys[key]; known != nil {
		l.forget(known)
	}
}

// forget takes a key out of the account. The lock is held.
func (l *ledger) forget(known *list.Element) {
	e := l.order.Remove(known).(*entry) //nolint:forcetypeassert // nothing else is in it
	delete(l.keys, e.key)
	l.taken -= e.bytes
}

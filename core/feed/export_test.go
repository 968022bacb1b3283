package feed

import "time"

// Shrink makes the ring hold that many messages only. Call it before Run.
func (f *Feed) Shrink(messages int) { f.ring = newRing(messages, ringBytes) }

// Linger says how long the consumer outlives the last subscriber. Call it before Run.
func (f *Feed) Linger(d time.Duration) { f.linger = d }

// Held returns how many messages and bytes of data the ring holds.
func (f *Feed) Held() (messages, bytes int) {
	f.ring.mu.RLock()
	defer f.ring.mu.RUnlock()
	return f.ring.n, f.ring.bytes
}

// Live reports whether the stream is being followed.
func (f *Feed) Live() bool {
	_, live := f.ring.mark()
	return live
}

package cache

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipe returns the two ends of a connection within the process. Unlike those of net.Pipe they hold what is written until it is read, as a
// socket does, since client and server both write while the other still does. The client bounds what it writes by reading the answers.
func pipe() (client, server net.Conn) {
	requests, answers := newStream(), newStream()
	return &end{in: answers, out: requests}, &end{in: requests, out: answers}
}

// maxKept is the largest buffer, in bytes, that a connection keeps when it is empty.
const maxKept = 64 << 10

// stream is one direction.
type stream struct {
	mu     sync.Mutex
	more   sync.Cond // on mu: bytes came, or it was closed, or the deadline came or changed
	bytes  []byte    // from read on they wait to be read
	read   int
	closed bool

	deadline time.Time // of reading; zero = none
	timer    *time.Timer
}

func newStream() *stream {
	s := &stream{}
	s.more.L = &s.mu
	return s
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, io.ErrClosedPipe
	}
	s.bytes = append(s.bytes, p...)
	s.more.Signal()
	return len(p), nil
}

func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.read == len(s.bytes) {
		if s.closed {
			return 0, io.EOF
		}
		if !s.deadline.IsZero() && !time.Now().Before(s.deadline) {
			return 0, os.ErrDeadlineExceeded
		}
		s.more.Wait()
	}
	n := copy(p, s.bytes[s.read:])
	s.read += n
	if s.read == len(s.bytes) {
		s.bytes, s.read = s.bytes[:0], 0
		if cap(s.bytes) > maxKept {
			s.bytes = nil
		}
	}
	return n, nil
}

func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	s.more.Broadcast()
}

// setDeadline leaves a timer that runs alone if it would end too early only: clients move the deadline on with every command.
func (s *stream) setDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	earlier := s.deadline.IsZero() || t.Before(s.deadline)
	s.deadline = t
	switch {
	case t.IsZero() || s.closed:
	case s.timer == nil:
		s.timer = time.AfterFunc(time.Until(t), s.due)
	case earlier:
		s.timer.Reset(time.Until(t))
	}
	s.more.Broadcast()
}

// due wakes the reader at the deadline, and sets the timer anew if that was moved on meanwhile.
func (s *stream) due() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deadline.IsZero() || s.closed {
		return
	}
	if left := time.Until(s.deadline); left > 0 {
		s.timer.Reset(left)
		return
	}
	s.more.Broadcast()
}

// end is one end of a pipe.
type end struct{ in, out *stream }

var _ net.Conn = (*end)(nil)

func (e *end) Read(p []byte) (int, error)  { return e.in.Read(p) }
func (e *end) Write(p []byte) (int, error) { return e.out.Write(p) }

// Close ends both directions, for both ends.
func (e *end) Close() error {
	e.in.close()
	e.out.close()
	return nil
}

func (e *end) LocalAddr() net.Addr  { return pipeAddr{} }
func (e *end) RemoteAddr() net.Addr { return pipeAddr{} }

func (e *end) SetDeadline(t time.Time) error {
	e.in.setDeadline(t)
	return nil
}

func (e *end) SetReadDeadline(t time.Time) error { return e.SetDeadline(t) }

// SetWriteDeadline does nothing, since a write never waits.
func (e *end) SetWriteDeadline(time.Time) error { return nil }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// Package connection bounds the connections that the gateway has open: in all and from one address. What is beyond is closed at once,
// before anything of it is read. A listener of it goes on when the process has run out of files for a moment.
//
// It also closes connections so that their clients see the last answer: one that is closed while its client still sends is reset by the
// kernel, and the answer may be lost with it. It knows sockets, and nothing of what is said over them.
package connection

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Limits are how many connections may be open at once. Zero is no limit.
type Limits struct {
	Total      int
	PerAddress int
	Exempt     []netip.Prefix // peers that stand for many, to which PerAddress does not apply
}

// MostByFiles returns how many connections leave a quarter of the files that the process may open to all else.
func MostByFiles() int {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return 0
	}
	return int(min(files.Cur, 1<<20)) / 4 * 3
}

// Count is what the listeners of a gateway share. Make it with NewCount.
type Count struct {
	limits  Limits
	refused func() // told of each connection that is closed for want of a place

	mu      sync.Mutex
	open    int
	perPeer map[netip.Addr]int
}

// NewCount returns a count of no connections. refused may be nil.
func NewCount(limits Limits, refused func()) *Count {
	if refused == nil {
		refused = func() {}
	}
	return &Count{limits: limits, refused: refused, perPeer: map[netip.Addr]int{}}
}

// Open returns how many connections are open.
func (c *Count) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// Listen returns a listener whose connections are counted. Closing it closes inner.
func (c *Count) Listen(inner net.Listener) net.Listener {
	return &listener{Listener: inner, count: c, closed: make(chan struct{})}
}

// take reports whether there is a place for one more connection from an address.
func (c *Count) take(peer netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limits.Total > 0 && c.open >= c.limits.Total {
		return false
	}
	if c.limits.PerAddress > 0 && c.perPeer[peer] >= c.limits.PerAddress && !c.exempt(peer) {
		return false
	}
	c.open++
	c.perPeer[peer]++
	return true
}

func (c *Count) exempt(peer netip.Addr) bool {
	for _, prefix := range c.limits.Exempt {
		if prefix.Contains(peer) {
			return true
		}
	}
	return false
}

func (c *Count) giveBack(peer netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.perPeer[peer]--; c.perPeer[peer] <= 0 {
		delete(c.perPeer, peer)
	}
}

type listener struct {
	net.Listener
	count  *Count
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener. A connection beyond the limits is closed, and want of files waited for: neither ends the listener.
func (l *listener) Accept() (net.Conn, error) {
	for pause := time.Duration(0); ; {
		conn, err := l.Listener.Accept()
		switch {
		case err == nil:
		case passing(err):
			pause = min(max(2*pause, minPause), maxPause)
			if !l.wait(pause) {
				return nil, net.ErrClosed
			}
			continue
		default:
			return nil, err
		}
		peer := peerOf(conn)
		if l.count.take(peer) {
			return &Conn{Conn: conn, count: l.count, peer: peer}, nil
		}
		_ = conn.Close() // its peer sees that, and there is nobody else to tell
		l.count.refused()
	}
}

const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

// wait returns false if the listener was closed meanwhile.
func (l *listener) wait(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.closed:
		return false
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// passing reports whether accepting may go well in a moment: the process or the machine has no file or memory left for a connection, or its
// client was gone before it was taken.
func passing(err error) bool {
	for _, e := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR, syscall.EPROTO,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// peerOf returns the address that a place is taken for: of IPv6 the network of 64 bits, which one subscriber has whole.
func peerOf(conn net.Conn) netip.Addr {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	address := tcp.AddrPort().Addr().Unmap().WithZone("")
	if address.Is6() {
		return netip.PrefixFrom(address, 64).Masked().Addr()
	}
	return address
}

// Conn is a connection that has a place.
type Conn struct {
	net.Conn
	count  *Count
	peer   netip.Addr
	once   sync.Once
	linger atomic.Bool
}

// What is still taken of a client that sends on after its last answer, and how long it may take for that: enough to read the answer.
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 8 << 20
)

// Linger has the connection closed slowly: its client is let finish what it sends, of which nothing is kept, so that it gets to see the
// answer.
func (c *Conn) Linger() { c.linger.Store(true) }

// Close implements net.Conn.
func (c *Conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		if c.linger.Load() {
			c.takeRest()
		}
		err = c.Conn.Close()
		c.count.giveBack(c.peer)
	})
	return err
}

func (c *Conn) takeRest() {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if c.Conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes) // whether it ends or not, the connection is closed
	}
}

// Linger has conn closed slowly if it is, or wraps, one that was counted.
func Linger(conn net.Conn) {
	for {
		switch c := conn.(type) {
		case *Conn:
			c.Linger()
			return
		case interface{ NetConn() net.Conn }: // of TLS
			conn = c.NetConn()
		default:
			return
		}
	}
}

package framing

import (
	"bytes"
	"net"

	"github.com/keyward/keyward/services/gateway/internal/connection"
)

// Legible returns a listener for net/http whose refusals of heads that it could not read pages may read, too. net/http writes them past
// every handler, and of which page such a request is nobody knows: a refusal tells nothing but that.
func Legible(inner net.Listener) net.Listener { return legibleListener{inner} }

type legibleListener struct{ net.Listener }

// Accept implements net.Listener.
func (l legibleListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return legibleConn{conn}, nil
}

type legibleConn struct{ net.Conn }

// NetConn returns what is written to.
func (c legibleConn) NetConn() net.Conn { return c.Conn }

// unhandled is all that is in the head of a refusal by net/http itself, which writes it at once. An answer of a handler has a date.
const unhandled = "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// Write implements net.Conn.
func (c legibleConn) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(p, []byte("HTTP/1.1 ")) {
		return c.Conn.Write(p)
	}
	line, rest, _ := bytes.Cut(p, []byte("\r\n"))
	if !bytes.HasPrefix(rest, []byte(unhandled)) {
		return c.Conn.Write(p)
	}
	connection.Linger(c.Conn) // its client may still be sending
	allowed := []byte("\r\nAccess-Control-Allow-Origin: *\r\n")
	if _, err := c.Conn.Write(bytes.Join([][]byte{line, rest}, allowed)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Package framing reads along what clients say in HTTP/1 and ends a connection at the first line that another reader on the way may have
// taken for something else: then two of them would see different requests (RFC 9112 section 11.2). It is stricter than the servers behind
// it, which take lines that end in LF alone, lines that go on on the next, or two framings of one body.
//
// It promises that no head and no chunk reaches the server that can be read in two ways, and that all else passes unchanged, as it comes.
// It keeps no more than a line. What net/http says of a head that it cannot read, Legible lets pages read. The package touches the
// connections that it is given, and knows nothing of what requests are for.
package framing

import (
	"bytes"
	"errors"
	"net"

	"github.com/keyward/keyward/services/gateway/internal/connection"
)

// ErrAmbiguous ends the reading of a connection.
var ErrAmbiguous = errors.New("the request can be read in two ways")

// Config says what is taken.
type Config struct {
	LineLimit int  // bytes of a line; the server behind should have refused a head of that length
	HTTP2     bool // a connection that begins as HTTP/2 does is let pass: its frames leave no doubt
}

// Listen returns a listener whose connections are read along. Closing it closes inner.
func Listen(inner net.Listener, cfg Config) net.Listener { return listener{inner, cfg} }

type listener struct {
	net.Listener
	cfg Config
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: conn, reader: reader{cfg: l.cfg}}, nil
}

// Conn is a connection that is read along. Reading is for one goroutine at a time.
type Conn struct {
	net.Conn
	reader reader
	ended  bool
}

// NetConn returns what the connection is read from.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Read implements net.Conn. What comes before the end of a line that can be read in two ways is still returned, so that the server has
// begun a request and refuses it; the end never comes.
func (c *Conn) Read(p []byte) (int, error) {
	if c.ended {
		return 0, ErrAmbiguous
	}
	n, err := c.Conn.Read(p)
	plain := c.reader.follow(p[:n])
	if plain == n {
		return n, err
	}
	c.ended = true
	connection.Linger(c.Conn) // so that its client sees the refusal
	if plain == 0 {
		return 0, ErrAmbiguous
	}
	return plain, nil
}

// reader follows requests from line to line.
type reader struct {
	cfg     Config
	expects func(*reader, []byte) bool // takes a line without its end; nil: that of a request
	skip    int64                      // bytes that are no lines, before the next one
	opaque  bool                       // nothing of the rest is looked at
	line    []byte                     // what has come of a line
	head    head
}

// follow returns how much of p may pass: all of it, or what is before the end of the line that may not.
func (r *reader) follow(p []byte) int {
	for rest := p; len(rest) > 0; {
		if r.opaque {
			return len(p)
		}
		if r.skip > 0 {
			passed := min(r.skip, int64(len(rest)))
			r.skip -= passed
			rest = rest[passed:]
			continue
		}
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			r.line = append(r.line, rest...)
			if len(r.line) > r.cfg.LineLimit {
				return len(p) - 1
			}
			return len(p)
		}
		line := rest[:end]
		if len(r.line) > 0 {
			r.line = append(r.line, line...)
			line = r.line
		}
		if !r.take(line) {
			return len(p) - len(rest) + end
		}
		r.line = r.line[:0]
		rest = rest[end+1:]
	}
	return len(p)
}

// take takes a line that ended in LF.
func (r *reader) take(line []byte) bool {
	line, whole := bytes.CutSuffix(line, []byte("\r"))
	if !whole || !isText(line) {
		return false
	}
	if r.expects == nil {
		return r.takeRequest(line)
	}
	return r.expects(r, line)
}

// isText refuses what no line may have in it: control characters but the tab (RFC 9110 section 5.5), a CR alone among them.
func isText(line []byte) bool {
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// takeRequest takes a request line (RFC 9112 section 3), and empty lines before it (2.2).
func (r *reader) takeRequest(line []byte) bool {
	if len(line) == 0 {
		return true
	}
	if r.cfg.HTTP2 && string(line) == "PRI * HTTP/2.0" {
		r.opaque = true
		return true
	}
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, _ := bytes.Cut(rest, []byte(" "))
	if !isToken(method) || len(target) == 0 || string(version) != "HTTP/1.1" && string(version) != "HTTP/1.0" {
		return false
	}
	r.head = head{target: append(r.head.target[:0], target...), host: r.head.host[:0], old: version[len(version)-1] == '0', length: -1}
	r.expects = (*reader).takeField
	return true
}

// takeField takes a line of the head, and at its end what it says of the body.
func (r *reader) takeField(line []byte) bool {
	if len(line) > 0 {
		return r.head.add(line)
	}
	if !r.head.plain() {
		return false
	}
	r.expects = nil
	switch {
	case r.head.chunked:
		r.expects = (*reader).takeSize
	case r.head.length > 0:
		r.skip = r.head.length
	}
	return true
}

// takeSize takes the line before a chunk (RFC 9112 section 7.1).
func (r *reader) takeSize(line []byte) bool {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	size, ok := number(digits, 16, 15)
	if !ok {
		return false
	}
	if size == 0 {
		r.expects = (*reader).takeTrailer
		return true
	}
	r.skip, r.expects = size, (*reader).takeChunkEnd
	return true
}

func (r *reader) takeChunkEnd(line []byte) bool {
	r.expects = (*reader).takeSize
	return len(line) == 0
}

func (r *reader) takeTrailer(line []byte) bool {
	if len(line) == 0 {
		r.expects = nil
		return true
	}
	name, _, ok := bytes.Cut(line, []byte(":"))
	return ok && isToken(name)
}

package framing

import (
	"bytes"
	"strings"
)

// head is what the fields of a request say of where it ends and whom it is for.
type head struct {
	target  []byte
	old     bool // HTTP/1.0
	hosts   int
	host    []byte
	length  int64 // -1: none is said
	chunked bool
}

// add takes a field. A line that begins with a blank would go on the one before (RFC 9112 section 5.2), and has no name that is a token.
func (h *head) add(line []byte) bool {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || !isToken(name) {
		return false
	}
	value = bytes.Trim(value, " \t")
	switch {
	case is(name, "content-length"):
		length, ok := number(value, 10, 18)
		if !ok || h.length >= 0 {
			return false
		}
		h.length = length
	case is(name, "transfer-encoding"):
		// No coding but this is understood (section 6.1), and twice it would mean twice.
		if h.chunked || !is(value, "chunked") {
			return false
		}
		h.chunked = true
	case is(name, "host"):
		h.hosts++
		h.host = append(h.host[:0], value...)
	}
	return true
}

// plain reports whether the whole head can be read in one way only: by one framing (section 6.3), for one host (3.2).
func (h *head) plain() bool {
	if h.chunked && (h.length >= 0 || h.old) {
		return false
	}
	if h.hosts > 1 || h.hosts == 0 && !h.old {
		return false
	}
	return isHost(h.host) && !anotherHost(h.target, h.host)
}

// is compares a text with one in lower case.
func is(text []byte, lower string) bool {
	return len(text) == len(lower) && strings.EqualFold(string(text), lower)
}

// number reads digits and nothing else: no sign, no blank, no more than most of them.
func number(digits []byte, base, most int) (int64, bool) {
	if len(digits) == 0 || len(digits) > most {
		return 0, false
	}
	var n int64
	for _, c := range digits {
		digit := strings.IndexByte("0123456789abcdef", c)
		if 'A' <= c && c <= 'F' {
			digit = int(c-'A') + 10
		}
		if digit < 0 || digit >= base {
			return 0, false
		}
		n = n*int64(base) + int64(digit)
	}
	return n, true
}

func isToken(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return len(name) > 0
}

// isHost takes a name or address with or without a port (RFC 9110 section 7.2), and none, which HTTP/1.0 may have.
func isHost(host []byte) bool {
	name := host
	if colon := bytes.LastIndexByte(host, ':'); colon > bytes.LastIndexByte(host, ']') {
		if bytes.ContainsFunc(host[colon+1:], func(c rune) bool { return c < '0' || c > '9' }) {
			return false
		}
		name = host[:colon]
	}
	for _, c := range name {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c >= 0x80
		if !letter && strings.IndexByte("-._~%!$&'()*+,;=:[]", c) < 0 {
			return false
		}
	}
	return true
}

// anotherHost reports whether a target in absolute form (RFC 9112 section 3.2.2) names another host than the header.
func anotherHost(target, host []byte) bool {
	_, after, absolute := bytes.Cut(target, []byte("://"))
	if !absolute || target[0] == '/' {
		return false
	}
	if end := bytes.IndexAny(after, "/?#"); end >= 0 {
		after = after[:end]
	}
	return len(host) > 0 && !bytes.EqualFold(after, host)
}

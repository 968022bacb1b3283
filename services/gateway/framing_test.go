package gateway_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// exchangeRaw sends what is given over one connection, and returns the answers until the server closes it or is silent. closed reports
// which.
func (s *server) exchangeRaw(sent string) (statuses []int, closed bool) {
	s.t.Helper()
	return s.exchangeRawAt(s.gateway.Addr(), sent)
}

func (s *server) exchangeRawAt(address, sent string) (statuses []int, closed bool) {
	s.t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, sent); err != nil {
		s.t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	for {
		rsp, err := http.ReadResponse(reader, nil)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return statuses, false
			}
			return statuses, true
		}
		_, _ = io.Copy(io.Discard, rsp.Body)
		rsp.Body.Close()
		statuses = append(statuses, rsp.StatusCode)
	}
}

// Two readers of one connection must not see two different requests (RFC 9112 sections 2.2, 3.2, 5.1, 5.2, 6.1 and 6.3; RFC 9110 section
// 5.5). What can be read in two ways is refused, and the connection closed, so that what follows is read as no request.
func TestAHeadThatCanBeReadInTwoWaysIsRefusedAndItsConnectionClosed(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	login := "Authorization: " + basic("pro-1", secretA)["Authorization"] + "\r\n"
	hidden := "GET /v2/users HTTP/1.1\r\nHost: a\r\n" + login + "Connection: close\r\n\r\n"
	const post, host = "POST /v2/users HTTP/1.1\r\n", "Host: a\r\n"
	for _, tc := range []struct{ name, head string }{
		{"two lengths that differ", post + host + "Content-Length: 19\r\nContent-Length: 5\r\n\r\n{\"status\":\"active\"}"},
		{"a list of lengths that differ", post + host + "Content-Length: 19, 5\r\n\r\n{\"status\":\"active\"}"},
		{"the same length twice", post + host + "Content-Length: 19\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a length with a sign", post + host + "Content-Length: +19\r\n\r\n{\"status\":\"active\"}"},
		{"a length that is negative", post + host + "Content-Length: -19\r\n\r\n{\"status\":\"active\"}"},
		{"a length in hexadecimal", post + host + "Content-Length: 0x13\r\n\r\n{\"status\":\"active\"}"},
		{"a length beyond 64 bits", post + host + "Content-Length: 18446744073709551635\r\n\r\n{\"status\":\"active\"}"},
		{"an empty length", post + host + "Content-Length:\r\n\r\n{\"status\":\"active\"}"},
		{"a length with a space inside", post + host + "Content-Length: 1 9\r\n\r\n{\"status\":\"active\"}"},
		{
			"a length and chunks",
			post + host + "Content-Length: 19\r\nTransfer-Encoding: chunked\r\n\r\n13\r\n{\"status\":\"active\"}\r\n0\r\n\r\n",
		},
		{
			"chunks and a length",
			post + host + "Transfer-Encoding: chunked\r\nContent-Length: 19\r\n\r\n13\r\n{\"status\":\"active\"}\r\n0\r\n\r\n",
		},
		{"chunks under another coding", post + host + "Transfer-Encoding: gzip, chunked\r\n\r\n13\r\n{\"status\":\"active\"}\r\n0\r\n\r\n"},
		{"chunks that are not last", post + host + "Transfer-Encoding: chunked, gzip\r\n\r\n13\r\n{\"status\":\"active\"}\r\n0\r\n\r\n"},
		{
			"chunks twice",
			post + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n13\r\n{\"status\":\"active\"}\r\n0\r\n\r\n",
		},
		{"chunks twice in a list", post + host + "Transfer-Encoding: chunked, chunked\r\n\r\n13\r\n{\"status\":\"active\"}\r\n0\r\n\r\n"},
		{"a coding that nobody knows", post + host + "Transfer-Encoding: xchunked\r\n\r\n13\r\n{\"status\":\"active\"}\r\n0\r\n\r\n"},
		{"the coding identity", post + host + "Transfer-Encoding: identity\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"the coding identity without a length", post + host + "Transfer-Encoding: identity\r\n\r\n"},
		{"a request line that ends in LF alone", "POST /v2/users HTTP/1.1\nHost: a\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"an empty line of LF alone before the request", "\n" + post + host + "Content-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a version of three that there is not", "POST /v2/users HTTP/3.7\r\n" + host + "Content-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a version before the first", "POST /v2/users HTTP/0.9\r\n" + host + "Content-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a host whose port is none", post + "Host: a:b\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a chunk with a blank behind its size", post + host + "Transfer-Encoding: chunked\r\n\r\n13 \r\n{\"status\":\"active\"}\r\n0\r\n\r\n"},
		{"an empty coding", post + host + "Transfer-Encoding:\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{
			"a coding in HTTP/1.0",
			"POST /v2/users HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n13\r\n{\"status\":\"active\"}\r\n0\r\n\r\n",
		},
		{"a coding after a vertical tab", post + host + "Transfer-Encoding: \vchunked\r\n\r\n13\r\n{\"status\":\"active\"}\r\n0\r\n\r\n"},
		{"a space before the colon", post + host + "Content-Length : 19\r\n\r\n{\"status\":\"active\"}"},
		{"a tab before the colon", post + host + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"},
		{"a space before the first field", post + " X: y\r\n" + host + "Content-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a line that goes on", post + host + "X-A: b\r\n c\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a line that goes on by a tab", post + host + "X-A: b\r\n\tc\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a coding on a line that goes on", post + host + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"},
		{"lines that end in LF alone", "POST /v2/users HTTP/1.1\nHost: a\nContent-Length: 19\n\n{\"status\":\"active\"}"},
		{"one line that ends in LF alone", post + "Host: a\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"an empty line of LF alone", post + host + "Content-Length: 19\r\n\n{\"status\":\"active\"}"},
		{"a CR alone in a value", post + host + "X-A: b\rContent-Length: 5\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"no host", post + "Content-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"two hosts", post + host + "Host: b\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"the same host twice", post + host + host + "Content-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a host with a path", post + "Host: a/b\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a host with user information", post + "Host: me@a\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a host with a space", post + "Host: a b\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"another host in the target", "POST http://b/v2/users HTTP/1.1\r\n" + host + "Content-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"NUL in a value", post + host + "X-A: b\x00c\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"another control character in a value", post + host + "X-A: b\x01c\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"NUL in a name", post + host + "X\x00A: b\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a name with a space", post + host + "X A: b\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a name beyond ASCII", post + host + "X\xc3\xa4: b\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"no name", post + host + ": b\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a line without a colon", post + host + "hello\r\nContent-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"two spaces in the request line", "POST  /v2/users HTTP/1.1\r\n" + host + "Content-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a space in the target", "POST /v2/us ers HTTP/1.1\r\n" + host + "Content-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a tab in the request line", "POST\t/v2/users HTTP/1.1\r\n" + host + "Content-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"no version", "POST /v2/users\r\n" + host + "Content-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a version that there is not", "POST /v2/users HTTP/1.2\r\n" + host + "Content-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"HTTP/2 in words", "POST /v2/users HTTP/2.0\r\n" + host + "Content-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{"a chunk of no length", post + host + "Transfer-Encoding: chunked\r\n\r\n\r\n{\"status\":\"active\"}\r\n0\r\n\r\n"},
		{"a chunk with a sign", post + host + "Transfer-Encoding: chunked\r\n\r\n+13\r\n{\"status\":\"active\"}\r\n0\r\n\r\n"},
		{"a chunk in a form of programmers", post + host + "Transfer-Encoding: chunked\r\n\r\n0x13\r\n{\"status\":\"active\"}\r\n0\r\n\r\n"},
		{"a chunk that ends in LF", post + host + "Transfer-Encoding: chunked\r\n\r\n13\n{\"status\":\"active\"}\r\n0\r\n\r\n"},
		{"a chunk that is longer than it says", post + host + "Transfer-Encoding: chunked\r\n\r\n13\r\n{\"status\":\"active\"}}\r\n0\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			head := strings.Replace(tc.head, "\r\n", "\r\n"+login, 1)
			if !strings.Contains(tc.head, "\r\nHost") {
				head = tc.head
			}
			statuses, closed := s.exchangeRaw(head + hidden)
			if len(statuses) != 1 || statuses[0] < 400 || statuses[0] >= 500 || !closed {
				t.Errorf("got %v, closed: %v", statuses, closed)
			}
		})
	}
}

// The port of gRPC speaks HTTP/1.1 too, by another server.
func TestTheGRPCPortRefusesWhatCanBeReadInTwoWaysAndCloses(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	const hidden = "POST /v2/users/usr-1/passkeys/_search HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
	if statuses, _ := s.exchangeRawAt(
		s.gateway.GRPCAddr(), strings.Replace(hidden, "Connection: close\r\n", "", 1)+hidden,
	); len(
		statuses,
	) != 2 {
		t.Fatalf("two plain requests are answered with %v", statuses)
	}
	const post = "POST /v2/users/usr-1/passkeys/_search HTTP/1.1\r\n"
	for name, head := range map[string]string{
		"a length and chunks":    post + "Host: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"a line that goes on":    post + "Host: a\r\nX: b\r\n c\r\nContent-Length: 2\r\n\r\n{}",
		"lines of LF alone":      strings.ReplaceAll(post+"Host: a\r\nContent-Length: 2\r\n\r\n", "\r", "") + "{}",
		"the same length twice":  post + "Host: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"another host in target": "POST http://b/v2/users/usr-1/passkeys/_search HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
	} {
		statuses, closed := s.exchangeRawAt(s.gateway.GRPCAddr(), head+hidden)
		if len(statuses) != 1 || statuses[0] != http.StatusBadRequest || !closed {
			t.Errorf("%s: got %v, closed: %v", name, statuses, closed)
		}
	}
}

func TestAHeadThatIsPlainIsTaken(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	login := "Authorization: " + basic("pro-1", secretA)["Authorization"] + "\r\nConnection: close\r\n"
	for _, tc := range []struct{ name, request string }{
		{"a body of a length", "POST /v2/users HTTP/1.1\r\nHost: a\r\n" + login + "Content-Length: 19\r\n\r\n{\"status\":\"active\"}"},
		{
			"chunks",
			"POST /v2/users HTTP/1.1\r\nHost: a\r\n" + login + "Transfer-Encoding: chunked\r\n\r\n13\r\n{\"status\":\"active\"}\r\n0\r\n\r\n",
		},
		{
			"chunks in capitals",
			"POST /v2/users HTTP/1.1\r\nHost: a\r\n" + login + "TRANSFER-ENCODING: Chunked\r\n\r\n13\r\n{\"status\":\"active\"}\r\n0\r\n\r\n",
		},
		{
			"a chunk with an extension",
			"POST /v2/users HTTP/1.1\r\nHost: a\r\n" + login + "Transfer-Encoding: chunked\r\n\r\n13;a=b\r\n{\"status\":\"active\"}\r\n0\r\n\r\n",
		},
		{"a tab and a text beyond ASCII in a value", "GET /v2/users HTTP/1.1\r\nHost: a\r\nX-A: b\tc \xc3\xa4\r\n" + login + "\r\n"},
		{"an empty value", "GET /v2/users HTTP/1.1\r\nHost: a\r\nX-A:\r\n" + login + "\r\n"},
		{"a host with a port", "GET /v2/users HTTP/1.1\r\nHost: a:8080\r\n" + login + "\r\n"},
		{"a host that is an IPv6 address", "GET /v2/users HTTP/1.1\r\nHost: [::1]:8080\r\n" + login + "\r\n"},
		{"an empty line before the request", "\r\nGET /v2/users HTTP/1.1\r\nHost: a\r\n" + login + "\r\n"},
		{"the target with the same host", "GET http://a/v2/users HTTP/1.1\r\nHost: a\r\n" + login + "\r\n"},
		{"HTTP/1.0 without a host", "GET /v2/users HTTP/1.0\r\n" + login + "\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if statuses, _ := s.exchangeRaw(tc.request); len(statuses) != 1 || statuses[0] != 200 {
				t.Errorf("got %v", statuses)
			}
		})
	}
}

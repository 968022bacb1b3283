package gateway_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/services/gateway"
)

func TestPagesMayReadWhyTheGRPCPortCouldNotReadARequest(t *testing.T) {
	t.Parallel()
	files := newCertified(t)
	for name, via := range map[string]struct {
		cfg  gateway.Config
		dial func(address string) (net.Conn, error)
	}{
		"without TLS": {dial: func(address string) (net.Conn, error) { return net.Dial("tcp", address) }},
		"with TLS": {gateway.Config{TLSCert: files.cert, TLSKey: files.key}, func(address string) (net.Conn, error) {
			return tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, setup{cfg: via.cfg})
			dial := func() (net.Conn, error) { return via.dial(s.gateway.GRPCAddr()) }
			whatPagesMayReadOf(t, dial)
			aConnectionTakesRequestsUntilOneIsAmbiguous(t, dial)
		})
	}
}

func whatPagesMayReadOf(t *testing.T, dial func() (net.Conn, error)) {
	t.Helper()
	const head = "POST /keyward.v1.UserService/GetUser HTTP/1.1\r\nHost: a\r\nOrigin: https://login.example.com\r\n"
	for _, tc := range []struct {
		name, sent string
		want       int
		readable   string
	}{
		{"a head that is too large", head + "X-Big: " + strings.Repeat("x", 40_000) + "\r\n\r\n", 431, "*"},
		{"a line that is no field", head + "nothing\r\n\r\n", 400, "*"},
		{"a name with a space in it", head + "X Y: z\r\n\r\n", 400, "*"},
		{"a request that is read", head + "Content-Length: 2\r\nContent-Type: application/json\r\n\r\n{}", 404, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			answers := asked(t, dial, tc.sent)
			if got := answers[0].Header.Get("Access-Control-Allow-Origin"); answers[0].StatusCode != tc.want || got != tc.readable {
				t.Errorf("%d, readable by %q; want %d and %q", answers[0].StatusCode, got, tc.want, tc.readable)
			}
		})
	}
}

func aConnectionTakesRequestsUntilOneIsAmbiguous(t *testing.T, dial func() (net.Conn, error)) {
	t.Helper()
	const request = "POST /keyward.v1.UserService/GetUser HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
	t.Run("a connection takes requests until one can be read in two ways", func(t *testing.T) {
		t.Parallel()
		answers := asked(t, dial, request+"\r\n{}", request+"\r\n{}", request+"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+request+"\r\n{}")
		want := []int{http.StatusNotFound, http.StatusNotFound, http.StatusBadRequest}
		for i, answer := range answers {
			if answer.StatusCode != want[i] || answer.Close != (i == 2) {
				t.Errorf("request %d: %d, the connection ends: %v", i, answer.StatusCode, answer.Close)
			}
		}
	})
}

// asked returns the answers to texts that are sent one after the other over one connection.
func asked(t *testing.T, dial func() (net.Conn, error), texts ...string) []*http.Response {
	t.Helper()
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	reader := bufio.NewReader(conn)
	answers := make([]*http.Response, len(texts))
	for i, text := range texts {
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		if answers[i], err = http.ReadResponse(reader, nil); err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if _, err := io.Copy(io.Discard, answers[i].Body); err != nil {
			t.Fatal(err)
		}
		_ = answers[i].Body.Close()
	}
	return answers
}

package gateway_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestPagesMayReadWhyTheGRPCPortCouldNotReadARequest(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
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
			conn, err := net.Dial("tcp", s.gateway.GRPCAddr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			if _, err := io.WriteString(conn, tc.sent); err != nil {
				t.Fatal(err)
			}
			rsp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer rsp.Body.Close()
			if got := rsp.Header.Get("Access-Control-Allow-Origin"); rsp.StatusCode != tc.want || got != tc.readable {
				t.Errorf("%d, readable by %q; want %d and %q", rsp.StatusCode, got, tc.want, tc.readable)
			}
		})
	}
}

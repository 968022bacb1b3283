package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/services/gateway"
)

// waiting is a request whose sender waits to be told to send the body, as curl does from 1 kB on.
type waiting struct {
	t      testing.TB
	conn   net.Conn
	reader *bufio.Reader
}

func (s *server) waiting(sent string) waiting {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.gateway.Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	w := waiting{s.t, conn, bufio.NewReader(conn)}
	w.send(sent)
	return w
}

func (w waiting) send(sent string) {
	w.t.Helper()
	if _, err := io.WriteString(w.conn, sent); err != nil {
		w.t.Fatal(err)
	}
}

func (w waiting) next() (*http.Response, string) {
	w.t.Helper()
	rsp, err := http.ReadResponse(w.reader, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rsp.Body.Close()
	body, err := io.ReadAll(rsp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return rsp, string(body)
}

func TestABodyThatItsSenderWaitsWithIsAskedForWhenItIsWanted(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{RateProject: perTenSeconds(100), RateAddress: perTenSeconds(1000)}, now: newClock().now})
	body := `{"status":"active"` + strings.Repeat(" ", 2000) + "}"
	head := func(path, secret string, length int) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"+
			"Content-Length: %d\r\n\r\n", path, basic("pro-1", secret)["Authorization"], length)
	}
	t.Run("of who is admitted, and counted once", func(t *testing.T) {
		w := s.waiting(head("/v2/users", secretA, len(body)))
		if rsp, _ := w.next(); rsp.StatusCode != http.StatusContinue {
			t.Fatalf("%d before the body", rsp.StatusCode)
		}
		w.send(body)
		rsp, said := w.next()
		if rsp.StatusCode != http.StatusOK || rsp.Header.Get("RateLimit-Remaining") != "99" {
			t.Errorf("%d %s, %v", rsp.StatusCode, said, rsp.Header)
		}
		w.send(head("/v2/users", secretA, len(body)) + body) // on the same connection, without waiting
		for _, want := range []int{http.StatusContinue, http.StatusOK} {
			if rsp, said := w.next(); rsp.StatusCode != want {
				t.Errorf("%d %s, want %d", rsp.StatusCode, said, want)
			}
		}
	})
	for name, tc := range map[string]struct {
		sent string
		want int
	}{
		"not of who is refused":                {head("/v2/users", "wrong", len(body)), http.StatusUnauthorized},
		"not where there is no route":          {head("/v2/nothing", secretA, len(body)), http.StatusNotFound},
		"not if it is longer than the route's": {head("/v2/users", secretA, 1<<20), http.StatusRequestEntityTooLarge},
		"nor if it was sent all the same":      {head("/v2/users", "wrong", len(body)) + body, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			rsp, said := s.waiting(tc.sent).next()
			if rsp.StatusCode != tc.want || !rsp.Close || !strings.Contains(said, `"httpStatusCode":`+fmt.Sprint(tc.want)) {
				t.Errorf("%d, close %t: %s", rsp.StatusCode, rsp.Close, said)
			}
		})
	}
}

// A call of the user service over this port was told to go on before anybody knew whose it was.
func TestABodyOfACallOfTheUserServiceIsAskedForOnceItsCallerIsAdmitted(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{RateProject: perTenSeconds(100), RateAddress: perTenSeconds(1000)}, now: newClock().now})
	const path = "/zitadel.user.v2.UserService/ListPasskeys"
	body := `{"userId": "usr-1"` + strings.Repeat(" ", 2000) + "}"
	head := func(path, secret string, length int) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"+
			"Content-Length: %d\r\n\r\n", path, basic("pro-1", secret)["Authorization"], length)
	}
	w := s.waiting(head(path, secretA, len(body)))
	if rsp, said := w.next(); rsp.StatusCode != http.StatusContinue {
		t.Fatalf("%d before the body: %s", rsp.StatusCode, said)
	}
	w.send(body)
	if rsp, said := w.next(); rsp.StatusCode != http.StatusOK || rsp.Header.Get("RateLimit-Remaining") != "99" {
		t.Errorf("%d %s, %v", rsp.StatusCode, said, rsp.Header)
	}
	for name, tc := range map[string]struct {
		sent string
		want int
	}{
		"not of who is refused":           {head(path, "wrong", len(body)), http.StatusUnauthorized},
		"not where there is no call":      {head("/zitadel.user.v2.UserService/Nothing", secretA, len(body)), http.StatusNotImplemented},
		"nor if it was sent all the same": {head(path, "wrong", len(body)) + body, http.StatusUnauthorized},
	} {
		if rsp, said := s.waiting(tc.sent).next(); rsp.StatusCode != tc.want || !rsp.Close {
			t.Errorf("%s: %d, close %t: %s", name, rsp.StatusCode, rsp.Close, said)
		}
	}
	if lines := s.logged(4); len(lines) != 4 {
		t.Errorf("%d calls are logged", len(lines))
	}
}

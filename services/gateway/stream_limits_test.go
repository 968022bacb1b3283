package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/gateway"
)

func TestAQuietStreamBeatsAndOutlivesTheTimeoutsOfRequests(t *testing.T) {
	t.Parallel()
	s := serveStreams(t, gateway.Config{
		StreamHeartbeat: 100 * time.Millisecond, ReadTimeout: time.Second, IdleTimeout: time.Second, RequestTimeout: time.Second, MaxInFlight: 1,
	})
	r, other := s.follow("", nil), s.follow("?type=login-error", nil)
	for len(r.comments) < 22 {
		if !r.line(&received{}) {
			t.Fatal("the stream ended")
		}
	}
	for _, comment := range r.comments[1:] {
		if comment != "heartbeat" {
			t.Errorf("comment %q", comment)
		}
	}
	sequence, body := s.publish("pro-1", "usr-1", event.LoginError)
	for _, r := range []*reader{r, other} {
		if diff := cmp.Diff([]received{sent(sequence, event.LoginError, body)}, r.next(1)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestAClientThatDoesNotReadIsCutOffAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := serveStreams(t, gateway.Config{StreamWriteTimeout: 2 * time.Second})
	stalled := s.dial("GET /v2/events/stream HTTP/1.1")
	defer func() { _ = stalled.Close() }()
	s.await("the stalled stream did not open", func() bool { return s.open() == 1 })
	r := s.follow("", nil)
	big := `{"process":"` + strings.Repeat("x", 512<<10) + `"}`
	n := 0
	publishMore := func() {
		n++
		if _, err := s.bus.JS.Publish(t.Context(), bus.EventsPrefix+".pro-1.usr-1.login-error", []byte(big)); err != nil {
			t.Fatal(err)
		}
		if got := r.nextBig(big); got != positionOf(uint64(n)) {
			t.Fatalf("event %s came, not number %d", got, n)
		}
	}
	s.await("the stalled client was not cut off", func() bool {
		if s.cutOff() == 0 && n < 200 {
			publishMore()
		}
		return s.cutOff() == 1
	})
	s.await("the stalled stream is still open, or the other one is not", func() bool { return s.open() == 1 })
	publishMore()
}

// nextBig reads one event, whose data is known, and returns its ID.
func (r *reader) nextBig(data string) string {
	r.t.Helper()
	got := r.next(1)[0]
	if got.Data != data {
		r.t.Fatalf("%d bytes of data, want %d", len(got.Data), len(data))
	}
	return got.ID
}

func (s *streaming) cutOff() int {
	families, err := s.metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "keyward_sse_cut_off_total" {
			return int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return 0
}

// dial sends the head of a request by hand.
func (s *streaming) dial(requestLine string) *net.TCPConn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.gateway.Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodGet, s.base, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.SetBasicAuth("pro-1", secretA)
	if _, err := fmt.Fprintf(conn, "%s\r\nHost: x\r\nAuthorization: %s\r\n\r\n", requestLine, req.Header.Get("Authorization")); err != nil {
		s.t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// TestAClientThatLeavesInTheMiddleOfAnEventFreesEverything counts the goroutines of the process, so that no other test may run beside it.
func TestAClientThatLeavesInTheMiddleOfAnEventFreesEverything(t *testing.T) {
	s := serveStreams(t, gateway.Config{})
	const clients = 40
	warm := s.follow("", nil)
	s.publish("pro-1", "usr-1", event.LoginError)
	warm.next(1)
	before := runtime.NumGoroutine()
	for i := range clients {
		conn := s.dial("GET /v2/events/stream HTTP/1.1")
		s.await("the stream did not open", func() bool { return s.open() == 2 })
		switch i % 4 {
		case 0: // with an event half read; one that is published before the answer begins need not be in it
			readHead(t, conn)
			s.publish("pro-1", "usr-1", event.LoginError)
			if _, err := io.ReadFull(conn, make([]byte, 40)); err != nil {
				t.Fatal(err)
			}
		case 1: // with a reset
			if err := conn.SetLinger(0); err != nil {
				t.Fatal(err)
			}
		case 2: // talking
			_, _ = conn.Write([]byte(strings.Repeat("x", 20<<10)))
		}
		_ = conn.Close()
		s.await("the stream of a client that left is still open", func() bool { return s.open() == 1 })
	}
	s.await("goroutines are left", func() bool { return runtime.NumGoroutine() <= before+2 })
	if got := warm.next(clients / 4); len(got) != clients/4 {
		t.Errorf("the client that stayed got %d events", len(got))
	}
}

// readHead reads an answer up to its body.
func readHead(t *testing.T, conn io.Reader) {
	t.Helper()
	var head []byte
	for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, one...) {
		if _, err := io.ReadFull(conn, one); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAtTheMostStreamsMoreAreRefusedUntilOneEnds(t *testing.T) {
	t.Parallel()
	s := serveStreams(t, gateway.Config{MaxStreams: 2, MaxStreamsProject: 2})
	first := s.follow("", nil)
	s.follow("", nil)
	if status, e := s.refused("", nil); status != http.StatusServiceUnavailable || e.Error.Type != rest.ErrorTypeUnavailable {
		t.Errorf("a third: %d %+v", status, e.Error)
	}
	first.close()
	s.await("the first is still open", func() bool { return s.open() == 1 })
	s.follow("", nil)
}

func TestAProjectCannotTakeTheStreamsOfOthers(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]gateway.Config{
		"a quarter of all": {MaxStreams: 8},
		"as configured":    {MaxStreams: 100, MaxStreamsProject: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveStreams(t, cfg)
			s.follow("", nil)
			s.follow("", nil)
			if status, e := s.refused("", nil); status != http.StatusServiceUnavailable {
				t.Errorf("a third of the project: %d %+v", status, e.Error)
			}
			s.follow("", basic("pro-2", secretB))
		})
	}
}

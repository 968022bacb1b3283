package connection

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// served is a listener on the loopback that is accepted from for as long as the test runs.
func served(t *testing.T, limits Limits) (address string, count *Count, accepted <-chan net.Conn, refused <-chan struct{}) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed, taken := make(chan struct{}, 100), make(chan net.Conn, 100)
	count = NewCount(limits, func() { closed <- struct{}{} })
	l := count.Listen(inner)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			taken <- conn
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return inner.Addr().String(), count, taken, closed
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

func TestAConnectionBeyondTheLimitsIsClosedAndOneThatIsGoneGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]Limits{"in all": {Total: 2}, "from one address": {PerAddress: 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, count, accepted, refused := served(t, limits)
			for range 2 {
				dial(t, address)
			}
			first := <-accepted
			<-accepted
			beyond := dial(t, address)
			<-refused
			if _, err := beyond.Read(make([]byte, 1)); err == nil {
				t.Error("the connection beyond the limit is open")
			}
			if err := first.Close(); err != nil {
				t.Error(err)
			}
			if err := first.Close(); err == nil { // must not give a second place back
				t.Error("it is closed twice")
			}
			dial(t, address)
			<-accepted
			if count.Open() != 2 {
				t.Errorf("%d are open", count.Open())
			}
		})
	}
}

func TestAPeerThatStandsForManyMayHaveMore(t *testing.T) {
	t.Parallel()
	address, _, accepted, _ := served(t, Limits{PerAddress: 1, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	for range 3 {
		dial(t, address)
		<-accepted
	}
}

// failing fails to accept for a while.
type failing struct {
	net.Listener
	failures []error
}

func (f *failing) Accept() (net.Conn, error) {
	if len(f.failures) == 0 {
		return f.Listener.Accept()
	}
	err := f.failures[0]
	f.failures = f.failures[1:]
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: fmt.Errorf("accept4: %w", err)}
}

func TestWantOfFilesEndsNoListenerAndAnyOtherErrorDoes(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := NewCount(Limits{}, nil).Listen(&failing{inner, []error{syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED, syscall.ENOMEM}})
	dial(t, inner.Addr().String())
	if _, err := l.Accept(); err != nil {
		t.Error(err)
	}
	broken := NewCount(Limits{}, nil).Listen(&failing{inner, []error{syscall.EBADF}})
	if _, err := broken.Accept(); !errors.Is(err, syscall.EBADF) {
		t.Errorf("got %v", err)
	}
	l.Close()
	closed := NewCount(Limits{}, nil).Listen(&failing{inner, []error{syscall.EMFILE, syscall.EMFILE, syscall.EMFILE}})
	closed.Close()
	if _, err := closed.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestAClientThatStillSendsGetsToSeeItsAnswer(t *testing.T) {
	t.Parallel()
	address, _, accepted, _ := served(t, Limits{})
	client := dial(t, address)
	sending := make(chan struct{})
	go func() {
		defer close(sending)
		_, _ = io.Copy(client, io.LimitReader(strings.NewReader(strings.Repeat("x", 1<<20)), 1<<20))
	}()
	conn := <-accepted
	if _, err := conn.Write([]byte("no")); err != nil {
		t.Fatal(err)
	}
	Linger(conn)
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	<-sending
	if answer, err := io.ReadAll(client); err != nil || string(answer) != "no" {
		t.Errorf("got %q, %v", answer, err)
	}
}

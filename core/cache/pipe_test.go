package cache

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"
)

func TestAPipeHoldsWhatIsWrittenUntilItIsRead(t *testing.T) {
	t.Parallel()
	client, server := pipe()
	defer client.Close()
	sent := bytes.Repeat([]byte("0123456789"), 100_000)
	// Nobody reads yet: a socket pair without room would stand still here.
	for _, end := range []io.Writer{client, server} {
		if n, err := end.Write(sent); n != len(sent) || err != nil {
			t.Fatal(n, err)
		}
	}
	var reading sync.WaitGroup
	for _, end := range []io.Reader{client, server} {
		reading.Go(func() {
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(end, got); err != nil || !bytes.Equal(got, sent) {
				t.Error("other bytes arrived", err)
			}
		})
	}
	reading.Wait()
}

func TestAReadOfAPipeEndsAtItsDeadlineAndNotBefore(t *testing.T) {
	t.Parallel()
	client, server := pipe()
	defer client.Close()
	began := time.Now()
	for _, left := range []time.Duration{time.Hour, time.Millisecond, 30 * time.Millisecond} { // the last counts
		if err := client.SetReadDeadline(began.Add(left)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("it ended after %s", took)
	}
	if err := client.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Read(make([]byte, 4)); n != 1 || err != nil {
		t.Error(n, err)
	}
}

func TestAClosedPipeEndsReadsAndWritesOfBothEnds(t *testing.T) {
	t.Parallel()
	client, server := pipe()
	var reading sync.WaitGroup
	reading.Go(func() {
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	reading.Wait()
	if _, err := server.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

func TestAClosedCacheIsDialledNoMore(t *testing.T) {
	t.Parallel()
	c := embedded(t)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.dial(t.Context(), "", ""); err == nil {
		t.Error("a connection to a closed server")
	}
}

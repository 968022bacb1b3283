package events

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/bench/internal/fleet"
	"github.com/keyward/keyward/core/bus"
)

// FanOut measures clients that all follow the same events over HTTP. Each checks that it gets every event once and in order, by the
// positions that the events carry. Delays are counted from the moment an event is handed to NATS, so they hold the time until it is on
// disk; with an interval between flushes what is left is the way from the stream to the clients.
func FanOut(ctx context.Context, of *fleet.Fleet) error {
	f := measurement{of}
	fmt.Printf(
		"GET /v2/events/stream, %d clients, %d events/s for %s, server, NATS, publisher and clients on the same cores\n\n", f.Streams,
		f.EventRate, f.Duration,
	)
	t := fleet.NewTable(
		"events/s", "deliveries/s", "lost", "p50 ms", "p99 ms", "max ms", "server CPU", "clients' CPU", "memory MiB", "before MiB",
	)
	for _, flush := range []string{"2s", "always"} {
		if err := f.fanOutOnce(ctx, flush, t); err != nil {
			return err
		}
	}
	return t.Print()
}

func (f measurement) fanOutOnce(ctx context.Context, flush string, t *fleet.Table) error {
	data, err := os.MkdirTemp(f.Dir, "data-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	c, address := &fleet.Contender{Name: "flushed: " + flush}, fleet.FreeAddress()
	ready, err := f.Keyward(
		c, address, "all", []string{"KEYWARD_DATA_DIR=" + data, "KEYWARD_NATS_ADDR=127.0.0.1:0", "KEYWARD_SYNC_INTERVAL=" + flush},
	)
	if err != nil {
		return err
	}
	if err := fleet.Answering(ctx, ready); err != nil {
		return err
	}
	source, err := openSource(data)
	if err != nil {
		return err
	}
	defer source.conn.Close()
	idle := c.Memory()
	followers, err := follow(ctx, address, f.Streams, source)
	if err != nil {
		return err
	}
	defer followers.close()
	began, server, own := time.Now(), cpu(c.Processes[0].Process.Pid), cpu(os.Getpid())
	if err := source.publish(ctx, f.EventRate, f.Duration); err != nil {
		return err
	}
	published := time.Since(began)
	if err := followers.await(ctx, source.published.Load()); err != nil {
		return err
	}
	took := time.Since(began)
	server, own = cpu(c.Processes[0].Process.Pid)-server, cpu(os.Getpid())-own
	latency := followers.latency()
	lost := source.published.Load()*int64(f.Streams) - latency.TotalCount()
	t.Row(
		c.Name, "%.0f", float64(source.published.Load())/published.Seconds(), "%.0f", float64(latency.TotalCount())/took.Seconds(), "%d", lost,
		"%.1f", float64(latency.ValueAtQuantile(50))/1000, "%.1f", float64(latency.ValueAtQuantile(99))/1000, "%.1f", float64(latency.Max())/1000,
		"%.0f %%", 100*server.Seconds()/took.Seconds(), "%.0f %%", 100*own.Seconds()/took.Seconds(), "%.0f", c.Memory(), "%.0f", idle,
	)
	return f.Stop()
}

// source appends events to the stream as the events service does, and knows when it did.
type source struct {
	conn      *nats.Conn
	js        jetstream.JetStream
	first     uint64 // position of the first event
	published atomic.Int64
	when      []atomic.Int64 // Unix ns, by event
}

// mostEvents bounds a run.
const mostEvents = 10_000_000

func openSource(data string) (*source, error) {
	raw, err := os.ReadFile(filepath.Join(data, bus.URLFile))
	if err != nil {
		return nil, fmt.Errorf("find the embedded NATS: %w", err)
	}
	s := &source{}
	if s.conn, err = nats.Connect(string(raw)); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if s.js, err = jetstream.New(s.conn, jetstream.WithPublishAsyncMaxPending(1<<17)); err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	stream, err := s.js.Stream(context.Background(), bus.EventsStream)
	if err != nil {
		return nil, fmt.Errorf("open the stream: %w", err)
	}
	s.first = stream.CachedInfo().State.LastSeq + 1
	return s, nil
}

// publish appends events evenly for a while.
func (s *source) publish(ctx context.Context, rate int, duration time.Duration) error {
	total := min(int(float64(rate)*duration.Seconds()), len(s.when))
	began := time.Now()
	for i := range total {
		if wait := time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))); wait > 0 {
			time.Sleep(wait)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e := someEvent(i % 1000)
		s.when[i].Store(time.Now().UnixNano())
		if _, err := s.js.PublishMsgAsync(wire(e), jetstream.WithMsgID(string(e.ID))); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		s.published.Add(1)
	}
	select {
	case <-s.js.PublishAsyncComplete():
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("not every event was acknowledged")
	}
}

// crowdOfFollowers are the clients.
type crowdOfFollowers struct {
	source *source
	all    []*follower
	work   sync.WaitGroup
}

// follower is one client: it reads the bytes of the answer and no more than it must of them, since a thousand of it share two cores with
// the server.
type follower struct {
	conn    net.Conn
	reached atomic.Int64 // events
	seen    *hdrhistogram.Histogram
	err     error
}

func follow(ctx context.Context, address string, clients int, from *source) (*crowdOfFollowers, error) {
	from.when = make([]atomic.Int64, mostEvents)
	c := &crowdOfFollowers{source: from}
	head := "GET /v2/events/stream HTTP/1.1\r\nHost: " + address + "\r\nAuthorization: Basic " + base64.StdEncoding.EncodeToString(
		[]byte(fleet.Project+":"+fleet.Secret),
	) + "\r\n\r\n"
	for range clients {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
		one := &follower{conn: conn, seen: fleet.Histogram()}
		c.all = append(c.all, one)
		if _, err := conn.Write([]byte(head)); err != nil {
			return nil, fmt.Errorf("ask for the stream: %w", err)
		}
		// The first comment comes when the subscription stands.
		buffer, n := make([]byte, 4096), 0
		for !bytes.Contains(buffer[:n], []byte("retry: ")) {
			more, err := conn.Read(buffer[n:])
			if err != nil {
				return nil, fmt.Errorf("open the stream: %w: %s", err, buffer[:n])
			}
			n += more
		}
		c.work.Go(func() { one.err = one.read(from) })
	}
	return c, ctx.Err()
}

// read checks positions and notes how late each event is. Lines of a chunk's size may stand between events, or, since chunks end where
// frames end, nowhere inside of one.
func (f *follower) read(from *source) error {
	mark := []byte("\nid: ")
	buffer := make([]byte, 64<<10)
	kept := copy(buffer, "\n")
	for {
		n, err := f.conn.Read(buffer[kept:])
		if err != nil {
			return err
		}
		now, text := time.Now().UnixNano(), buffer[:kept+n]
		for {
			at := bytes.Index(text, mark)
			if at < 0 {
				break
			}
			end := bytes.IndexByte(text[at+len(mark):], '\n')
			if end < 0 {
				text = text[at:]
				break
			}
			position, err := strconv.ParseUint(string(text[at+len(mark):at+len(mark)+end]), 10, 64)
			if err != nil {
				return fmt.Errorf("read a position: %w", err)
			}
			index := f.reached.Load()
			if position != from.first+uint64(index) {
				return fmt.Errorf("event %d came where %d was due", position, from.first+uint64(index))
			}
			if err := f.seen.RecordValue(max((now-from.when[index].Load())/1000, 1)); err != nil {
				return fmt.Errorf("record: %w", err)
			}
			f.reached.Store(index + 1)
			text = text[at+len(mark)+end:]
		}
		// What may be the beginning of a mark is kept.
		if at := bytes.Index(text, mark); at < 0 && len(text) > len(mark) {
			text = text[len(text)-len(mark):]
		}
		kept = copy(buffer, text)
	}
}

// await waits until every client has every event.
func (c *crowdOfFollowers) await(ctx context.Context, events int64) error {
	return fleet.Wait(ctx, "not every event", func() bool {
		for _, f := range c.all {
			if f.reached.Load() < events {
				return false
			}
		}
		return true
	})
}

func (c *crowdOfFollowers) close() {
	for _, f := range c.all {
		_ = f.conn.Close()
	}
	c.work.Wait()
}

// latency merges what the clients saw.
func (c *crowdOfFollowers) latency() *hdrhistogram.Histogram {
	total := fleet.Histogram()
	for _, f := range c.all {
		total.Merge(f.seen)
	}
	return total
}

// cpu returns what a process has used of it so far.
func cpu(pid int) time.Duration {
	const (
		ticks        = 100 // a second, on Linux
		afterCommand = 2
		user, system = 14 - afterCommand - 1, 15 - afterCommand - 1
	)
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	var sum int64
	for _, i := range []int{user, system} {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks
}

// Package eventstream sends the events of a project to clients that follow them, for as long as they like. Each stream has a goroutine,
// which the set of streams owns and waits for; a client that does not read is cut off, and one whose credential no longer holds is let go
// at the next heartbeat. It touches the connection that it takes over.
package eventstream

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/feed"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
)

// Config bounds streams.
type Config struct {
	Most          int           // streams open at once
	MostOfProject int           // streams of one project open at once
	Heartbeat     time.Duration // between two comments
	WriteTimeout  time.Duration // how long a client may take no data
}

// Feed is the stream of events that clients follow. feed.Feed is one.
type Feed interface {
	Subscribe(ctx context.Context, project ident.ProjectID, filter feed.Filter, start feed.Start) (*feed.Subscription, error)
	// PositionsTold returns up to which position clients may have been told plain numbers.
	PositionsTold() uint64
}

// Deps are what streams work with. All but Feed and Metrics are required.
type Deps struct {
	Feed        Feed // nil: there are no streams
	Log         *slog.Logger
	Metrics     prometheus.Registerer // nil: nothing is counted for others to see
	Now         func() time.Time
	Shed        func()                                              // is told of a stream for which there was no room
	StillAdmits func(*exchange.Exchange) func(context.Context) bool // returns what says whether the credential of a request still holds
}

// Streams are the event streams that are open. It owns their goroutines.
type Streams struct {
	cfg   Config
	deps  Deps
	meter *streamMeter

	ctx  context.Context // ends with the gateway
	stop context.CancelFunc

	mu        sync.Mutex // guards what follows
	open      int
	ofProject map[ident.ProjectID]int // how many of the open ones
	over      bool
	work      sync.WaitGroup
}

// New fails if its metrics are registered already.
func New(cfg Config, deps Deps) (*Streams, error) {
	s := &Streams{cfg: cfg, deps: deps, ofProject: map[ident.ProjectID]int{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	var err error
	s.meter, err = newStreamMeter(deps.Metrics, func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return float64(s.open)
	})
	return s, err
}

// Context ends when the streams do.
func (s *Streams) Context() context.Context { return s.ctx }

// reserve makes room for one more stream of a project. It reports false if there is none. The caller, or the stream that is made, calls
// release once.
func (s *Streams) reserve(project ident.ProjectID) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.open >= s.cfg.Most || s.ofProject[project] >= s.cfg.MostOfProject {
		return nil, false
	}
	s.open++
	s.ofProject[project]++
	s.work.Add(1)
	return func() { s.release(project) }, true
}

func (s *Streams) release(project ident.ProjectID) {
	s.mu.Lock()
	s.open--
	if s.ofProject[project]--; s.ofProject[project] == 0 {
		delete(s.ofProject, project)
	}
	s.mu.Unlock()
	s.work.Done()
}

// End ends all streams, at once, and waits for them. Their clients connect again, elsewhere or later.
func (s *Streams) End() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.stop()
	s.work.Wait()
}

// subscription is what a client is sent. feed.Subscription is one.
type subscription interface {
	// Next waits for messages and returns them, at least one. After the error of its context the next call goes on.
	Next(context.Context) ([]feed.Message, error)
	// Missed returns the oldest position that there was, if what follows the start was no longer kept.
	Missed() (oldest uint64, missed bool)
	Close()
}

// stream is one client that follows the events.
type stream struct {
	set          *Streams
	subscription subscription
	positions    positions
	release      func()
	chunked      bool   // HTTP/1.1; otherwise the answer ends with the connection
	head         []byte // of the answer
	log          *slog.Logger
	valid        func(context.Context) bool // asked at every heartbeat

	conn net.Conn
	sent uint64 // events

	mu      sync.Mutex // guards what follows
	writing bool
	ended   bool
}

// begin takes the connection over, which is the stream's to close from now on. It returns at once, so that the server can use again what
// it had for the request.
func (s *stream) begin(conn net.Conn) {
	// What the server hands out reads from a buffer that it will use again.
	if wrapped, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		conn = wrapped.UnsafeConn()
	}
	s.conn = conn
	go s.run()
}

func (s *stream) run() {
	defer s.release()
	defer s.subscription.Close()
	ctx, cancel := context.WithCancel(s.set.ctx)
	var listening sync.WaitGroup
	listening.Go(func() {
		defer cancel()
		s.listen()
	})
	detach := context.AfterFunc(ctx, s.interrupt)
	began := time.Now()
	reason := s.pass(ctx)
	s.farewell()
	cancel()
	detach()
	_ = s.conn.Close()
	listening.Wait()
	s.logEnd(s.set.ctx, began, reason)
}

// listen returns when the client has gone. A client has nothing to say here; one that talks on is not listened to for long.
func (s *stream) listen() {
	const most = 16 << 10
	var buffer [64]byte
	for heard := 0; heard < most; {
		n, err := s.conn.Read(buffer[:])
		if err != nil {
			return
		}
		heard += n
	}
}

// interrupt ends a write under way.
func (s *stream) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.writing {
		_ = s.conn.SetWriteDeadline(time.Now())
	}
}

// farewell ends the answer as HTTP wants it, if the client takes it at once.
func (s *stream) farewell() {
	const wait = 100 * time.Millisecond
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.chunked {
		_ = s.conn.SetWriteDeadline(time.Now().Add(wait))
		_, _ = s.conn.Write([]byte("0\r\n\r\n"))
	}
}

var errEnded = errors.New("the stream has ended")

// pass writes the head and then events as they come, until something ends it, and says what.
func (s *stream) pass(ctx context.Context) string {
	text := newFrame(s.chunked)
	defer text.free()
	text.prepend(s.head)
	if oldest, missed := s.subscription.Missed(); missed {
		text.comment("events before " + string(s.positions.append(nil, oldest)) + " are no longer kept")
	} else {
		text.comment("events follow")
	}
	text.retry(retryStream)
	if err := s.write(text.finish()); err != nil {
		return s.reasonOf(err)
	}
	s.head = nil
	for {
		err := s.untilHeartbeat(ctx)
		switch {
		case ctx.Err() != nil:
			return s.reasonOf(errEnded)
		case err != nil:
			return s.reasonOf(err)
		case !s.valid(ctx):
			return "its credential no longer holds"
		}
		text.reset(s.chunked)
		text.comment("heartbeat")
		if err := s.write(text.finish()); err != nil {
			return s.reasonOf(err)
		}
	}
}

// untilHeartbeat passes events on until a heartbeat is due.
func (s *stream) untilHeartbeat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.set.cfg.Heartbeat)
	defer cancel()
	for {
		messages, err := s.subscription.Next(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.send(messages); err != nil {
			return err
		}
	}
}

// send holds its memory no longer than a write takes.
func (s *stream) send(messages []feed.Message) error {
	text := newFrame(s.chunked)
	defer text.free()
	for i := range messages {
		text.event(&messages[i], s.positions)
	}
	if err := s.write(text.finish()); err != nil {
		return err
	}
	s.sent += uint64(len(messages))
	s.set.meter.events.Add(float64(len(messages)))
	return nil
}

// write hands bytes to the client, who has the write time-out to make room for them.
func (s *stream) write(text []byte) error {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return errEnded
	}
	err := s.conn.SetWriteDeadline(time.Now().Add(s.set.cfg.WriteTimeout))
	s.writing = err == nil
	s.mu.Unlock()
	if err != nil {
		return err
	}
	_, err = s.conn.Write(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = false
	if s.ended && err != nil {
		return errEnded
	}
	return err
}

func (s *stream) reasonOf(err error) string {
	switch {
	case s.set.ctx.Err() != nil:
		return "the gateway stops"
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.set.meter.cutOff.Inc()
		return "the client did not read"
	case errors.Is(err, feed.ErrReset), errors.Is(err, feed.ErrClosed):
		return err.Error()
	}
	return "the client has gone"
}

// streamMeter counts what operators watch of event streams.
type streamMeter struct {
	events prometheus.Counter
	cutOff prometheus.Counter
}

func newStreamMeter(registerer prometheus.Registerer, open func() float64) (*streamMeter, error) {
	m := &streamMeter{
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_sse_events_total", Help: "Events sent to clients of the event stream.",
		}),
		cutOff: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_sse_cut_off_total", Help: "Event streams that were ended because their client did not read.",
		}),
	}
	if registerer == nil {
		return m, nil
	}
	gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "keyward_sse_streams", Help: "Event streams that are open."}, open)
	return m, errors.Join(registerer.Register(m.events), registerer.Register(m.cutOff), registerer.Register(gauge))
}

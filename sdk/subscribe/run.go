package subscribe

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/sdk/event"
)

// taken is a delivery that is neither acknowledged nor given back.
type taken struct {
	Event
	msg      jetstream.Msg
	unread   error // the body could not be read
	failures int   // in this process
	answered bool  // NATS may have heard of it; guarded by run.mu
}

type whose struct {
	project event.ProjectID
	user    event.UserID
}

// run is one call of Run.
type run struct {
	Config
	conn     *nats.Conn
	consumer jetstream.Consumer
	handle   Handler
	ctx      context.Context // of handlers
	stopping context.Context // ends when no more is to be begun
	slots    chan struct{}   // one for each handler
	work     sync.WaitGroup

	mu     sync.Mutex // guards what follows
	mine   map[uint64]*taken
	queues map[whose][]*taken // with PerUser: what waits behind an event of the same user; there is an entry while one is worked on
}

// Run hands events to the handler until ctx ends, then waits for handlers under way and gives what they have not begun back to NATS. It
// returns nil after such a stop. It outlives restarts of NATS, if the connection does. It returns an error if the grace runs out, if the
// connection is closed, or if the consumer is gone: then it is jetstream.ErrConsumerDeleted or jetstream.ErrConsumerNotFound.
func (s *Subscriber) Run(ctx context.Context, handle Handler) error {
	handlers, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	r := &run{
		Config:   s.cfg,
		conn:     s.conn,
		consumer: s.consumer,
		handle:   handle,
		ctx:      handlers,
		stopping: ctx,
		slots:    make(chan struct{}, s.cfg.Parallel),
		mine:     map[uint64]*taken{},
		queues:   map[whose][]*taken{},
	}
	beating, still := context.WithCancel(context.Background())
	var beat sync.WaitGroup
	beat.Go(func() { r.keepAlive(beating) })
	defer beat.Wait()
	defer still()
	receive := r.receiveAny
	if s.cfg.Order == PerUser {
		receive = r.receiveOrdered
	}
	err := receive(ctx)
	return errors.Join(err, r.finish(cancel))
}

// receiveAny asks for no more than there are free handlers, so that the rest is there for other processes and nothing waits here for longer
// than NATS does.
func (r *run) receiveAny(ctx context.Context) error {
	for {
		free := r.reserve(ctx)
		if free == 0 {
			return nil
		}
		batch, err := r.consumer.Fetch(free, jetstream.FetchContext(ctx))
		if err == nil {
			for msg := range batch.Messages() {
				free--
				r.beginAny(ctx, msg)
			}
			err = batch.Error()
		}
		r.release(free)
		if err := r.endured(ctx, err); err != nil {
			return err
		}
	}
}

// reserve waits for a free handler and returns how many it has got; 0 = ctx has ended.
func (r *run) reserve(ctx context.Context) int {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return 0
	}
	if ctx.Err() != nil {
		r.release(1)
		return 0
	}
	free := 1
	for ; free < cap(r.slots); free++ {
		select {
		case r.slots <- struct{}{}:
		default:
			return free
		}
	}
	return free
}

func (r *run) release(slots int) {
	for range slots {
		<-r.slots
	}
}

// beginAny uses up a slot.
func (r *run) beginAny(ctx context.Context, msg jetstream.Msg) {
	t := read(msg)
	switch {
	case !r.own(t): // it is here already, and its acknowledgement will do for both
		r.release(1)
	case ctx.Err() != nil:
		r.giveBack(t)
		r.release(1)
	default:
		r.work.Go(func() { r.attempt(t) })
	}
}

// endured returns an error that no waiting mends. Otherwise, after a failure, it waits a moment.
func (r *run) endured(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	if errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, jetstream.ErrConsumerNotFound) || r.conn.IsClosed() {
		return fmt.Errorf("receive from %s: %w", r.Name, err)
	}
	r.Log.Debug("receiving is tried again", "consumer", r.Name, "error", err)
	asked, cancel := context.WithTimeout(ctx, apiWait)
	defer cancel()
	if _, gone := r.consumer.Info(asked); errors.Is(gone, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("receive from %s: %w", r.Name, gone)
	}
	select {
	case <-ctx.Done():
	case <-time.After(r.MinBackoff):
	}
	return nil
}

func read(msg jetstream.Msg) *taken {
	t := &taken{msg: msg}
	t.Event, t.unread = decode(msg)
	return t
}

// receiveOrdered takes all that it is given, as it is the only one that is given any.
func (r *run) receiveOrdered(ctx context.Context) error {
	order := fence{run: r}
	defer order.abandon()
	for {
		messages, err := r.consumer.Messages(jetstream.PullPriorityGroup(group), jetstream.PullMaxMessages(pending))
		if err == nil {
			err = order.receive(ctx, messages)
			order.drain(ctx, messages)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err := r.endured(ctx, err); err != nil {
			return err
		}
	}
}

func (r *run) own(t *taken) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mine[t.Sequence] != nil {
		return false
	}
	r.mine[t.Sequence] = t
	return true
}

func (r *run) disown(t *taken) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mine, t.Sequence)
}

// keepAlive tells NATS that what is here is being worked on.
func (r *run) keepAlive(ctx context.Context) {
	const often = 3 // in the time that NATS waits
	tick := time.NewTicker(r.AckWait / often)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.mu.Lock()
		for _, t := range r.mine {
			_ = t.msg.InProgress() // without it the event comes again, which is allowed
		}
		r.mu.Unlock()
	}
}

// begin works on an event as soon as the user's earlier ones are done and there is a handler for it. It does not wait.
func (r *run) begin(t *taken) {
	if r.first(t) {
		r.later(t, 0)
	}
}

// first reports whether no earlier event of the user is being worked on, and otherwise puts t behind it.
func (r *run) first(t *taken) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	user := whose{t.Project, t.User}
	waiting, busy := r.queues[user]
	if busy {
		r.queues[user] = append(waiting, t)
		return false
	}
	r.queues[user] = nil
	return true
}

// attempt has a slot. With it, it goes on with the user's next events.
func (r *run) attempt(t *taken) {
	defer func() { <-r.slots }()
	for t != nil {
		settled, wait := r.try(t)
		if !settled {
			r.later(t, wait)
			return
		}
		r.disown(t)
		t = r.next(t)
	}
}

// try calls the handler. It reports whether the event is done with in this process, or how long to wait until it is tried here again.
func (r *run) try(t *taken) (settled bool, wait time.Duration) {
	e := t.Event
	e.Attempt += t.failures
	err := t.unread
	// One that was delivered too often without a word has ended its process each time.
	if err == nil && r.Attempts > 0 && e.Attempt > r.Attempts {
		err = fmt.Errorf("it was delivered %d times and never answered", e.Attempt-1)
	} else if err == nil {
		err = r.call(e)
	}
	if err == nil {
		r.acknowledge(t)
		return true, 0
	}
	if t.unread != nil || r.Attempts > 0 && e.Attempt >= r.Attempts {
		r.giveUp(t, e, err)
		return true, 0
	}
	t.failures++
	wait = r.backoff(e.Attempt)
	r.Log.Warn(
		"an event could not be handled and will be tried again", "event", e.ID, "type", e.Type, "attempt", e.Attempt, "in", wait, "error", err,
	)
	if r.Order == PerUser {
		return false, wait
	}
	_ = t.msg.NakWithDelay(wait) // without it the event comes again all the same, later
	return true, 0
}

// acknowledge tells NATS that an event is done with. In order the user's next one waits until NATS has heard it: otherwise, were the
// acknowledgement lost, this one would come again after the next.
func (r *run) acknowledge(t *taken) {
	if r.Order == Any {
		if err := t.msg.Ack(); err != nil {
			r.Log.Warn("an acknowledgement was not sent; the event will come again", "event", t.ID, "error", err)
		}
		return
	}
	r.mu.Lock()
	t.answered = true
	r.mu.Unlock()
	for {
		ctx, cancel := context.WithTimeout(r.ctx, apiWait)
		err := t.msg.DoubleAck(ctx)
		cancel()
		// One that was said before is said.
		if err == nil || errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
			return
		}
		r.Log.Warn("an acknowledgement was not heard and is said again", "event", t.ID, "error", err)
		select {
		case <-r.stopping.Done():
			return
		case <-time.After(r.MinBackoff):
		}
	}
}

func (r *run) call(e Event) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v\n%s", panicked, debug.Stack())
		}
	}()
	return r.handle(r.ctx, e)
}

// giveUp ends an event that cannot be handled.
func (r *run) giveUp(t *taken, e Event, cause error) {
	r.Log.Error("an event is given up", "event", e.ID, "type", e.Type, "sequence", e.Sequence, "attempt", e.Attempt, "error", cause)
	if r.OnPoison != nil {
		r.OnPoison(r.ctx, e, cause)
	}
	if err := t.msg.TermWithReason("given up"); err != nil {
		r.Log.Warn("an event that was given up will come again", "event", e.ID, "error", err)
	}
}

// later tries an event again after a while, without keeping a slot until then.
func (r *run) later(t *taken, wait time.Duration) {
	r.work.Go(func() {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.stopping.Done():
			r.giveBackAll(t)
			return
		}
		select {
		case r.slots <- struct{}{}:
			r.attempt(t)
		case <-r.stopping.Done():
			r.giveBackAll(t)
		}
	})
}

// next returns the user's next event, nil if there is none or no more is to be begun.
func (r *run) next(t *taken) *taken {
	if r.Order != PerUser {
		return nil
	}
	r.mu.Lock()
	user := whose{t.Project, t.User}
	waiting := r.queues[user]
	if len(waiting) == 0 {
		delete(r.queues, user)
		r.mu.Unlock()
		return nil
	}
	r.queues[user] = waiting[1:]
	r.mu.Unlock()
	if r.stopping.Err() != nil {
		r.giveBackAll(waiting[0])
		return nil
	}
	return waiting[0]
}

// giveBack lets another process have an event at once.
func (r *run) giveBack(t *taken) {
	_ = t.msg.Nak() // without it the event comes again all the same, later
	r.disown(t)
}

// giveBackAll gives an event back and what waits behind it.
func (r *run) giveBackAll(t *taken) {
	r.mu.Lock()
	user := whose{t.Project, t.User}
	waiting := r.queues[user]
	delete(r.queues, user)
	r.mu.Unlock()
	for _, t := range append([]*taken{t}, waiting...) {
		r.giveBack(t)
	}
}

// finish waits for handlers.
func (r *run) finish(cancel context.CancelFunc) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.work.Wait()
	}()
	timer := time.NewTimer(r.Grace)
	defer timer.Stop()
	select {
	case <-done:
		r.flush()
		return nil
	case <-timer.C:
	}
	cancel()
	<-done
	r.flush()
	return fmt.Errorf("handlers of %s were still at work after %s", r.Name, r.Grace)
}

// flush waits until acknowledgements have left this process. If NATS is away they are lost, and the events come again.
func (r *run) flush() {
	if err := r.conn.FlushTimeout(apiWait); err != nil {
		r.Log.Warn("the last acknowledgements may be lost; their events will come again", "consumer", r.Name, "error", err)
	}
}

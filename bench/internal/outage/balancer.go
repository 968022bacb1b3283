package outage

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// looking is how often a balancer looks whether a gateway is ready.
const looking = 100 * time.Millisecond

// balancer hands connections on to the gateways that say that they are ready, in turn, as what stands before an installation does.
type balancer struct {
	listener net.Listener
	work     sync.WaitGroup

	mu       sync.Mutex
	gateways []*instance
	ready    map[*instance]bool
	turn     int
	open     map[net.Conn]bool
}

// balance listens until it is closed.
func balance(ctx context.Context, gateways ...*instance) (*balancer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	b := &balancer{listener: listener, gateways: gateways, ready: map[*instance]bool{}, open: map[net.Conn]bool{}}
	ctx, stop := context.WithCancel(ctx)
	b.work.Go(func() { b.look(ctx) })
	b.work.Go(func() {
		defer stop()
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			b.work.Go(func() { b.serve(ctx, conn) })
		}
	})
	return b, nil
}

func (b *balancer) address() string { return b.listener.Addr().String() }

// replace puts a gateway in the place of one that has ended.
func (b *balancer) replace(old, with *instance) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gateways[slices.Index(b.gateways, old)] = with
}

// look finds out which gateways are ready until ctx ends.
func (b *balancer) look(ctx context.Context) {
	for ctx.Err() == nil {
		b.mu.Lock()
		all := slices.Clone(b.gateways)
		b.mu.Unlock()
		ready := map[*instance]bool{}
		for _, g := range all {
			ready[g] = isReady(ctx, g.ready)
		}
		b.mu.Lock()
		b.ready = ready
		b.mu.Unlock()
		pause(ctx, looking)
	}
}

// pick returns the address of the gateway whose turn it is, "" if none is ready.
func (b *balancer) pick() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.gateways {
		b.turn++
		if g := b.gateways[b.turn%len(b.gateways)]; b.ready[g] {
			return g.address
		}
	}
	return ""
}

// serve joins a connection with one to a gateway until either ends.
func (b *balancer) serve(ctx context.Context, from net.Conn) {
	defer b.keep(from)()
	address := b.pick()
	for address == "" && ctx.Err() == nil {
		pause(ctx, looking)
		address = b.pick()
	}
	to, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer b.keep(to)()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _ = io.Copy(from, to)
		_ = from.Close()
	}()
	_, _ = io.Copy(to, from)
	_ = to.Close()
	<-answered
}

// keep notes a connection for close; what it returns closes it.
func (b *balancer) keep(conn net.Conn) func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[conn] = true
	return func() {
		_ = conn.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.open, conn)
	}
}

// close ends all connections, and returns when nothing of the balancer is left.
func (b *balancer) close() {
	_ = b.listener.Close()
	b.mu.Lock()
	for conn := range b.open {
		_ = conn.Close()
	}
	b.mu.Unlock()
	b.work.Wait()
}

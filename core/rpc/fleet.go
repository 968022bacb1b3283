package rpc

import (
	"encoding/json"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// forgotten is how long an instance that answers no ping is remembered.
const forgotten = time.Minute

// instance is a process that serves the service.
type instance struct {
	id       string
	heard    time.Time // when it last answered a ping
	shunned  time.Time // until when
	lost     int       // calls in a row
	underWay int
}

// fleet knows the instances of a service, as far as they answer to pings, and says which of them is to get a call. The bus would hand
// calls also to one that hangs, for as long as its connection stands.
type fleet struct {
	conn    *nats.Conn
	service string
	limits  Limits

	mu        sync.Mutex
	listening bool
	inbox     string
	asked     time.Time // the latest ping
	awaited   time.Time // the earliest ping of a run of them without a pause
	known     map[string]*instance
}

func newFleet(conn *nats.Conn, service string, limits Limits) *fleet {
	return &fleet{conn: conn, service: service, limits: limits, known: make(map[string]*instance)}
}

// pick returns the instance with the fewest calls under way of those that are well, nil if none is known. Give it back with done.
func (f *fleet) pick(now time.Time, but *instance) *instance {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ping(now)
	var best *instance
	ties := 0
	for id, i := range f.known {
		if now.Sub(i.heard) > forgotten && i.underWay == 0 && f.silent(i, now) {
			delete(f.known, id)
			continue
		}
		switch {
		case i == but || f.silent(i, now) || now.Before(i.shunned):
		case best == nil || i.underWay < best.underWay:
			best, ties = i, 1
		case i.underWay == best.underWay:
			if ties++; rand.IntN(ties) == 0 { //nolint:gosec // which of equals is asked is no secret
				best = i
			}
		}
	}
	if best != nil {
		best.underWay++
	}
	return best
}

// silent reports whether an instance has left pings unanswered for too long. While nobody calls, nobody pings either.
func (f *fleet) silent(i *instance, now time.Time) bool {
	since := i.heard
	if f.awaited.After(since) {
		since = f.awaited
	}
	return now.Sub(since) > f.limits.Silence
}

// done takes an instance back after a call that it answered or not.
func (f *fleet) done(i *instance, answered bool, took time.Duration, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i.underWay--
	switch {
	case answered:
		i.lost = 0
		return
	case took < f.limits.HedgeAfter:
		return // the caller has left, which says nothing about who was asked
	}
	i.lost++
	if took > f.limits.Silence || i.lost >= f.limits.Losses {
		i.shunned, i.lost = now.Add(f.limits.Shunned), 0
	}
}

// leave forgets an instance that has ended.
func (f *fleet) leave(i *instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known[i.id] == i {
		delete(f.known, i.id)
	}
}

// ping asks who is there, now and then.
func (f *fleet) ping(now time.Time) {
	if now.Sub(f.asked) < f.limits.Silence/pings {
		return
	}
	if !f.listening {
		f.inbox = f.conn.NewInbox()
		if _, err := f.conn.Subscribe(f.inbox, f.hear); err != nil {
			return // calls go to whom the bus hands them to
		}
		f.listening = true
	}
	if now.Sub(f.asked) > f.limits.Silence {
		f.awaited = now
	}
	f.asked = now
	_ = f.conn.PublishRequest(micro.APIPrefix+"."+micro.PingVerb.String()+".keyward-"+f.service, f.inbox, nil)
}

func (f *fleet) hear(msg *nats.Msg) {
	var said micro.Ping
	if json.Unmarshal(msg.Data, &said) != nil || said.ID == "" || said.Metadata[addressed] == "" {
		return // no answer, or of a version that has no subjects of its own
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.known[said.ID]
	if i == nil {
		i = &instance{id: said.ID}
		f.known[said.ID] = i
	}
	i.heard = time.Now()
}

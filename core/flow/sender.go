package flow

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// sender is the part of a flow that Run alone touches.
type sender[T any] struct {
	flow    *Flow[T]
	batches bool   // the stream takes them
	single  bool   // what is between here and the stream does not know them
	unasked bool   // the stream could not be asked whether it takes them
	inbox   string // where acknowledgements go
	heard   *nats.Subscription
	replies chan *nats.Msg
	timer   *time.Timer

	msg   nats.Msg // what was sent last, with memory for the next
	reply []byte
	batch batch
}

// batch is what shares acknowledgements. Its zero value is none. The server tells batches apart by the second token of where their
// acknowledgements go; the tokens behind it say how many it may take until it acknowledges, that nothing may be missing, the message's
// number in the batch, and what the message does.
type batch struct {
	to     string // where its acknowledgements go, but for the last tokens; empty = there is none
	sent   uint64
	stored uint64
	begun  bool // the server has said that it is one
	ending bool
	heard  time.Time // when the server said something last, or the batch began
	used   time.Time // when something was sent last
}

// What a message does to its batch.
const (
	opStart = "0"
	opAdd   = "1"
	opEnd   = "3" // is no message of the stream itself
)

// look finds out whether the stream takes batches.
func (s *sender[T]) look(ctx context.Context) {
	if s.single {
		s.batches, s.unasked = false, false
		return
	}
	takes, err := s.flow.batches(ctx)
	if s.batches, s.unasked = takes, err != nil; !s.batches || s.heard != nil {
		return
	}
	conn := s.flow.cfg.JS.Conn()
	s.inbox = conn.NewInbox()
	s.heard, err = conn.ChanSubscribe(s.inbox+".>", s.replies)
	s.batches = err == nil
}

// leave listens no more.
func (s *sender[T]) leave() {
	if s.heard != nil {
		_ = s.heard.Unsubscribe()
	}
}

// send sends what waits, as far as the window is open.
func (s *sender[T]) send(ctx context.Context) {
	for s.batches && s.open() {
		item, is := s.flow.next()
		if !is {
			return
		}
		if err := s.add(item); err != nil {
			s.again(ctx)
		}
	}
	if s.batches {
		return
	}
	for items := s.flow.take(window); len(items) > 0; items = s.flow.take(window) {
		stored := s.flow.alone(ctx, items)
		s.flow.settle(len(items))
		if !stored || !s.unasked {
			continue
		}
		if s.look(ctx); s.batches {
			s.send(ctx)
			return
		}
	}
}

// open reports whether a message may be sent. The second of a batch waits until the server has said that it knows what the first began.
func (s *sender[T]) open() bool {
	b := &s.batch
	return b.to == "" || b.begun && !b.ending && b.sent-b.stored < window
}

func (s *sender[T]) add(item T) error {
	now := time.Now()
	op := opAdd
	if s.batch.to == "" {
		op = opStart
		s.batch = batch{to: s.inbox + "." + rand.Text() + "." + strconv.Itoa(ackEvery) + ".fail.", heard: now}
		s.timer.Reset(linger)
	}
	s.batch.used = now
	s.batch.sent++
	s.flow.cfg.Render(item, &s.msg)
	s.msg.Reply = s.replyTo(s.batch.sent, op)
	return s.flow.cfg.JS.Conn().PublishMsg(&s.msg)
}

func (s *sender[T]) replyTo(number uint64, op string) string {
	s.reply = strconv.AppendUint(append(s.reply[:0], s.batch.to...), number, 10)
	s.reply = append(append(append(s.reply, '.'), op...), ".$FI"...)
	return string(s.reply)
}

// end ends the batch, if there is one: the server acknowledges all of it.
func (s *sender[T]) end(ctx context.Context) {
	if !s.batch.begun || s.batch.ending {
		return
	}
	s.batch.ending, s.batch.heard = true, time.Now()
	ending := &nats.Msg{Subject: s.msg.Subject, Reply: s.replyTo(s.batch.sent+1, opEnd)}
	if err := s.flow.cfg.JS.Conn().PublishMsg(ending); err != nil {
		s.again(ctx)
		return
	}
	s.timer.Reset(linger)
}

// tick ends a batch that nothing was added to for a while, and gives up one that the server says nothing of.
func (s *sender[T]) tick(ctx context.Context) {
	b := &s.batch
	switch {
	case b.to == "":
		return
	case !s.open() && time.Since(b.heard) > ackWait:
		s.again(ctx)
		s.send(ctx)
		return
	case b.begun && !b.ending && time.Since(b.used) >= linger:
		s.end(ctx)
		return
	}
	s.timer.Reset(linger)
}

// told is what a server says of a batch: how far it has come, what is wrong with it, or, without a type, that it has ended.
type told struct {
	Type     string    `json:"type"` // ack, gap or err
	Sequence uint64    `json:"seq"`  // of an ack: up to where the batch is stored. Of an end: the stream's, which says nothing here
	Batch    string    `json:"batch"`
	Count    uint64    `json:"count"`
	Error    *struct{} `json:"error"`
}

// hear takes up what the server says of the batch.
func (s *sender[T]) hear(ctx context.Context, reply *nats.Msg) {
	if s.batch.to == "" || !strings.HasPrefix(reply.Subject, s.batch.to) {
		return // of one that was given up
	}
	said, err := read(reply)
	s.batch.heard = time.Now()
	switch {
	case err != nil || said.Error != nil:
		s.again(ctx)
	case said.Type == "ack":
		s.batch.begun = true
		s.store(said.Sequence)
	case said.Type == "" && said.Batch == "":
		// It was taken for a message like others.
		s.store(s.batch.sent)
		s.batch, s.batches, s.single = batch{}, false, true
	case said.Type != "":
		return // what is wrong ends the batch, and that is told
	case s.batch.ending && said.Count == s.batch.sent:
		s.store(said.Count)
		s.batch = batch{}
	default:
		s.store(said.Count)
		s.again(ctx)
	}
	s.send(ctx)
}

func read(reply *nats.Msg) (said told, err error) {
	if status := reply.Header.Get("Status"); status != "" {
		return told{}, fmt.Errorf("the server answered %s", status) // nobody has the stream
	}
	err = json.Unmarshal(reply.Data, &said)
	return said, err
}

// store takes the batch to be stored up to a number.
func (s *sender[T]) store(upTo uint64) {
	if upTo = min(upTo, s.batch.sent); upTo > s.batch.stored {
		s.flow.settle(int(upTo - s.batch.stored)) // at most the window
		s.batch.stored = upTo
	}
}

// again sends what is left of a batch that went wrong as messages of their own, and looks whether the stream takes batches still.
func (s *sender[T]) again(ctx context.Context) {
	s.batch = batch{}
	left := s.flow.unsettled()
	s.flow.alone(ctx, left)
	s.flow.settle(len(left))
	s.look(ctx)
}

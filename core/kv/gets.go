package kv

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/direct"
)

// readAgain is how long a bucket is left alone that could not be followed.
const readAgain = 250 * time.Millisecond

// gets is a bucket that is listed and followed without consumers.
type gets struct {
	jetstream.KeyValue
	js     jetstream.JetStream
	stream *direct.Stream
	prefix string // of the subjects of its keys
}

// ByGets returns a bucket of which a Bucket lists and follows the entries without a consumer: for small buckets, and processes that may
// create none.
func ByGets(ctx context.Context, js jetstream.JetStream, bucket jetstream.KeyValue) (jetstream.KeyValue, error) {
	stream, err := direct.Open(ctx, js, "KV_"+bucket.Bucket())
	if err != nil {
		return nil, err
	}
	return &gets{KeyValue: bucket, js: js, stream: stream, prefix: "$KV." + bucket.Bucket() + "."}, nil
}

// Open returns a bucket by its name, as ByGets does.
func Open(ctx context.Context, js jetstream.JetStream, name string) (jetstream.KeyValue, error) {
	bucket, err := js.KeyValue(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	return ByGets(ctx, js, bucket)
}

// Get does what jetstream's does, with less beside the question itself.
func (g *gets) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	if !g.stream.AnswersAny() || !isPlain(key) {
		return g.KeyValue.Get(ctx, key)
	}
	msg, err := direct.Last(ctx, g.js, "KV_"+g.Bucket(), g.prefix+key)
	if err != nil {
		return nil, err
	}
	if msg == nil {
		return nil, jetstream.ErrKeyNotFound
	}
	e := g.entry(direct.Message{RawStreamMsg: msg})
	if e.Operation() != jetstream.KeyValuePut {
		return nil, jetstream.ErrKeyNotFound
	}
	return e, nil
}

// isPlain reports whether a key is one beyond doubt.
func isPlain(key string) bool {
	for i := range len(key) {
		switch c := key[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == '.' && 0 < i && i < len(key)-1 && key[i-1] != '.':
		default:
			return false
		}
	}
	return key != ""
}

// watch does what the method of Bucket does.
func (g *gets) watch(ctx context.Context, wanted sought, see func(jetstream.KeyValueEntry) bool) error {
	subject, last, more := g.prefix+wanted.pattern, uint64(0), true
	hand := func(m direct.Message) bool {
		last = m.Sequence
		if e := g.entry(m); wanted.gone || e.Operation() == jetstream.KeyValuePut {
			more = see(e)
		}
		return more
	}
	err := g.list(ctx, subject, func(m direct.Message) (bool, error) { return hand(m), nil })
	if err != nil {
		return fmt.Errorf("list %s: %w", g.Bucket(), err)
	}
	for more = more && see(nil); more; {
		err := g.stream.Follow(ctx, subject, last, func(m direct.Message) error {
			if hand(m) {
				return nil
			}
			return errWatchEnded
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case g.js.Conn().IsClosed():
			return errWatchEnded
		case errors.Is(err, direct.ErrReset):
			last = 0
		}
		if !more {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(readAgain):
		}
	}
	return nil
}

// list reads what there is. The keys of one user are found by their names: they are few, and lie anywhere.
func (g *gets) list(ctx context.Context, subject string, take func(direct.Message) (bool, error)) error {
	if strings.Count(strings.TrimPrefix(subject, g.prefix), ".") > 1 {
		return g.stream.Few(ctx, subject, take)
	}
	return g.stream.Each(ctx, subject, direct.Start{}, take)
}

func (g *gets) entry(m direct.Message) jetstream.KeyValueEntry {
	return &got{Message: m, bucket: g.Bucket(), key: strings.TrimPrefix(m.Subject, g.prefix)}
}

// got is an entry of a bucket as its stream has it.
type got struct {
	direct.Message
	bucket, key string
}

func (e *got) Bucket() string     { return e.bucket }
func (e *got) Key() string        { return e.key }
func (e *got) Value() []byte      { return e.Data }
func (e *got) Revision() uint64   { return e.Sequence }
func (e *got) Created() time.Time { return e.Time }
func (e *got) Delta() uint64      { return e.Pending }

// Operation tells what was written from what says that there is nothing any more: of a writer, or of the server when an entry has got too
// old.
func (e *got) Operation() jetstream.KeyValueOp {
	switch {
	case e.Header.Get("KV-Operation") == "DEL":
		return jetstream.KeyValueDelete
	case e.Header.Get("KV-Operation") == "PURGE", e.Header.Get("Nats-Marker-Reason") != "":
		return jetstream.KeyValuePurge
	}
	return jetstream.KeyValuePut
}

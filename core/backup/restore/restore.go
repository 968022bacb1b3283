// Package restore puts a backup into a NATS server or cluster. It promises that each stream holds what it held at the cut, with the same
// sequences and times, or that there is an error. It makes streams, which must not be there, and touches nothing else.
//
// A stream is handed to NATS whole, as an archive of the format that its own backups have, so that it takes the place of one that NATS
// wrote: into as many replicas, and with the bounds, that the installation it is restored to has.
package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats-server/v2/server/archive"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/backup"
	"github.com/keyward/keyward/core/bus"
)

// ErrOldServer says that NATS does not know the format.
var ErrOldServer = errors.New("NATS has to be of version 2.15 or later to restore into")

const (
	chunk  = 256 << 10
	window = 16 // chunks that may be under way
	// answerLimit is how long NATS may be silent.
	answerLimit = time.Minute
)

// Source is a backup and a cut of it.
type Source struct {
	Index *backup.Index
	Bytes io.ReaderAt // that were scanned
	Cut   backup.Cut
}

// Pick returns the last cut that is not after a moment; of the zero moment, the last of all.
func Pick(index *backup.Index, at time.Time) (backup.Cut, error) {
	cuts := index.Cuts
	if at.IsZero() {
		return cuts[len(cuts)-1], nil
	}
	for i := len(cuts) - 1; i >= 0; i-- {
		if !cuts[i].At.After(at) {
			return cuts[i], nil
		}
	}
	return backup.Cut{}, fmt.Errorf("%w: the first moment in it is %s, the last %s",
		ErrBefore, cuts[0].At.Format(time.RFC3339Nano), cuts[len(cuts)-1].At.Format(time.RFC3339Nano))
}

// ErrBefore says that the backup began later.
var ErrBefore = errors.New("the backup holds nothing of that moment")

// Supported fails if the server does not know the format.
func Supported(conn *nats.Conn) error {
	var major, minor int
	version := conn.ConnectedServerVersion()
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil || major < 2 || major == 2 && minor < 15 {
		return fmt.Errorf("%w, and is %s", ErrOldServer, version)
	}
	return nil
}

// Streams makes those of the layout that the backup has, each as it was at the cut, and tells of each.
func Streams(
	ctx context.Context, conn *nats.Conn, layout []jetstream.StreamConfig, from Source, tell func(name string, last uint64),
) error {
	for _, cfg := range layout {
		number := from.Index.Stream(cfg.Name)
		if number < 0 || !held(cfg.Name) {
			continue // it came with a later version, or is of no use
		}
		if told := from.Index.Header.Streams[number].Metadata[bus.PositionsTold]; told != "" {
			cfg.Metadata = map[string]string{bus.PositionsTold: told}
		}
		if err := stream(ctx, conn, cfg, from, number); err != nil {
			return fmt.Errorf("restore stream %s: %w", cfg.Name, err)
		}
		tell(cfg.Name, from.Cut.Streams[number].Last)
	}
	return nil
}

// request asks for a restore.
type request struct {
	Config jetstream.StreamConfig `json:"config"`
	State  server.StreamState     `json:"state"`
}

type answer struct {
	Error          *jetstream.APIError `json:"error"`
	DeliverSubject string              `json:"deliver_subject"`
}

func (a answer) err() error {
	if a.Error != nil {
		return a.Error
	}
	return nil
}

func stream(ctx context.Context, conn *nats.Conn, cfg jetstream.StreamConfig, from Source, number int) error {
	raw, err := json.Marshal(request{Config: cfg})
	if err != nil {
		return err
	}
	asked, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	msg, err := conn.RequestWithContext(asked, "$JS.API.STREAM.RESTORE."+cfg.Name, raw)
	if err != nil {
		return fmt.Errorf("ask NATS for it: %w", err)
	}
	var a answer
	if err := json.Unmarshal(msg.Data, &a); err != nil {
		return fmt.Errorf("understand NATS: %w", err)
	}
	if a.Error != nil {
		return a.err()
	}
	s := sender{ctx: ctx, conn: conn, subject: a.DeliverSubject, inbox: conn.NewInbox()}
	if s.answers, err = conn.SubscribeSync(s.inbox); err != nil {
		return err
	}
	defer func() { _ = s.answers.Unsubscribe() }()
	if err := s.all(func(w io.Writer) error { return write(w, from, number) }); err != nil {
		return err
	}
	return s.end()
}

// write writes the archive of a stream.
func write(w io.Writer, from Source, number int) error {
	position := from.Cut.Streams[number]
	packed := s2.NewWriter(w, s2.WriterConcurrency(1))
	out := archive.NewWriter(packed)
	state := server.StreamState{FirstSeq: position.Last + 1, LastSeq: position.Last, Consumers: len(position.Consumers)}
	if position.Last == 0 {
		state.FirstSeq = 0
	}
	for m, err := range from.Index.Messages(from.Bytes, number, position.Last) {
		if err != nil {
			return err
		}
		state.FirstSeq = m.Sequence
		break
	}
	if err := document(out, "state.json", state); err != nil {
		return err
	}
	for _, c := range position.Consumers {
		if err := consumer(out, c, position.Last); err != nil {
			return err
		}
	}
	for m, err := range from.Index.Messages(from.Bytes, number, position.Last) {
		if err != nil {
			return err
		}
		if err := entry(out, archive.Header{
			Name: m.Subject, Timestamp: m.Time, Sequence: m.Sequence, HeaderSize: int64(len(m.Header)), PayloadSize: int64(len(m.Data)),
		}, m.Header, m.Data); err != nil {
			return err
		}
	}
	return errors.Join(entry(out, archive.Header{}), out.Close(), packed.Close())
}

// consumer writes where a durable one is: what it has not acknowledged is delivered again.
func consumer(out *archive.Writer, c backup.Consumer, last uint64) error {
	var cfg server.ConsumerConfig
	if err := json.Unmarshal(c.Config, &cfg); err != nil {
		return fmt.Errorf("%w: a consumer cannot be read", backup.ErrDamaged)
	}
	at := server.SequencePair{Consumer: c.Delivered, Stream: min(c.Acknowledged, last)}
	return document(out, "consumers/"+cfg.Durable, server.SnapshotConsumerState{
		ConsumerConfig: &cfg, ConsumerState: &server.ConsumerState{Delivered: at, AckFloor: at},
	})
}

func document(out *archive.Writer, name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return entry(out, archive.Header{Name: name, Timestamp: time.Now().UnixNano(), PayloadSize: int64(len(raw))}, raw)
}

func entry(out *archive.Writer, header archive.Header, parts ...[]byte) error {
	if err := out.WriteHeader(&header); err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := out.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// sender sends what is written to it in chunks, of which so many may be without an answer.
type sender struct {
	ctx     context.Context
	conn    *nats.Conn
	subject string
	inbox   string
	answers *nats.Subscription
	open    int
	heard   bool // somebody takes what is sent
}

// all sends what a function writes.
func (s *sender) all(write func(io.Writer) error) error {
	r, w := io.Pipe()
	var writing sync.WaitGroup
	defer writing.Wait()
	defer func() { _ = r.Close() }()
	writing.Go(func() { _ = w.CloseWithError(write(w)) })
	buffer := make([]byte, chunk)
	for {
		n, err := io.ReadFull(r, buffer)
		if n > 0 {
			if err := s.send(buffer[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *sender) send(data []byte) error {
	if err := s.conn.PublishRequest(s.subject, s.inbox, data); err != nil {
		return fmt.Errorf("send to NATS: %w", err)
	}
	s.open++
	if !s.heard {
		return s.hearing(data)
	}
	if s.open < window {
		return nil
	}
	return s.await()
}

// hearing waits for the answer to what was sent first, and sends it until somebody takes it: in a cluster another server may restore than
// the one that is asked, which hears a moment later who listens there.
func (s *sender) hearing(data []byte) error {
	ctx, cancel := context.WithTimeout(s.ctx, startLimit)
	defer cancel()
	for {
		err := s.await()
		if s.heard = err == nil; !errors.Is(err, nats.ErrNoResponders) {
			return err
		}
		pause := time.NewTimer(startPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return err
		case <-pause.C:
		}
		if err := s.conn.PublishRequest(s.subject, s.inbox, data); err != nil {
			return fmt.Errorf("send to NATS: %w", err)
		}
	}
}

// await takes the next answer.
func (s *sender) await() error {
	ctx, cancel := context.WithTimeout(s.ctx, answerLimit)
	defer cancel()
	msg, err := s.answers.NextMsgWithContext(ctx)
	if err != nil {
		return fmt.Errorf("wait for NATS: %w", err)
	}
	s.open--
	var a answer
	if len(msg.Data) > 0 {
		if err := json.Unmarshal(msg.Data, &a); err != nil {
			return fmt.Errorf("understand NATS: %w", err)
		}
	}
	return a.err()
}

// end says that that was all, and waits until the stream is there.
func (s *sender) end() error {
	for s.open > 0 {
		if err := s.await(); err != nil {
			return err
		}
	}
	if err := s.send(nil); err != nil {
		return err
	}
	return s.await()
}

package direct

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/keyward/keyward/core/patience"
)

// few is how many subjects a server finds by their names.
const few = 1024

// Few does what Each does from the oldest message on, for subjects that are few among many: where a stream keeps one message of a subject,
// a server finds them by their names, and need not look through all that lies between them. What is written meanwhile may be missing, also
// before what is handed on: nobody may follow the stream from there.
func (s *Stream) Few(ctx context.Context, subject string, take func(Message) (more bool, err error)) error {
	switch {
	case !s.single:
		return s.Each(ctx, subject, Start{}, take)
	case !s.batch:
		return s.fewOfLeader(ctx, subject, take)
	}
	p, err := s.newest(ctx, subject, take)
	// They are more than a server finds in this way, or what it found was removed before it was read.
	unfound := errors.Is(err, jetstreamext.ErrBatchUnsupported) || errors.Is(err, errIncomplete)
	if p.over || err != nil && !unfound || err == nil && p.last > 0 && p.pending == 0 {
		return err
	}
	return s.Each(ctx, subject, After(p.last), take)
}

// newest reads the newest message of each subject that matches.
func (s *Stream) newest(ctx context.Context, subject string, take func(Message) (bool, error)) (page, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	batch, err := jetstreamext.GetLastMsgsFor(ctx, s.js, s.name, []string{subject})
	if err != nil {
		return page{}, fmt.Errorf("read %s: ask for the newest: %w", s.name, err)
	}
	p, err := receive(ctx, batch, take)
	if err != nil && !p.over {
		err = fmt.Errorf("read %s: %w", s.name, err)
	}
	return p, err
}

// fewOfLeader asks for the names of the subjects, and for what each has.
func (s *Stream) fewOfLeader(ctx context.Context, subject string, take func(Message) (bool, error)) error {
	names, err := s.names(ctx, subject)
	if err != nil {
		return fmt.Errorf("read %s: %w", s.name, err)
	}
	if len(names) > few {
		return s.Each(ctx, subject, Start{}, take)
	}
	found := make([]*jetstream.RawStreamMsg, 0, len(names))
	for name := range names {
		msg, err := s.lastOfLeader(ctx, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", s.name, err)
		}
		if msg != nil {
			found = append(found, msg)
		}
	}
	slices.SortFunc(found, func(a, b *jetstream.RawStreamMsg) int { return cmp.Compare(a.Sequence, b.Sequence) })
	for i, msg := range found {
		if more, err := take(Message{msg, uint64(len(found) - i - 1)}); err != nil || !more {
			return err
		}
	}
	return nil
}

// names returns the subjects that match one, with how many messages they have.
func (s *Stream) names(ctx context.Context, subject string) (map[string]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	info, err := patience.Ask(ctx, func(ctx context.Context) (*jetstream.StreamInfo, error) {
		return s.stream.Info(ctx, jetstream.WithSubjectFilter(subject))
	})
	if err != nil {
		return nil, fmt.Errorf("ask for subjects: %w", err)
	}
	return info.State.Subjects, nil
}

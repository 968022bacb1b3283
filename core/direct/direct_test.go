package direct_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
)

const name, subjects = "READ", "read.>"

// open makes a stream. A batch is answered only by one that allows direct gets.
func open(t *testing.T, batches bool) (jetstream.JetStream, *direct.Stream) {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.SyncInterval = t.TempDir(), time.Minute
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if _, err := b.JS.CreateStream(
		t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subjects}, AllowDirect: batches},
	); err != nil {
		t.Fatal(err)
	}
	s, err := direct.Open(t.Context(), b.JS, name)
	if err != nil {
		t.Fatal(err)
	}
	return b.JS, s
}

func publish(t *testing.T, js jetstream.JetStream, subject string) *jetstream.PubAck {
	t.Helper()
	ack, err := js.Publish(t.Context(), subject, []byte(subject))
	if err != nil {
		t.Fatal(err)
	}
	return ack
}

func eachWay(t *testing.T, do func(t *testing.T, js jetstream.JetStream, s *direct.Stream)) {
	t.Helper()
	for way, batches := range map[string]bool{"in batches": true, "from the leader": false} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			js, s := open(t, batches)
			do(t, js, s)
		})
	}
}

func TestEachMessageOfASubjectIsReadOnceFromWhereItIsToldToTheEnd(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, js jetstream.JetStream, s *direct.Stream) {
		const many = 600 // more than two batches
		for i := range many {
			publish(t, js, fmt.Sprintf("read.%d", i%2))
		}
		halfway, err := js.Publish(t.Context(), "read.1", nil)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := stream.GetMsg(t.Context(), halfway.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		publish(t, js, "read.0")
		publish(t, js, "read.1")
		for name, c := range map[string]struct {
			subject     string
			from        direct.Start
			count       int
			first, last uint64
		}{
			"from the oldest":          {"read.0", direct.Start{}, many/2 + 1, 1, many + 2},
			"of all subjects":          {subjects, direct.Start{}, many + 3, 1, many + 3},
			"after a position":         {"read.1", direct.After(many), 2, many + 1, many + 3},
			"since a time":             {subjects, direct.Since(msg.Time), 3, many + 1, many + 3},
			"after the end":            {subjects, direct.After(many + 3), 0, 0, 0},
			"of a subject without any": {"read.none", direct.Start{}, 0, 0, 0},
		} {
			var got []uint64
			err := s.Each(t.Context(), c.subject, c.from, func(m direct.Message) (bool, error) {
				if n := len(got); n > 0 && m.Sequence <= got[n-1] {
					t.Errorf("%s: %d came after %d", name, m.Sequence, got[n-1])
				}
				got = append(got, m.Sequence)
				return true, nil
			})
			if err != nil || len(got) != c.count || c.count > 0 && (got[0] != c.first || got[len(got)-1] != c.last) {
				t.Errorf("%s: %d messages, %v", name, len(got), err)
			}
		}
	})
}

var errEnough = errors.New("enough")

func TestWhatIsStoredMeanwhileIsFollowedWithoutAConsumer(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, js jetstream.JetStream, s *direct.Stream) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		publish(t, js, "read.0")
		var got []string
		err := s.Follow(ctx, subjects, 0, func(m direct.Message) error {
			got = append(got, m.Subject)
			if len(got) == 4 {
				return errEnough
			}
			publish(t, js, fmt.Sprintf("read.%d", len(got)))
			return nil
		})
		if diff := cmp.Diff([]string{"read.0", "read.1", "read.2", "read.3"}, got); diff != "" || !errors.Is(err, errEnough) {
			t.Error(diff, err)
		}
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if n := stream.CachedInfo().State.Consumers; n != 0 {
			t.Errorf("there are %d consumers", n)
		}
	})
}

func TestWhoeverFollowsAStreamIsToldThatItIsAnother(t *testing.T) {
	t.Parallel()
	js, s := open(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 3 {
		publish(t, js, "read.0")
	}
	err := s.Follow(ctx, subjects, 0, func(m direct.Message) error {
		if m.Sequence < 3 {
			return nil
		}
		if err := js.DeleteStream(t.Context(), name); err != nil {
			return err
		}
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subjects}, AllowDirect: true})
		return err
	})
	if !errors.Is(err, direct.ErrReset) {
		t.Errorf("got %v", err)
	}
}

// What there is between holes of any length comes once and in order, however many read beside each other.
func TestWhateverHolesAStreamHasEachMessageComesOnceAndInOrder(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, js jetstream.JetStream, s *direct.Stream) {
		// Every so many messages are of the subject that is read.
		for every, count := range map[int]int{1: 350, 3: 100, 100: 15} {
			for i := range every * count {
				subject := "read.other"
				if i%every == 0 {
					subject = "read.wanted"
				}
				if _, err := js.PublishAsync(subject, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		select {
		case <-js.PublishAsyncComplete():
		case <-time.After(time.Minute):
			t.Fatal("not all was stored")
		}
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		// Hole after hole: a long one, and single messages.
		if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(40)); err != nil {
			t.Fatal(err)
		}
		for sequence := uint64(100); sequence < 1200; sequence += 7 {
			if err := stream.DeleteMsg(t.Context(), sequence); err != nil {
				t.Fatal(err)
			}
		}
		for _, subject := range []string{subjects, "read.wanted", "read.other", "read.*"} {
			var want, got []uint64
			for next := uint64(1); ; {
				msg, err := stream.GetMsg(t.Context(), next, jetstream.WithGetMsgSubject(subject))
				if errors.Is(err, jetstream.ErrMsgNotFound) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				want, next = append(want, msg.Sequence), msg.Sequence+1
			}
			if err := s.Each(t.Context(), subject, direct.Start{}, func(m direct.Message) (bool, error) {
				got = append(got, m.Sequence)
				return true, nil
			}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", subject, diff)
			}
		}
	})
}

func TestWhoeverHasReadEnoughIsHandedNoMore(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, js jetstream.JetStream, s *direct.Stream) {
		for range 400 {
			publish(t, js, "read.0")
		}
		for _, enough := range []int{1, 32, 33, 40, 300, 400} {
			n := 0
			if err := s.Each(t.Context(), subjects, direct.Start{}, func(direct.Message) (bool, error) {
				n++
				return n < enough, nil
			}); err != nil || n != enough {
				t.Errorf("wanted %d, got %d, %v", enough, n, err)
			}
			n = 0
			if err := s.Each(t.Context(), subjects, direct.Start{}, func(direct.Message) (bool, error) {
				if n++; n == enough {
					return true, errEnough
				}
				return true, nil
			}); !errors.Is(err, errEnough) || n != enough {
				t.Errorf("failed at %d, got %d, %v", enough, n, err)
			}
		}
	})
}

// Of a stream that keeps one message of a subject, those of a few subjects come as all others do, however few or many they are.
func TestFewSubjectsAreReadLikeAnyOthers(t *testing.T) {
	t.Parallel()
	for way, batches := range map[string]bool{"in batches": true, "from the leader": false} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			js, _ := open(t, batches)
			const many = 1500 // more than a server looks up by their names
			cfg := jetstream.StreamConfig{Name: "ONE", Subjects: []string{"one.>"}, MaxMsgsPerSubject: 1, AllowDirect: batches}
			if _, err := js.CreateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			s, err := direct.Open(t.Context(), js, "ONE")
			if err != nil {
				t.Fatal(err)
			}
			for round := range 2 { // the second one takes the place of what the first one wrote
				for i := range many {
					if _, err := js.PublishAsync(fmt.Sprintf("one.%d.%d", i%500, i), fmt.Append(nil, round)); err != nil {
						t.Fatal(err)
					}
				}
			}
			select {
			case <-js.PublishAsyncComplete():
			case <-time.After(time.Minute):
				t.Fatal("not all was stored")
			}
			for subject, count := range map[string]int{"one.7.*": 3, "one.7.507": 1, "one.none.*": 0, "one.*.*": many, "one.>": many} {
				seen, last := map[string]bool{}, uint64(0)
				if err := s.Few(t.Context(), subject, func(m direct.Message) (bool, error) {
					if string(m.Data) != "1" || m.Sequence <= last {
						t.Errorf("%s: %d after %d is %s", subject, m.Sequence, last, m.Data)
					}
					seen[m.Subject], last = true, m.Sequence
					return true, nil
				}); err != nil || len(seen) != count {
					t.Errorf("%s: %d of %d, %v", subject, len(seen), count, err)
				}
			}
			n := 0
			if err := s.Few(t.Context(), "one.7.*", func(direct.Message) (bool, error) {
				n++
				return false, nil
			}); err != nil || n != 1 {
				t.Errorf("whoever wanted one got %d, %v", n, err)
			}
			if err := s.Few(t.Context(), "one.7.*", func(direct.Message) (bool, error) { return true, errEnough }); !errors.Is(err, errEnough) {
				t.Errorf("whoever failed got %v", err)
			}
		})
	}
}

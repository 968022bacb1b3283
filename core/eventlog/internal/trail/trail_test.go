package trail

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
)

const unconditional = -1

// stored is one message: of which subject, and after which sequence of it.
type stored struct {
	subject string
	after   int
}

func TestATrailIsReadBackToWhatIsPastAndOnlyIfItIsWhole(t *testing.T) {
	t.Parallel()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	long := []stored{{"own", 0}}
	for len(long) < most {
		long = append(long, stored{"own", len(long)})
	}
	for name, tc := range map[string]struct {
		stored []stored
		erased uint64
		past   uint64 // up to which sequence nothing is looked for
		want   []uint64
		whole  bool
	}{
		"one alone": {stored: []stored{{"own", 0}}, want: []uint64{1}, whole: true},
		"others' between": {
			stored: []stored{{"own", 0}, {"other", 0}, {"own", 1}, {"other", 2}, {"own", 3}}, want: []uint64{1, 3, 5}, whole: true,
		},
		"up to what is past":  {stored: []stored{{"own", 0}, {"own", 1}, {"other", 0}, {"own", 2}}, past: 1, want: []uint64{2, 4}, whole: true},
		"all is past":         {stored: []stored{{"own", 0}, {"own", 1}}, past: 2, whole: true},
		"as many as are read": {stored: long, want: []uint64{1, 2, 3, 4, 5, 6, 7, 8}, whole: true},
		"one more":            {stored: append(slices.Clone(long), stored{"own", most})},
		"one more, which is past": {
			stored: append(slices.Clone(long), stored{"own", most}), past: 1, want: []uint64{2, 3, 4, 5, 6, 7, 8, 9}, whole: true,
		},
		"a predecessor without a condition":    {stored: []stored{{"own", 0}, {"own", unconditional}, {"own", 2}}},
		"the newest without a condition":       {stored: []stored{{"own", 0}, {"own", unconditional}}},
		"one without a condition that is past": {stored: []stored{{"own", unconditional}, {"own", 1}}, past: 1, want: []uint64{2}, whole: true},
		"a predecessor that is gone":           {stored: []stored{{"own", 0}, {"own", 1}, {"own", 2}}, erased: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream := fmt.Sprintf("S%x", name)
			s, err := b.JS.CreateStream(t.Context(), jetstream.StreamConfig{Name: stream, Subjects: []string{stream + ".*"}, AllowDirect: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range tc.stored {
				msg := nats.NewMsg(stream + "." + m.subject)
				if m.after != unconditional {
					msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, fmt.Sprint(m.after))
				}
				if _, err := b.JS.PublishMsg(t.Context(), msg); err != nil {
					t.Fatal(err)
				}
			}
			if tc.erased > 0 {
				if err := s.DeleteMsg(t.Context(), tc.erased); err != nil {
					t.Fatal(err)
				}
			}
			head, err := direct.Last(t.Context(), b.JS, stream, stream+".own")
			if err != nil {
				t.Fatal(err)
			}
			past := func(msg *jetstream.RawStreamMsg) bool { return msg.Sequence <= tc.past }
			messages, whole, err := Back(t.Context(), b.JS, stream, head, past)
			if err != nil {
				t.Fatal(err)
			}
			var got []uint64
			for _, msg := range messages {
				got = append(got, msg.Sequence)
			}
			if whole != tc.whole || !slices.Equal(got, tc.want) {
				t.Errorf("got %v, %v, not %v, %v", got, whole, tc.want, tc.whole)
			}
		})
	}
}

// What a header says is taken for what the server has held a message to, so it cannot lead forward or in a circle.
func TestATrailNeverLeadsForward(t *testing.T) {
	t.Parallel()
	for _, told := range []string{"", "no number", "-1", "7", "8", "99999999999999999999999"} {
		msg := &jetstream.RawStreamMsg{Sequence: 7, Header: nats.Header{jetstream.ExpectedLastSubjSeqHeader: {told}}}
		if before, is := predecessor(msg); is {
			t.Errorf("%q leads to %d", told, before)
		}
	}
}

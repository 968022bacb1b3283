package metadata_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/metadata/metadatatest"
)

// next is when there is another blob.
var next = now.Add(20 * 24 * time.Hour)

func openStore(t *testing.T) jetstream.JetStream {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b.JS
}

// clock is a clock that tests set.
type clock struct{ ms atomic.Int64 }

func at(moment time.Time) *clock {
	c := &clock{}
	c.ms.Store(moment.UnixMilli())
	return c
}

func (c *clock) now() time.Time { return time.UnixMilli(c.ms.Load()).UTC() }

func keeper(js jetstream.JetStream, s *metadatatest.Service, c *clock) *metadata.Keeper {
	k, _ := measured(js, s, c)
	return k
}

func measured(js jetstream.JetStream, s *metadatatest.Service, c *clock) (*metadata.Keeper, *prometheus.Registry) {
	registry := prometheus.NewRegistry()
	return metadata.NewKeeper(metadata.Deps{
		JS: js, Trust: trust(s), Grace: metadata.DefaultGrace, Now: c.now, Log: slog.New(slog.DiscardHandler), Registry: registry,
	}), registry
}

func holds(t *testing.T, what string, k *metadata.Keeper, number int, wrong error) {
	t.Helper()
	known := 0
	if s := k.Now(); s != nil {
		known = s.Number
	}
	if known != number {
		t.Errorf("%s: number %d is known, want %d", what, known, number)
	}
	if err := k.Err(); !errors.Is(err, wrong) || (err == nil) != (wrong == nil) {
		t.Errorf("%s: wrong is %v, want %v", what, err, wrong)
	}
}

func TestWhatWasAcceptedLastStays(t *testing.T) {
	t.Parallel()
	// Stored objects have the time of the server, as of which they are judged again.
	js, s, c := openStore(t), metadatatest.New(t, name, time.Now()), at(time.Now())
	next := time.Now().Add(20 * 24 * time.Hour)
	k, registry := measured(js, s, c)
	k.Load(t.Context())
	holds(t, "at first", k, 0, metadata.ErrNone)

	blob := s.Blob(t, 7, next, metadatatest.Model(model, nil, "REVOKED"))
	if err := k.Offer(t.Context(), blob, metadata.Origin{ETag: `"a"`}); err != nil {
		t.Fatal(err)
	}
	holds(t, "the first", k, 7, nil)
	forged := metadatatest.New(t, name, now)
	for what, tc := range map[string]struct {
		blob []byte
		want error
	}{
		"an older one":                {s.Blob(t, 6, next), metadata.ErrOlder},
		"a forged one":                {forged.Blob(t, 8, next), metadata.ErrChain},
		"half of one":                 {blob[:len(blob)/2], metadata.ErrForm},
		"one that is too large":       {bytes.Repeat([]byte("a"), 40<<20), metadata.ErrTooLarge},
		"the same once more is taken": {blob, nil},
	} {
		if err := k.Offer(t.Context(), tc.blob, metadata.Origin{ETag: `"b"`}); !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
			t.Errorf("%s: %v", what, err)
		}
		holds(t, what, k, 7, nil)
	}
	if counted, err := testutil.GatherAndCount(registry, "keyward_mds_refused_total"); err != nil || counted != 1 {
		t.Errorf("%d, %v", counted, err)
	}

	other := keeper(js, s, c)
	other.Load(t.Context())
	holds(t, "another process", other, 7, nil)
	if got := other.Now().Of(model, nil, c.now()).Status; got != metadata.Revoked {
		t.Errorf("the model is %s", got)
	}
	if origin, err := other.Kept(t.Context()); err != nil || origin.ETag != `"a"` {
		t.Errorf("it is of %+v, %v", origin, err)
	}
	if err := keeper(js, s, c).Offer(t.Context(), s.Blob(t, 6, next), metadata.Origin{}); !errors.Is(err, metadata.ErrOlder) {
		t.Errorf("a process that has looked at nothing takes an older one: %v", err)
	}
	if err := other.Offer(t.Context(), s.Blob(t, 8, next), metadata.Origin{}); err != nil {
		t.Fatal(err)
	}
	k.Load(t.Context())
	holds(t, "what another process has taken up", k, 8, nil)
	k.Load(t.Context())
	holds(t, "and again", k, 8, nil)

	stranger := keeper(js, forged, c)
	stranger.Load(t.Context())
	holds(t, "a process that trusts another root", stranger, 0, metadata.ErrNone)
}

func TestMetadataThatIsOverdueIsUsedAllTheSame(t *testing.T) {
	t.Parallel()
	js, s, c := openStore(t), metadatatest.New(t, name, now), at(now)
	k, registry := measured(js, s, c)
	if err := k.Offer(t.Context(), s.Blob(t, 1, next), metadata.Origin{}); err != nil {
		t.Fatal(err)
	}
	c.ms.Store(next.Truncate(24 * time.Hour).Add(metadata.DefaultGrace).UnixMilli())
	holds(t, "to the end of the grace", k, 1, nil)
	c.ms.Add(1)
	holds(t, "after it", k, 1, metadata.ErrOverdue)
	if err := testutil.GatherAndCompare(registry, bytes.NewBufferString(`
# HELP keyward_mds_age_seconds `+metadata.AgeHelp+`
# TYPE keyward_mds_age_seconds gauge
keyward_mds_age_seconds 2.592000001e+06
`), "keyward_mds_age_seconds"); err != nil {
		t.Error(err)
	}
	c.ms.Store(now.Add(400 * 24 * time.Hour).UnixMilli()) // the certificates have expired, too
	holds(t, "after a year", k, 1, metadata.ErrOverdue)
	if err := k.Offer(t.Context(), s.Blob(t, 2, next), metadata.Origin{}); !errors.Is(err, metadata.ErrChain) {
		t.Errorf("what is signed with them is taken: %v", err)
	}
	holds(t, "and what there is stays", k, 1, metadata.ErrOverdue)
}

// away is a JetStream of which nothing can be had.
type away struct{ jetstream.JetStream }

var errAway = errors.New("away")

func (away) Stream(context.Context, string) (jetstream.Stream, error) { return nil, errAway }

func (away) ObjectStore(context.Context, string) (jetstream.ObjectStore, error) { return nil, errAway }

func TestNothingIsTakenUpByWhoDoesNotKnowWhatThereIs(t *testing.T) {
	t.Parallel()
	s, c := metadatatest.New(t, name, now), at(now)
	k := keeper(away{}, s, c)
	if err := k.Offer(t.Context(), s.Blob(t, 1, next), metadata.Origin{}); !errors.Is(err, metadata.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	holds(t, "it knows nothing", k, 0, metadata.ErrNone)
}

// unwritable is a JetStream that is read, and not written until it is mended.
type unwritable struct {
	jetstream.JetStream
	mended atomic.Bool
}

func (u *unwritable) ObjectStore(ctx context.Context, name string) (jetstream.ObjectStore, error) {
	if u.mended.Load() {
		return u.JetStream.ObjectStore(ctx, name)
	}
	return nil, errAway
}

func TestWhatCannotBeStoredIsUsedAndStoredLater(t *testing.T) {
	t.Parallel()
	js, s, c := openStore(t), metadatatest.New(t, name, time.Now()), at(time.Now())
	broken := &unwritable{JetStream: js}
	k := keeper(broken, s, c)
	if err := k.Offer(t.Context(), s.Blob(t, 3, time.Now()), metadata.Origin{}); err != nil {
		t.Fatal(err)
	}
	holds(t, "it is used", k, 3, errAway)
	broken.mended.Store(true)
	k.Load(t.Context())
	holds(t, "it is stored", k, 3, nil)
	other := keeper(js, s, c)
	other.Load(t.Context())
	holds(t, "others have it", other, 3, nil)
}

func TestAKeeperRunsUntilItIsTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	s := metadatatest.New(t, name, now)
	go func() {
		defer close(ended)
		keeper(away{}, s, at(now)).Run(ctx, time.Millisecond)
	}()
	cancel()
	<-ended
}

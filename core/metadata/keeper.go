package metadata

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/objects"
)

// DefaultGrace is how long the metadata may be overdue: FIDO has a new one every month, and one may be left out.
const DefaultGrace = 30 * 24 * time.Hour

// Why what there is is not as it should be.
var (
	ErrNone    = errors.New("no metadata of authenticators has been read yet: all models are unknown")
	ErrOverdue = errors.New("the metadata of authenticators is out of date, and used all the same")
	// ErrUnavailable says that what is stored cannot be read, so that it is not known what there is.
	ErrUnavailable = errors.New("what is stored of metadata cannot be read")
)

const (
	object      = "blob" // that the object store has
	callTimeout = 30 * time.Second
)

// AgeHelp says what the metric keyward_mds_age_seconds tells.
const AgeHelp = "How long ago metadata of authenticators was due that follows what is in use; below 0 = not due yet, NaN = none is in use."

// Deps is what a keeper works with. All fields are required.
type Deps struct {
	JS       jetstream.JetStream
	Trust    Trust
	Grace    time.Duration // for which metadata may be overdue
	Now      func() time.Time
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Keeper keeps what was accepted last, and knows it by heart. It is safe for concurrent use.
type Keeper struct {
	deps    Deps
	refused prometheus.Counter

	now   atomic.Pointer[Snapshot]
	wrong atomic.Pointer[error]

	mu     sync.Mutex // guards what follows, while it is being read and stored, too
	digest string     // of the object that Now is of, or a newer one of which nothing could be made
	unkept *offer     // that was accepted, and could not be stored
	loaded bool       // what is stored has been read, or there is nothing
}

type offer struct {
	blob []byte
	from Origin
}

// Origin tells, of what was fetched, which version of it that is, in the words of whoever has it (RFC 9110 §8.8).
type Origin struct {
	ETag, LastModified string
}

// NewKeeper returns a keeper that knows nothing yet.
func NewKeeper(d Deps) *Keeper {
	factory := promauto.With(d.Registry)
	k := &Keeper{deps: d, refused: factory.NewCounter(prometheus.CounterOpts{
		Name: "keyward_mds_refused_total", Help: "Metadata of authenticators that was refused; healthy is 0.",
	})}
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "keyward_mds_age_seconds",
		Help: AgeHelp,
	}, func() float64 {
		s := k.Now()
		if s == nil {
			return math.NaN()
		}
		return d.Now().Sub(s.NextUpdate).Seconds()
	})
	return k
}

// Now returns what is known; nil if nothing is. A nil Keeper knows nothing.
func (k *Keeper) Now() *Snapshot {
	if k == nil {
		return nil
	}
	return k.now.Load()
}

// Err says why what is known is not as it should be; nil if it is.
func (k *Keeper) Err() error {
	s := k.Now()
	if s == nil {
		return ErrNone
	}
	if due := s.NextUpdate.Add(k.deps.Grace); k.deps.Now().After(due) {
		return fmt.Errorf("%w: number %d was to be replaced by %s", ErrOverdue, s.Number, s.NextUpdate.Format(time.DateOnly))
	}
	if wrong := k.wrong.Load(); wrong != nil {
		return *wrong
	}
	return nil
}

// Run looks for what other processes have stored, in a rhythm, until ctx ends.
func (k *Keeper) Run(ctx context.Context, pause time.Duration) {
	ticks := time.NewTicker(pause)
	defer ticks.Stop()
	for {
		k.Load(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// Load takes up what is stored, if it is newer than what is known. What goes wrong Err tells.
func (k *Keeper) Load(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.wrong.Load()
	err := k.load(ctx)
	if err == nil && k.unkept != nil {
		err = k.store(ctx, k.unkept)
	}
	k.is(err)
	if err != nil && before == nil && ctx.Err() == nil {
		k.deps.Log.WarnContext(ctx, "metadata of authenticators cannot be looked for in the store, what is known stays", "error", err)
	}
}

// load is Load; the caller holds the lock. What was accepted is judged as of the moment at which it was: certificates may run out since.
func (k *Keeper) load(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	info, err := k.info(limited)
	if err != nil {
		return err
	}
	if info == nil || info.Digest == k.digest {
		k.loaded = true
		return nil
	}
	if info.Size > MaxSize {
		return ErrTooLarge
	}
	blob, err := objects.Content(limited, k.deps.JS, bus.MetadataBucket, info)
	if err != nil {
		return fmt.Errorf("read the stored metadata: %w", err)
	}
	k.digest, k.loaded = info.Digest, true
	s, err := Verify(blob, k.deps.Trust, info.ModTime)
	if err != nil {
		k.refused.Inc()
		return fmt.Errorf("the stored metadata: %w", err)
	}
	if known := k.Now(); known == nil || s.Number >= known.Number {
		k.take(ctx, s)
	}
	return nil
}

func (k *Keeper) info(ctx context.Context) (*jetstream.ObjectInfo, error) {
	all, err := objects.List(ctx, k.deps.JS, bus.MetadataBucket)
	if err != nil {
		return nil, fmt.Errorf("look for stored metadata: %w", err)
	}
	for _, info := range all {
		if info.Name == object {
			return info, nil
		}
	}
	return nil, nil
}

// Kept returns of which version what is stored is.
func (k *Keeper) Kept(ctx context.Context) (Origin, error) {
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	info, err := k.info(limited)
	if info == nil || err != nil {
		return Origin{}, err
	}
	return Origin{ETag: info.Metadata["etag"], LastModified: info.Metadata["last-modified"]}, nil
}

// Offer takes up a blob, if it is good and not older than what there is, and stores it for every other process. The errors are those of
// Verify, ErrOlder, and ErrUnavailable in case it is not known what there is: it can be offered again then. Whatever is refused, what is
// known stays.
func (k *Keeper) Offer(ctx context.Context, blob []byte, from Origin) error {
	s, err := Verify(blob, k.deps.Trust, k.deps.Now())
	if err != nil {
		k.refused.Inc()
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.load(ctx); err != nil && !k.loaded {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	known := k.Now()
	switch {
	case known == nil:
	case s.Number < known.Number:
		k.refused.Inc()
		return fmt.Errorf("%w: its number is %d, and that of what there is %d", ErrOlder, s.Number, known.Number)
	case s.Revision == known.Revision && k.unkept == nil && k.digest != "":
		return nil
	}
	k.take(ctx, s)
	k.unkept = &offer{blob: bytes.Clone(blob), from: from}
	err = k.store(ctx, k.unkept)
	if k.is(err); err != nil {
		k.deps.Log.WarnContext(ctx, "metadata of authenticators is used, and not stored yet", "error", err)
	}
	return nil
}

// is makes known what is wrong.
func (k *Keeper) is(err error) {
	if err == nil {
		k.wrong.Store(nil)
		return
	}
	k.wrong.Store(&err)
}

func (k *Keeper) take(ctx context.Context, s *Snapshot) {
	k.now.Store(s)
	k.deps.Log.InfoContext(
		ctx, "metadata of authenticators was taken up", "number", s.Number, "revision", s.Revision, "next_update",
		s.NextUpdate.Format(time.DateOnly), "models", s.Models(), "faulty", s.Faulty,
	)
}

func (k *Keeper) store(ctx context.Context, o *offer) error {
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	store, err := k.deps.JS.ObjectStore(limited, bus.MetadataBucket)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", bus.MetadataBucket, err)
	}
	meta := jetstream.ObjectMeta{Name: object, Metadata: map[string]string{"etag": o.from.ETag, "last-modified": o.from.LastModified}}
	info, err := store.Put(limited, meta, bytes.NewReader(o.blob))
	if err != nil {
		return fmt.Errorf("store the metadata: %w", err)
	}
	k.digest, k.unkept = info.Digest, nil
	return nil
}

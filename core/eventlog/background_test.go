package eventlog_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/historycache"
	"github.com/keyward/keyward/core/ident"
)

// lone is the store of an installation that is one process. It takes offers in the background until stop.
type lone struct {
	*eventlog.Store
	bus     *bus.Bus
	metrics *prometheus.Registry
	stop    func()
}

func startLone(t *testing.T) lone {
	t.Helper()
	config := bus.DefaultConfig()
	config.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	epochs, err := b.Bucket(t.Context(), bus.EpochsBucket)
	if err != nil {
		t.Fatal(err)
	}
	l := lone{bus: b, metrics: prometheus.NewRegistry()}
	l.Store, err = eventlog.Open(t.Context(), eventlog.Deps{
		JetStream: b.JS, Epochs: epochs, Metrics: l.metrics, Clock: time.Now, Log: slog.New(slog.DiscardHandler),
	}, historycache.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	l.stop = func() { cancel(); running.Wait() }
	t.Cleanup(l.stop)
	return l
}

func (l lone) lost(t *testing.T) float64 {
	t.Helper()
	families, err := l.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "keyward_offers_lost_total" {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("losses are not counted")
	return 0
}

// stored returns how many offers the stream has.
func (l lone) stored(t *testing.T) uint64 {
	t.Helper()
	stream, err := l.bus.JS.Stream(t.Context(), bus.OffersStream)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

func idsOf(offers []event.Event) []ident.EventID {
	found := []ident.EventID{}
	for _, o := range offers {
		found = append(found, o.ID)
	}
	return found
}

// TestAnOfferOnItsWayIsFoundByEveryRead asks at once, while those of another user are on their way too.
func TestAnOfferOnItsWayIsFoundByEveryRead(t *testing.T) {
	t.Parallel()
	l := startLone(t)
	for number := range 30 {
		for k := range 20 {
			mustBeTaken(t, l, offered("usr-2", "p", k))
		}
		offer := event.Offer{Event: offered("usr-1", "p", number), Pending: []byte(`{"state":1}`)}
		offer.Challenge = "Y2hhbGxlbmdl" + string(offer.ID)
		if err := l.PublishPending(t.Context(), offer); err != nil {
			t.Fatal(err)
		}
		if number%3 == 0 { // what is kept in memory is gone
			if err := l.DistrustAll(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for what, read := range map[string]func() ([]event.Event, error){
			"Offers":    func() ([]event.Event, error) { return l.Offers(t.Context(), project, "usr-1", "p") },
			"AllOffers": func() ([]event.Event, error) { return l.AllOffers(t.Context(), project, "usr-1") },
			"Pending": func() (offers []event.Event, err error) {
				pending, err := l.Pending(t.Context(), project, "usr-1", offer.Challenge)
				for _, o := range pending {
					offers = append(offers, o.Event)
				}
				return offers, err
			},
		} {
			found, err := read()
			if err != nil || len(found) == 0 || found[0].ID != offer.ID {
				t.Fatalf("%s does not begin with offer %d: %v, %v", what, number, idsOf(found), err)
			}
			if all := idsOf(found); len(slices.Compact(slices.Sorted(slices.Values(all)))) != len(all) {
				t.Fatalf("%s has one twice: %v", what, all)
			}
		}
	}
}

func TestWhatIsOnItsWayAtTheEndIsStored(t *testing.T) {
	t.Parallel()
	l := startLone(t)
	const many = 50
	for number := range many {
		mustBeTaken(t, l, offered("usr-1", "p", number))
	}
	l.stop()
	mustBeTaken(t, l, offered("usr-1", "p", many)) // is awaited
	if got := l.stored(t); got != many+1 || l.lost(t) != 0 {
		t.Errorf("%d of %d offers are stored, %v lost", got, many+1, l.lost(t))
	}
}

func mustBeTaken(t *testing.T, l lone, e event.Event) {
	t.Helper()
	if err := l.PublishOffer(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

func TestAnErasureTakesWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	for name, erase := range map[string]func(lone) error{
		"at once": func(l lone) error { return l.Erase(t.Context(), project, "usr-1") },
		"later":   func(l lone) error { return l.EraseLate(t.Context(), project, "usr-1") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := startLone(t)
			for number := range 3000 { // more than leave at once
				mustBeTaken(t, l, offered("usr-1", "p", number))
			}
			if err := erase(l); err != nil {
				t.Fatal(err)
			}
			l.stop()
			if got := l.stored(t); got != 0 {
				t.Errorf("%d offers are left", got)
			}
		})
	}
}

func TestAnOfferThatTheLogDoesNotTakeIsCounted(t *testing.T) {
	t.Parallel()
	l := startLone(t)
	if err := l.bus.JS.DeleteStream(t.Context(), bus.OffersStream); err != nil {
		t.Fatal(err)
	}
	mustBeTaken(t, l, offered("usr-1", "p", 1))
	l.stop()
	if got := l.lost(t); got != 1 {
		t.Errorf("%v are lost, not 1", got)
	}
}

// TestALogThatDoesNotTakeOffersIsSaidToUntilItDoes lets the first be lost, which nobody could be told.
func TestALogThatDoesNotTakeOffersIsSaidToUntilItDoes(t *testing.T) {
	t.Parallel()
	l := startLone(t)
	stream, err := l.bus.JS.Stream(t.Context(), bus.OffersStream)
	if err != nil {
		t.Fatal(err)
	}
	full := stream.CachedInfo().Config
	full.MaxMsgSize = 1
	if _, err := l.bus.JS.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for l.PublishOffer(t.Context(), offered("usr-1", "p", 1)) != nil {
		<-tick.C // until it is begun that offers are taken without being awaited
	}
	for l.lost(t) == 0 {
		<-tick.C
	}
	for number := range 3 {
		if err := l.PublishOffer(t.Context(), offered("usr-1", "p", 2+number)); err == nil {
			t.Error("an offer is said to be taken that the log does not take")
		}
	}
	if _, err := l.bus.JS.UpdateStream(t.Context(), stream.CachedInfo().Config); err != nil {
		t.Fatal(err)
	}
	mustBeTaken(t, l, offered("usr-1", "p", 5))
	if got := l.stored(t); got != 1 {
		t.Errorf("the first that the log takes again was not awaited: %d stored", got)
	}
	mustBeTaken(t, l, offered("usr-1", "p", 6))
	l.stop()
	if got := l.stored(t); got != 2 || l.lost(t) != 1 {
		t.Errorf("%d are stored, %v lost", got, l.lost(t))
	}
}

func TestAnOfferWhoseIDReachesBeyondItsPlaceIsRefused(t *testing.T) {
	t.Parallel()
	l := startLone(t)
	e := offered("usr-1", "p", 1)
	e.User = "usr-1.>"
	if err := l.PublishOffer(t.Context(), e); err == nil {
		t.Error("it was taken")
	}
}

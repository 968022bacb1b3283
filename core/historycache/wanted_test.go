package historycache

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/keyward/keyward/core/historycache/internal/wanted"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/sighting"
)

// hasty returns a config with which what nobody wants is left out soon.
func hasty() Config {
	config := DefaultConfig()
	config.Wanted = wanted.Config{
		Lease: 100 * time.Millisecond, Poll: 20 * time.Millisecond, Renew: 50 * time.Millisecond, Grace: 300 * time.Millisecond,
	}
	return config
}

var ofAddress = sighting.KindsOf(sighting.Kind{Subject: sighting.Address, Family: sighting.Bad})

// until polls.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// inAddress reads the failures of an address alone.
func (w *world) inAddress(t *testing.T, c *Cache, address string) sighting.Reading {
	t.Helper()
	keys := sighting.Keys(someone.Project, named.Name("", "", address), sighting.Bad)[:1]
	read, err := c.ReadWith(t.Context(), someone.Project, someone.User, "", keys)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestOfSetsThatNobodyReadsNothingIsWritten(t *testing.T) {
	t.Parallel()
	inEachShapeOf(t, hasty(), func(t *testing.T, w *world) {
		w.whole(t, w.one)
		w.one.Want(ofAddress)
		w.two.Want(ofAddress)
		until(t, "all kinds are written", func() bool { return w.one.wanted.Written() == ofAddress && w.two.wanted.Written() == ofAddress })
		w.mustAdd(t, w.one, refused(someone.User, office))
		read := w.mustSee(t, w.two, someone.User, office)
		if user, address, network := read.Sets[0].Len(), read.Sets[2].Len(), read.Sets[3].Len(); user != 0 || address != 1 || network != 0 {
			t.Errorf("user %d, address %d, network %d", user, address, network)
		}
		if complete(&read) {
			t.Error("sets that are not written are said to be complete")
		}
		if read := w.inAddress(t, w.two, office); !complete(&read) {
			t.Error("the set that is written is not said to be complete")
		}
		w.two.Want(sighting.EveryKind) // what one does not want as well
		w.whole(t, w.two)
		read = w.mustSee(t, w.two, someone.User, office)
		if user, address, network := read.Sets[0].Len(), read.Sets[2].Len(), read.Sets[3].Len(); user != 1 || address != 1 || network != 1 {
			t.Errorf("found in the log: user %d, address %d, network %d", user, address, network)
		}
	})
}

// TestPropertyNothingThatIsLeftOutIsSaidToBeComplete has instances change what they read, again and again, while events come: a set that is
// said to be complete holds all that was acknowledged before it was read.
func TestPropertyNothingThatIsLeftOutIsSaidToBeComplete(t *testing.T) {
	t.Parallel()
	inEachShapeOf(t, hasty(), func(t *testing.T, w *world) {
		r := rand.New(rand.NewPCG(1, 2))
		both := []*Cache{w.one, w.two}
		said, unsaid := 0, 0
		const events, period = 60, 20 // fewer than a set holds
		slowly := time.NewTicker(70 * time.Millisecond)
		defer slowly.Stop()
		for i := range events {
			<-slowly.C
			switch i % period {
			case 2: // long enough for what nobody wants to be left out
				w.one.Want(0)
				w.two.Want(0)
			case period/2 + r.IntN(3):
				both[r.IntN(2)].Want([]sighting.Kinds{ofAddress, sighting.EveryKind}[r.IntN(2)])
			case period - 1:
				both[r.IntN(2)].Want(ofAddress)
			}
			w.mustAdd(t, both[i%2], refused(ident.UserID(fmt.Sprint("usr-", i+1)), office))
			for range 10 {
				read := w.inAddress(t, both[(i/2)%2], office)
				if !complete(&read) {
					unsaid++
					continue
				}
				said++
				if n := read.Sets[0].Count(everything(sighting.Users), time.Now()); n < i+1 {
					t.Fatalf("%d of %d, and it is said to be complete", n, i+1)
				}
			}
		}
		if said == 0 || unsaid == 0 {
			t.Errorf("it was said to be complete %d times, and %d times not", said, unsaid)
		}
		w.one.Want(sighting.EveryKind)
		w.whole(t, w.two)
		read := w.inAddress(t, w.two, office)
		if n := read.Sets[0].Count(everything(sighting.Users), time.Now()); n != events {
			t.Errorf("%d of %d are there in the end", n, events)
		}
	})
}

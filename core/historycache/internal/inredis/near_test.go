package inredis

import (
	"fmt"
	"testing"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/ident"
)

func TestWhatHoldsMoreThanItsShareIsNotKeptBesideRedis(t *testing.T) {
	t.Parallel()
	const share, others = 4, 20
	n, err := newNear(share * entry.Shares)
	if err != nil {
		t.Fatal(err)
	}
	of := func(events int) *known {
		k := &known{}
		for range events {
			k = &known{events: k.events.With(event.Event{ID: ident.NewEventID()})}
		}
		return k
	}
	for i := range others {
		n.keep(fmt.Sprint(i), of(1))
	}
	for events := range 3 * share {
		n.keep("growing", of(events))
		if is := n.get("growing") != nil; is != (events <= share) {
			t.Errorf("with %d events it is kept: %t", events, is)
		}
	}
	for i := range others {
		if n.get(fmt.Sprint(i)) == nil {
			t.Errorf("entry %d is gone", i)
		}
	}
}

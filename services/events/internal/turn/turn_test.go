package turn_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/keyward/keyward/services/events/internal/turn"
)

func TestOneAtATimeIsLetInForEachName(t *testing.T) {
	t.Parallel()
	var turns turn.Turns
	var all sync.WaitGroup
	inside := map[string]*int{"ada": new(int), "bob": new(int)} // the race detector sees two at once
	for n := range 100 {
		name := []string{"ada", "bob"}[n%2]
		all.Go(func() {
			leave, err := turns.Take(t.Context(), name)
			if err != nil {
				t.Error(err)
				return
			}
			defer leave()
			*inside[name]++
		})
	}
	all.Wait()
	if *inside["ada"] != 50 || *inside["bob"] != 50 {
		t.Errorf("let in: %d and %d", *inside["ada"], *inside["bob"])
	}
}

func TestWhoGivesUpWaitingLeavesTheTurnToOthers(t *testing.T) {
	t.Parallel()
	var turns turn.Turns
	leave, err := turns.Take(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := turns.Take(ctx, "ada"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	leave()
	if leave, err = turns.Take(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}
	leave()
}

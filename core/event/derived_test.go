package event_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyward/keyward/core/event"
)

func TestWhatIsDerivedOfASetIsKeptBesideIt(t *testing.T) {
	t.Parallel()
	type count struct{ events int }
	type other struct{ events int }
	var worked atomic.Int32
	counted := func(s event.Set) *count { worked.Add(1); return &count{s.Len()} }
	s := event.NewSet([]event.Event{{ID: "a"}, {ID: "b"}})
	first := event.Derived(s, counted)
	if again := event.Derived(s, counted); again != first || first.events != 2 || worked.Load() != 1 {
		t.Errorf("%+v and %+v, worked out %d times", first, again, worked.Load())
	}
	if o := event.Derived(s, func(event.Set) *other { return &other{7} }); o.events != 7 || event.Derived(s, counted) != first {
		t.Error("types get into each other's way")
	}
	if more := event.Derived(s.With(event.Event{ID: "c"}), counted); more.events != 3 || first.events != 2 {
		t.Error("a set with more events has what was derived of the one before")
	}
	if none := event.Derived(event.Set{}, counted); none.events != 0 {
		t.Error("of no events there are some")
	}
}

func TestCallersAtOnceShareWhatIsDerived(t *testing.T) {
	t.Parallel()
	type one struct{ _ byte }
	type two struct{ _ byte }
	s := event.NewSet([]event.Event{{ID: "a"}})
	var ones, twos sync.Map
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			ones.Store(event.Derived(s, func(event.Set) *one { return &one{} }), true)
			twos.Store(event.Derived(s, func(event.Set) *two { return &two{} }), true)
		})
	}
	asking.Wait()
	for name, all := range map[string]*sync.Map{"one": &ones, "two": &twos} {
		n := 0
		all.Range(func(any, any) bool { n++; return true })
		if n != 1 {
			t.Errorf("%d of type %s", n, name)
		}
	}
}

package eventlog

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sony/gobreaker/v2"

	"github.com/keyward/keyward/core/cache/cachetest"
	"github.com/keyward/keyward/core/event"
)

// TestFill lets things happen at each point of a fill: before is after the filler has read the log, during after it has written the entry.
func TestFill(t *testing.T) {
	t.Parallel()
	const entry = "{pro-1/usr-1}:events"
	early, late := some("usr-1"), some("usr-1")
	type scene struct {
		t *testing.T
		shelf
		empty func() error
		late  []event.Event // what the second read of the log finds
	}
	flush := func(s *scene) {
		if err := s.empty(); err != nil {
			s.t.Fatal(err)
		}
	}
	add := func(s *scene) {
		s.late = []event.Event{late}
		if _, err := s.add(s.t.Context(), entry, late); err != nil {
			s.t.Fatal(err)
		}
	}
	inRedis := func(t *testing.T) *scene {
		c := embedded(t)
		return &scene{t: t, shelf: c, empty: func() error { return c.client.FlushAll(t.Context()).Err() }}
	}
	inMemory := func(t *testing.T) *scene {
		m, err := newMemory(100, time.Minute, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		return &scene{t: t, shelf: m, empty: func() error { m.kept.InvalidateAll(); return nil }}
	}
	nothing := func(*scene) {}
	other := func(s *scene) {
		if _, err := s.fill(s.t.Context(), entry, 7, []event.Event{early}, func() ([]event.Event, error) { return nil, nil }); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name           string
		before, during func(*scene)
		want           trust
		events         []event.Event
	}{
		{"undisturbed", nothing, nothing, trusted, []event.Event{early}},
		{"a writer adds before the entry is written", add, nothing, trusted, []event.Event{early, late}},
		{"a writer adds and the entry vanishes before it is written", func(s *scene) { add(s); flush(s) }, nothing, trusted, []event.Event{early, late}},
		{"a writer adds while it is filled", nothing, add, trusted, []event.Event{early, late}},
		{"the entry vanishes while it is filled", nothing, flush, untrusted, nil},
		{"a writer adds and the entry vanishes while it is filled", nothing, func(s *scene) { add(s); flush(s) }, untrusted, nil},
		{"another filler is faster", nothing, other, untrusted, nil},
	} {
		for where, begin := range map[string]func(*testing.T) *scene{"Redis": inRedis, "memory": inMemory} {
			t.Run(c.name+"/"+where, func(t *testing.T) {
				t.Parallel()
				s := begin(t)
				c.before(s)
				said, err := s.fill(t.Context(), entry, 7, []event.Event{early}, func() ([]event.Event, error) {
					c.during(s)
					return s.late, nil
				})
				if err != nil {
					t.Fatal(err)
				}
				got, result, err := s.read(t.Context(), entry, 7)
				if err != nil || result != c.want {
					t.Fatalf("%s, %v; want %s", result, err, c.want)
				}
				looked, result, err := s.look(t.Context(), entry, 7)
				if err != nil || result != c.want || looked != said {
					t.Fatalf("%s with %v after %v, %v; want %s", result, looked, said, err, c.want)
				}
				var events []event.Event
				if got != nil {
					events = got.events
				}
				if diff := cmp.Diff(event.NewSet(c.events).Live(), events, cmpopts.EquateEmpty()); diff != "" {
					t.Error(diff)
				}
				if _, result, _ := s.read(t.Context(), entry, 8); result != untrusted {
					t.Errorf("under another epoch: %s", result)
				}
			})
		}
	}
}

func TestEverythingInRedisExpires(t *testing.T) {
	t.Parallel()
	c := embedded(t)
	for key, write := range map[string]func(string) (control, error){
		"event":   func(key string) (control, error) { return c.add(t.Context(), key, some("usr-1")) },
		"account": func(key string) (control, error) { return c.noteAccount(t.Context(), key) },
		"filled": func(key string) (control, error) {
			return c.fill(t.Context(), key, 7, nil, func() ([]event.Event, error) { return nil, nil })
		},
		"vanished": func(key string) (control, error) {
			return c.fill(t.Context(), key, 7, nil, func() ([]event.Event, error) { return nil, c.client.FlushAll(t.Context()).Err() })
		},
	} {
		if _, err := write(key); err != nil {
			t.Fatal(err)
		}
		if ttl := c.client.TTL(t.Context(), key).Val(); ttl <= 0 || ttl > c.config.TTL {
			t.Errorf("%s expires in %s", key, ttl)
		}
	}
}

func TestMemoryExpiresAndIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	m, err := newMemory(20, time.Minute, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	fill := func(key string) {
		_, err := m.fill(t.Context(), key, 7, []event.Event{some("usr-1")}, func() ([]event.Event, error) { return nil, nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	fill("a")
	now = now.Add(time.Minute - 1)
	if _, err := m.add(t.Context(), "a", some("usr-1")); err != nil {
		t.Fatal(err)
	}
	if k, result, _ := m.read(t.Context(), "a", 7); result != trusted || len(k.events) != 2 {
		t.Fatalf("%s before it expires", result)
	}
	now = now.Add(1)
	if _, result, _ := m.read(t.Context(), "a", 7); result != absent {
		t.Errorf("%s once it has expired", result)
	}
	if said, _ := m.noteAccount(t.Context(), "a"); said != (control{account: "1"}) {
		t.Errorf("the expired entry lives on: %v", said)
	}
	for k := range 1000 {
		fill(fmt.Sprint(k))
	}
	m.kept.CleanUp()
	if weight := m.kept.WeightedSize(); weight > 20 {
		t.Errorf("%d events are kept in room for 20", weight)
	}
}

func embedded(t *testing.T) *entries {
	t.Helper()
	config := DefaultConfig()
	config.TTL = time.Minute
	return newCache(cachetest.Start(t).Client, config, func(_, _ gobreaker.State) {})
}

package historycache

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sony/gobreaker/v2"

	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// TestFill lets things happen at each point of a fill: before is after the filler has read the log, during after it has written the entry.
func TestFill(t *testing.T) {
	t.Parallel()
	const entry = "{pro-1/usr-1}:events"
	early, late := some("usr-1"), some("usr-1")
	type scene struct {
		t *testing.T
		*entries
		late []event.Event // what the second read of the log finds
	}
	flush := func(s *scene) {
		if err := s.client.FlushAll(s.t.Context()).Err(); err != nil {
			s.t.Fatal(err)
		}
	}
	add := func(s *scene) {
		s.late = []event.Event{late}
		raw, err := json.Marshal(late)
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := s.add(s.t.Context(), entry, byID(&late), raw); err != nil {
			s.t.Fatal(err)
		}
	}
	nothing := func(*scene) {}
	other := func(s *scene) {
		if _, err := s.fill(s.t.Context(), entry, 7, byID, []event.Event{early}, func() ([]event.Event, error) { return nil, nil }); err != nil {
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
		{
			"a writer adds and the entry vanishes before it is written", func(s *scene) { add(s); flush(s) }, nothing, trusted,
			[]event.Event{early, late},
		},
		{"a writer adds while it is filled", nothing, add, trusted, []event.Event{early, late}},
		{"the entry vanishes while it is filled", nothing, flush, untrusted, nil},
		{"a writer adds and the entry vanishes while it is filled", nothing, func(s *scene) { add(s); flush(s) }, untrusted, nil},
		{"another filler is faster", nothing, other, untrusted, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &scene{t: t, entries: embedded(t)}
			c.before(s)
			_, err := s.fill(t.Context(), entry, 7, byID, []event.Event{early}, func() ([]event.Event, error) {
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
			var events []event.Event
			if got != nil {
				events = got.events.All()
			}
			if diff := cmp.Diff(event.NewSet(c.events).Live(), events, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if _, result, _ := s.read(t.Context(), entry, 8); result != untrusted {
				t.Errorf("under another epoch: %s", result)
			}
			if ttl := s.client.TTL(t.Context(), entry).Val(); ttl <= 0 || ttl > s.config.TTL {
				t.Errorf("expires in %s", ttl)
			}
		})
	}
}

func embedded(t *testing.T) *entries {
	t.Helper()
	c, err := cache.Open(cache.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	config := DefaultConfig()
	config.TTL = time.Minute
	return newEntries(c.Client, config, func(_, _ gobreaker.State, _ error) {})
}

func some(user ident.UserID) event.Event {
	return event.Event{ID: ident.NewEventID(), Project: "pro-1", User: user, Type: event.LoginError, CreatedMs: 1}
}

package eventlog_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/historycache"
	"github.com/keyward/keyward/core/ident"
)

// offered is a login offer of a process, made a second after the one with the number before.
func offered(user ident.UserID, process string, number int) event.Event {
	e := failure(user)
	e.Type, e.Process, e.CreatedMs = event.LoginOffered, process, e.CreatedMs+int64(number)*1000
	return e
}

func mustOffer(t *testing.T, n *instance, e event.Event) event.Event {
	t.Helper()
	if err := n.PublishOffer(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return e
}

func mustFindOffers(t *testing.T, n *instance, about ...string) []ident.EventID {
	t.Helper()
	offers, err := n.Offers(t.Context(), project, "usr-1", about...)
	if err != nil {
		t.Fatal(err)
	}
	found := []ident.EventID{}
	for _, o := range offers {
		found = append(found, o.ID)
	}
	return found
}

// TestAnOfferIsKnownToEveryReaderThatBeginsAfterwards lets things happen between a first read and a last one, on another instance.
func TestAnOfferIsKnownToEveryReaderThatBeginsAfterwards(t *testing.T) {
	t.Parallel()
	type scene struct {
		*installation
		writer, reader *instance
	}
	for name, happens := range map[string]func(*testing.T, *scene) event.Event{
		"nothing else": func(t *testing.T, s *scene) event.Event {
			return mustOffer(t, s.writer, offered("usr-1", "p", 2))
		},
		"the cache was flushed after it": func(t *testing.T, s *scene) event.Event {
			e := mustOffer(t, s.writer, offered("usr-1", "p", 2))
			flush(t, s.installation)
			return e
		},
		"the cache was flushed before it": func(t *testing.T, s *scene) event.Event {
			flush(t, s.installation)
			return mustOffer(t, s.writer, offered("usr-1", "p", 2))
		},
		"its writer could not reach Redis, and a lease has passed": func(t *testing.T, s *scene) event.Event {
			s.writer.cutOff()
			e := mustOffer(t, s.writer, offered("usr-1", "p", 2))
			waitFor(t, "the offer to be known", func() bool { return mustFindOffers(t, s.reader)[0] == e.ID })
			return e
		},
		"its reader cannot reach Redis": func(t *testing.T, s *scene) event.Event {
			s.reader.cutOff()
			return mustOffer(t, s.writer, offered("usr-1", "p", 2))
		},
		"Redis came back with what it had before": func(t *testing.T, s *scene) event.Event {
			restarted := snapshot(t, s.installation)
			e := mustOffer(t, s.writer, offered("usr-1", "p", 2))
			for _, n := range []*instance{s.writer, s.reader} {
				n.server.Store(restarted)
				n.disconnect()
			}
			return e
		},
		"a writer of offers died between the log and the cache, and an events service started": func(t *testing.T, s *scene) event.Event {
			log, err := eventlog.NewLog(t.Context(), s.bus.JS)
			if err != nil {
				t.Fatal(err)
			}
			e := offered("usr-1", "p", 2)
			if err := log.PublishOffer(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			if err := s.writer.DistrustAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			return e
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := install(t)
			s := &scene{installation: i, writer: i.start(quick()), reader: i.start(quick())}
			first := mustOffer(t, s.writer, offered("usr-1", "p", 1))
			for range 2 { // from the log, then from the cache
				if diff := cmp.Diff([]ident.EventID{first.ID}, mustFindOffers(t, s.reader)); diff != "" {
					t.Fatal(diff)
				}
			}
			second := happens(t, s)
			for range 2 {
				if diff := cmp.Diff([]ident.EventID{second.ID, first.ID}, mustFindOffers(t, s.reader)); diff != "" {
					t.Fatal(diff)
				}
			}
		})
	}
}

func TestOffersComeNewestFirstAndBounded(t *testing.T) {
	t.Parallel()
	for _, read := range []int{0, 1, 10, 40} { // how many there are when somebody reads for the first time
		t.Run(fmt.Sprint(read), func(t *testing.T) {
			t.Parallel()
			n := install(t).start(quick())
			var all []ident.EventID
			for k := range 2 * bus.OffersPerSubject {
				if k == read {
					_ = mustFindOffers(t, n)
				}
				all = append([]ident.EventID{mustOffer(t, n, offered("usr-1", "p", k)).ID}, all...)
			}
			for range 2 {
				if diff := cmp.Diff(all[:historycache.RecentOffers], mustFindOffers(t, n)); diff != "" {
					t.Error(diff)
				}
			}
			kept, err := n.AllOffers(t.Context(), project, "usr-1")
			if err != nil || len(kept) != bus.OffersPerSubject || kept[0].ID != all[0] {
				t.Errorf("%d offers in the log, %v", len(kept), err)
			}
		})
	}
}

func TestOffersAreFoundByWhatTheySay(t *testing.T) {
	t.Parallel()
	n := install(t).start(quick())
	quoted := `a "process" with <odd> letters \ ü`
	plain, odd := offered("usr-1", "process-1", 1), offered("usr-1", quoted, 2)
	plain.Challenge = "Y2hhbGxlbmdl"
	_ = mustFindOffers(t, n)
	mustOffer(t, n, plain)
	mustOffer(t, n, odd)
	for _, c := range []struct {
		name  string
		about []string
		want  []ident.EventID
	}{
		{"without a text, all", nil, []ident.EventID{odd.ID, plain.ID}},
		{"by its process", []string{"process-1"}, []ident.EventID{plain.ID}},
		{"by a process that JSON writes otherwise", []string{quoted}, []ident.EventID{odd.ID}},
		{"by its challenge", []string{"", "Y2hhbGxlbmdl"}, []ident.EventID{plain.ID}},
		{"by the one or the other", []string{quoted, "Y2hhbGxlbmdl"}, []ident.EventID{odd.ID, plain.ID}},
		{"not by a part of it", []string{"process"}, []ident.EventID{}},
		{"not by nothing", []string{""}, []ident.EventID{}},
	} {
		if diff := cmp.Diff(c.want, mustFindOffers(t, n, c.about...)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// TestOffersAreReadFromTheCacheWhateverOthersDid counts what the log is asked for: a server that is asked for a user's offers looks at all
// that others had between them.
func TestOffersAreReadFromTheCacheWhateverOthersDid(t *testing.T) {
	t.Parallel()
	const asking = 2 // what one read asks for: which types there are, and those of the one
	for _, c := range []struct {
		name  string
		reads func(start int) bool // whether somebody reads before that login start
		want  int                  // how often the log is asked, at most
	}{
		{"if somebody always reads", func(int) bool { return true }, 1},
		{"if somebody read before", func(start int) bool { return start == 0 }, 1},
		{"if somebody reads after the first", func(start int) bool { return start == 1 }, asking},
		{"if nobody reads before the last", func(int) bool { return false }, asking},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := install(t)
			n := i.start(quick())
			asked := make(chan *nats.Msg, 10_000)
			for _, subject := range []string{"", ".>"} {
				if _, err := i.bus.Conn.ChanSubscribe("$JS.API.DIRECT.GET."+bus.OffersStream+subject, asked); err != nil {
					t.Fatal(err)
				}
			}
			for k := range 50 {
				if c.reads(k) {
					_ = mustFindOffers(t, n, "p")
				}
				mustOffer(t, n, offered("usr-1", "p", k))
			}
			if got := mustFindOffers(t, n, "p"); len(got) != historycache.RecentOffers {
				t.Errorf("%d offers", len(got))
			}
			if err := i.bus.Conn.Flush(); err != nil {
				t.Fatal(err)
			}
			if len(asked) > c.want {
				t.Errorf("the log was asked %d times, not %d at most", len(asked), c.want)
			}
		})
	}
}

func TestReadYourOffersWithConcurrentWritersFillersAndFlushes(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	i := install(t)
	instances := []*instance{i.start(quick()), i.start(quick()), i.start(quick())}
	var work sync.WaitGroup
	end := i.disturb(instances[2], 7, 5, 1)
	const writers, rounds = 6, 30
	for w := range writers {
		user := ident.UserID(fmt.Sprintf("usr-%d", w+1))
		work.Go(func() {
			for r := range rounds {
				writer, reader := instances[(w+r)%3], instances[(w+r+1)%3]
				process := fmt.Sprintf("process-%d", r)
				e := offered(user, process, r)
				if err := writer.PublishOffer(t.Context(), e); err != nil {
					t.Error(err)
					return
				}
				known := func() bool {
					got, err := reader.Offers(t.Context(), project, user, process)
					return err == nil && len(got) > 0 && got[0].ID == e.ID
				}
				if writer == instances[2] { // it may not have reached Redis
					waitFor(t, "the offer to be known", known)
				}
				for range 3 {
					if !known() {
						t.Errorf("round %d: %s was acknowledged before the read began, and is not known", r, e.ID)
						return
					}
				}
			}
		})
	}
	work.Wait()
	end()
}

package inredis

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/sighting"
)

// Shared keeps entries in Redis, for all instances, and the most used of them decoded in this process too.
type Shared struct {
	entries *entries
	near    near
	metrics *entry.Metrics
}

// New returns what keeps entries; written says of which kinds sets must be written. Redis is not asked for anything yet.
func New(
	client redis.UniversalClient, config Config, clock func() time.Time, m *entry.Metrics, written func() sighting.Kinds,
	changed func(from, to gobreaker.State, cause error),
) (*Shared, error) {
	kept, err := newNear(config.Near)
	if err != nil {
		return nil, err
	}
	return &Shared{entries: newEntries(client, config, clock, written, changed), near: kept, metrics: m}, nil
}

// Key returns the key of an entry in Redis.
func Key(at entry.Shelf) string {
	if at.Offers {
		return "{" + string(at.Project) + "/" + string(at.User) + "}:offers"
	}
	return "{" + string(at.Project) + "/" + string(at.User) + "}:events"
}

// fieldIn returns what names the field of an event in an entry.
func fieldIn(at entry.Shelf) func(*event.Event) string {
	if at.Offers {
		return byTime
	}
	return func(e *event.Event) string { return string(e.ID) }
}

// byTime is the field of an offer in an entry of offers: the names are in the order of their times.
func byTime(e *event.Event) string { return fmt.Sprintf("%013d.%s", e.CreatedMs, e.ID) }

func (s *Shared) Degraded() error {
	if state := s.entries.breaker.State(); state == gobreaker.StateOpen {
		return fmt.Errorf("redis failed too often; events are read from the log: %w", s.entries.cause())
	}
	return nil
}

// History spares the transport and decoding of what is kept of an entry here; so does an account that is stale anyway.
func (s *Shared) History(ctx context.Context, of entry.Owner, epoch uint64, accountStamp string) (event.Reading, entry.Trust, error) {
	return s.HistoryWith(ctx, of, epoch, accountStamp, nil)
}

// HistoryWith is History, and reads sets of sightings in the same round trip.
func (s *Shared) HistoryWith(
	ctx context.Context, of entry.Owner, epoch uint64, accountStamp string, along *entry.Looked,
) (event.Reading, entry.Trust, error) {
	ctx, cancel := entry.Asked(ctx)
	defer cancel()
	k, result, err := s.known(ctx, Key(entry.Shelf{Owner: of}), epoch, accountStamp, along)
	if k == nil {
		return event.Reading{}, result, err
	}
	return event.Reading{Events: k.events, AccountStamp: k.accountStamp}, result, err
}

func (s *Shared) known(
	ctx context.Context, under string, epoch uint64, accountStamp string, along *entry.Looked,
) (*known, entry.Trust, error) {
	if kept := s.near.get(under); kept != nil {
		said, result, err := s.entries.look(ctx, under, epoch, along)
		if err != nil || result != entry.Trusted {
			s.metrics.Read(result, err)
			return nil, result, err
		}
		if k := kept.now(said); k != nil {
			s.metrics.Near.Inc()
			if k != kept {
				s.near.keep(under, k)
			}
			return k, entry.Trusted, nil
		}
		if stamp := said.stamp(); accountStamp != "" && accountStamp != stamp {
			return &known{control: said, accountStamp: stamp}, entry.Trusted, nil
		}
		along = nil // it has been read
	}
	k, result, err := s.entries.read(ctx, under, epoch, along)
	s.metrics.Read(result, err)
	s.near.keep(under, k)
	return k, result, err
}

func (s *Shared) Add(ctx context.Context, e *event.Event, raw []byte) error {
	at := entry.Shelf{Owner: entry.OwnerOf(e)}
	under := Key(at)
	said, err := told(ctx, func(ctx context.Context) (control, error) {
		along, err := s.entries.seeing(ctx, e)
		if err != nil {
			return control{}, err
		}
		return s.entries.add(ctx, under, fieldIn(at)(e), raw, along)
	})
	if err != nil {
		return err
	}
	if k := s.near.get(under); k != nil {
		s.near.keep(under, k.with(*e, said))
	}
	return nil
}

// AddOffer keeps an entry as large as need be.
func (s *Shared) AddOffer(ctx context.Context, e *event.Event) (incomplete bool, err error) {
	const usual = 512 // bytes
	raw := e.AppendJSON(make([]byte, 0, usual))
	at := entry.Shelf{Owner: entry.OwnerOf(e), Offers: true}
	said, err := told(ctx, func(ctx context.Context) (control, error) {
		return s.entries.add(ctx, Key(at), fieldIn(at)(e), raw, nil)
	})
	if err != nil {
		return false, err
	}
	if added, err := strconv.ParseUint(said.version, 10, 64); err != nil || added%entry.RecentOffers != 0 {
		return false, nil
	}
	if said.fill == "" || said.fill != said.ready {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), entry.Patience(ctx))
	defer cancel()
	_ = s.entries.trim(ctx, Key(at), entry.RecentOffers) // what stays is only more than need be
	return false, nil
}

func (s *Shared) AccountChanged(ctx context.Context, of entry.Owner) (string, error) {
	said, err := told(ctx, func(ctx context.Context) (control, error) {
		return s.entries.noteAccount(ctx, Key(entry.Shelf{Owner: of}))
	})
	if err != nil {
		return "", err
	}
	return said.vouched(), nil
}

func (s *Shared) Fill(
	ctx context.Context, at entry.Shelf, epoch uint64, events []event.Event, more func() ([]event.Event, error),
) (string, error) {
	ctx, cancel := entry.Asked(ctx)
	defer cancel()
	said, err := s.entries.fill(ctx, Key(at), epoch, fieldIn(at), events, more)
	if err != nil {
		return "", err
	}
	return said.vouched(), nil
}

func (s *Shared) Remove(ctx context.Context, of entry.Owner, offersToo bool) error {
	keys := []string{Key(entry.Shelf{Owner: of})}
	if offersToo {
		s.near.drop(keys[0])
		keys = append(keys, Key(entry.Shelf{Owner: of, Offers: true}))
	}
	_, err := told(ctx, func(ctx context.Context) (control, error) { return control{}, s.entries.remove(ctx, keys...) })
	return err
}

func (s *Shared) Offers(ctx context.Context, of entry.Owner, epoch uint64, about []string) ([]event.Event, entry.Trust, error) {
	ctx, cancel := entry.Asked(ctx)
	defer cancel()
	fields, _, result, err := s.entries.fields(ctx, Key(entry.Shelf{Owner: of, Offers: true}), epoch, nil)
	if err != nil || result != entry.Trusted {
		return nil, result, err
	}
	names := inOrder(slices.Collect(maps.Keys(fields)))
	names = names[max(0, len(names)-entry.RecentOffers):]
	offers, err := decodeOffers(fields, names, asValues(about))
	if err != nil {
		return nil, entry.Untrusted, nil // what cannot be read is read from the log
	}
	return offers, entry.Trusted, nil
}

// inOrder returns the fields of an entry that are events, by their names.
func inOrder(fields []string) []string {
	named := slices.DeleteFunc(fields, func(name string) bool { return strings.HasPrefix(name, fieldPrefix) })
	slices.Sort(named)
	return named
}

// decodeOffers decodes the fields that hold one of the values; without values, all. Looking for one costs a fraction of decoding.
func decodeOffers(fields map[string]string, names, values []string) ([]event.Event, error) {
	var offers []event.Event
	for _, name := range slices.Backward(names) {
		raw := fields[name]
		if values != nil && !slices.ContainsFunc(values, func(value string) bool { return strings.Contains(raw, value) }) {
			continue
		}
		offers = append(offers, event.Event{})
		if err := jsonv2.Unmarshal([]byte(raw), &offers[len(offers)-1]); err != nil {
			return nil, fmt.Errorf("decode cached offer %s: %w", name, err)
		}
	}
	return offers, nil
}

// asValues returns texts as members of an offer in JSON have them for a value; nil if none are given.
func asValues(texts []string) []string {
	if len(texts) == 0 {
		return nil
	}
	values := make([]string, 0, len(texts))
	for _, text := range texts {
		if value, err := json.Marshal(text); err == nil && text != "" {
			values = append(values, ":"+string(value))
		}
	}
	return values
}

// told runs a step of a write.
func told(ctx context.Context, step func(context.Context) (control, error)) (control, error) {
	ctx, cancel := entry.Told(ctx)
	defer cancel()
	return step(ctx)
}

// Sets returns the sets of sightings beside the entries.
func (s *Shared) Sets() *Sets { return &Sets{s.entries} }

package historycache

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// RecentOffers is how many of a user's login offers and denials are told of: what happened before so many others is no part of a process
// that is under way. After as many again, a writer removes what is over.
const RecentOffers = 8

func offersKey(project ident.ProjectID, user ident.UserID) string {
	return "{" + string(project) + "/" + string(user) + "}:offers"
}

// byTime is the field of an offer in an entry of offers: the names are in the order of their times.
func byTime(e *event.Event) string { return fmt.Sprintf("%013d.%s", e.CreatedMs, e.ID) }

// AddOffer takes up a login offer or denial that is in the log, in JSON too. Who is offered a login is not kept waiting if Redis cannot be
// reached: then other instances know of the offer a lease later.
func (c *Cache) AddOffer(ctx context.Context, e event.Event, raw []byte) error {
	entry := offersKey(e.Project, e.User)
	said, err := told(ctx, func(ctx context.Context) (control, error) { return c.entries.add(ctx, entry, byTime(&e), raw) })
	if err != nil {
		return c.withdraw(ctx, e.Project, e.User, err, c.epochs.announce)
	}
	if added, err := strconv.ParseUint(said.version, 10, 64); err == nil && added%RecentOffers == 0 {
		c.tidyOffers(ctx, e, said)
	}
	return nil
}

// tidyOffers keeps an entry as large as need be. One that nobody has asked for is made whole while the log has few of the user's offers to
// look for: when somebody asks, they may lie hours apart. What fails is left to the next writer or reader.
func (c *Cache) tidyOffers(ctx context.Context, e event.Event, said control) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience(ctx))
	defer cancel()
	if said.fill != "" && said.fill == said.ready {
		_ = c.entries.trim(ctx, offersKey(e.Project, e.User), RecentOffers)
		return
	}
	if epoch, err := c.epochs.current(ctx, shardOf(e.Project, e.User)); err == nil {
		_, _ = c.fillOffers(ctx, e.Project, e.User, epoch)
	}
}

// Offers returns the user's newest login offers and denials, as many as RecentOffers, newest first; if texts are given, at least those of
// them that have one for a value. It knows of every offer whose AddOffer has returned before, but for what is
// said there. An error is the log's.
func (c *Cache) Offers(ctx context.Context, project ident.ProjectID, user ident.UserID, about ...string) ([]event.Event, error) {
	epoch, err := c.epochs.current(ctx, shardOf(project, user))
	if err != nil {
		return c.offersOfLog(ctx, project, user)
	}
	offers, result, err := c.offersOfEntry(ctx, offersKey(project, user), epoch, asValues(about))
	if err != nil {
		return c.offersOfLog(ctx, project, user)
	}
	if result == trusted {
		return offers, nil
	}
	return c.fillOffers(ctx, project, user, epoch)
}

func (c *Cache) offersOfEntry(ctx context.Context, entry string, epoch uint64, values []string) ([]event.Event, trust, error) {
	ctx, cancel := asked(ctx)
	defer cancel()
	fields, _, result, err := c.entries.fields(ctx, entry, epoch)
	if err != nil || result != trusted {
		return nil, result, err
	}
	names := inOrder(slices.Collect(maps.Keys(fields)))
	names = names[max(0, len(names)-RecentOffers):]
	offers, err := decodeOffers(fields, names, values)
	if err != nil {
		return nil, untrusted, nil // what cannot be read is read from the log
	}
	return offers, trusted, nil
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

func (c *Cache) offersOfLog(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error) {
	offers, err := c.log.Offers(ctx, project, user)
	return offers[:min(len(offers), RecentOffers)], err
}

// fillOffers reads the log and makes the entry whole with it. The mark is there before the log is read, so there is nothing to be written
// with it.
func (c *Cache) fillOffers(
	ctx context.Context, project ident.ProjectID, user ident.UserID, epoch uint64,
) (offers []event.Event, err error) {
	entry, read := offersKey(project, user), false
	fromLog := func() ([]event.Event, error) {
		read = true
		offers, err = c.offersOfLog(ctx, project, user)
		return offers, err
	}
	if c.startFilling(entry) {
		defer c.stopFilling(entry)
		filling, cancel := asked(ctx)
		defer cancel()
		if _, failed := c.entries.fill(filling, entry, epoch, byTime, nil, fromLog); failed != nil {
			c.metrics.fillFailures.Inc()
		}
	}
	if !read {
		return fromLog()
	}
	return offers, err
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

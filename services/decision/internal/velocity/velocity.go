// Package velocity counts how often something was seen, by counters that a bundle declares: it knows which sets of sightings they need,
// and makes facts of those. It promises that no counter is higher than what happened, and that the facts say so if one may be lower. It is
// pure.
package velocity

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/core/sighting"
	"github.com/keyward/keyward/services/decision/internal/document"
)

// Name is the document in data.keyward that declares counters.
const Name = "velocity"

// Definition is what a bundle declares.
type Definition struct {
	Counters []Counter // sorted by name
	Horizon  time.Duration
	MaxKeys  int // sets that a decision may read
}

// Counter is one that is declared.
type Counter struct {
	Name    string
	Subject sighting.Subject
	sighting.Counter
	Family sighting.Family
	Bucket time.Duration // of a project
}

// written is the document.
type written struct {
	HorizonSeconds int64            `json:"horizonSeconds"`
	Cap            int              `json:"cap"`
	MaxKeys        int              `json:"maxKeys,omitempty"`
	Counters       map[string]count `json:"counters"`
}

type count struct {
	Subject       string   `json:"subject"`
	Count         string   `json:"count"`
	Of            []string `json:"of"`
	Seconds       int64    `json:"seconds"`
	BucketSeconds int64    `json:"bucketSeconds,omitempty"`
}

// defaultMaxKeys is how many sets a decision may read if the document does not say: each is a command in its round trip.
const defaultMaxKeys = 4

// buckets is how many buckets the window of a project's counter is divided into if the document does not say.
const buckets = 10

// Learn reads what a bundle's data declares; nothing of bundles from before there were counters. An error is a *document.MisfitError.
func Learn(data map[string]any) (*Definition, error) {
	space, _ := data["keyward"].(map[string]any)
	if _, given := space[Name]; !given {
		return &Definition{}, nil
	}
	var said written
	if err := document.Decode(space, Name, &said); err != nil {
		return nil, err
	}
	d := &Definition{Horizon: time.Duration(said.HorizonSeconds) * time.Second, MaxKeys: cmp.Or(said.MaxKeys, defaultMaxKeys)}
	if said.Cap != sighting.Cap {
		return nil, misfit(fmt.Sprintf("a set holds %d, so that is the cap", sighting.Cap), "cap")
	}
	for name, c := range said.Counters {
		learned, err := learn(name, c, d.Horizon)
		if err != nil {
			return nil, err
		}
		d.Counters = append(d.Counters, learned)
	}
	slices.SortFunc(d.Counters, func(a, b Counter) int { return cmp.Compare(a.Name, b.Name) })
	return d, nil
}

func misfit(message string, at ...string) error {
	return &document.MisfitError{Keys: append([]string{"keyward", Name}, at...), Message: message}
}

func learn(name string, said count, horizon time.Duration) (Counter, error) {
	refuse := func(member, format string, args ...any) (Counter, error) {
		return Counter{}, misfit("counter "+name+": "+fmt.Sprintf(format, args...), "counters", name, member)
	}
	c := Counter{Name: name, Subject: sighting.Subject(said.Subject), Bucket: time.Duration(said.BucketSeconds) * time.Second}
	c.Count, c.Window = sighting.Counted(said.Count), time.Duration(said.Seconds)*time.Second
	if !c.Subject.Known() {
		return refuse("subject", "%q is none of %s", said.Subject, strings.Join(sighting.Subjects(), ", "))
	}
	if !slices.Contains(sighting.Counteds(), said.Count) {
		return refuse("count", "%q is none of %s", said.Count, strings.Join(sighting.Counteds(), ", "))
	}
	if c.Window > horizon || c.Window < time.Second {
		return refuse("seconds", "%d is not from 1 to horizonSeconds, which is %d", said.Seconds, int64(horizon/time.Second))
	}
	for i, of := range said.Of {
		t, known := sighting.TypeNamed(of)
		switch {
		case !known:
			return refuse("of", "%q is none of %s", of, strings.Join(sighting.TypeNames(), ", "))
		case i > 0 && t.Family() != c.Family:
			return refuse("of", "%q and %q are of two families, which are not counted together", said.Of[0], of)
		}
		c.Family, c.Of = t.Family(), c.Of|sighting.TypesOf(t)
	}
	if c.Of == 0 {
		return refuse("of", "it counts nothing")
	}
	return tallied(c, refuse)
}

// tallied checks what is different of a project, where far more happens than a set holds.
func tallied(c Counter, refuse func(member, format string, args ...any) (Counter, error)) (Counter, error) {
	if c.Subject != sighting.Project {
		if c.Bucket != 0 {
			return refuse("bucketSeconds", "the counter of a %s has no buckets", c.Subject)
		}
		return c, nil
	}
	if c.Count != sighting.Events {
		return refuse("count", "of a project only events are counted")
	}
	if c.Bucket == 0 {
		c.Bucket = max(time.Second, (c.Window / buckets).Truncate(time.Second))
	}
	if c.Bucket > c.Window || c.Window/c.Bucket > maxBuckets {
		return refuse("bucketSeconds", "a window has from 1 to %d buckets", maxBuckets)
	}
	return c, nil
}

// maxBuckets bounds what is read of a project each second.
const maxBuckets = 120

// Names returns the names of all counters, sorted.
func (d *Definition) Names() []string {
	names := make([]string, len(d.Counters))
	for i := range d.Counters {
		names[i] = d.Counters[i].Name
	}
	return names
}

// Describe says what a fact counts by a bundle's data, in words; empty of a path that is none of a counter.
func Describe(data map[string]any, path string) string {
	name, counter := strings.CutPrefix(path, Name+".")
	d, err := Learn(data)
	if err != nil || !counter {
		return ""
	}
	for i := range d.Counters {
		if d.Counters[i].Name == name {
			return d.Counters[i].String()
		}
	}
	return ""
}

// String says what a counter counts, in words.
func (c *Counter) String() string {
	said := string(c.Count)
	if c.Count != sighting.Events {
		said = "distinct " + said
	}
	return said + " of the " + string(c.Subject) + ", " + span(c.Window)
}

// span says how long a window is in the largest unit that it is a whole number of.
func span(of time.Duration) string {
	for _, unit := range [...]struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if of >= unit.of && of%unit.of == 0 {
			return fmt.Sprintf("%d %s", of/unit.of, unit.name)
		}
	}
	return fmt.Sprintf("%d s", of/time.Second)
}

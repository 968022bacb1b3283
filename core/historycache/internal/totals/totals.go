// Package totals counts what was seen in whole projects, where far more happens than a set holds: each process counts for itself, tells
// the others once a second through Redis, and hears what all have told. It promises that no decision waits for it, and may lose what a
// process counted in its last second.
package totals

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/sighting"
)

// Shared are the totals of projects: what this process has seen, and what all have told. It is safe for concurrent use.
type Shared struct {
	mu     sync.Mutex
	counts map[ident.ProjectID]map[sighting.Bucket]int // since they were told
	told   map[ident.ProjectID]*sighting.Totals
	wanted map[ident.ProjectID]int // for how many exchanges more
}

// wantedFor is how many exchanges of totals somebody's interest in a project lasts.
const wantedFor = 60

// New returns totals of nothing.
func New() *Shared {
	return &Shared{
		counts: map[ident.ProjectID]map[sighting.Bucket]int{}, told: map[ident.ProjectID]*sighting.Totals{}, wanted: map[ident.ProjectID]int{},
	}
}

// Count takes up something that was seen, to be told with the next exchange.
func (t *Shared) Count(one *entry.Sighted) {
	if one.TakenBack { // nothing has happened; what has stays in totals, which only go up
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	of := t.counts[one.Project]
	if of == nil {
		of = map[sighting.Bucket]int{}
		t.counts[one.Project] = of
	}
	for _, bucket := range sighting.Buckets(one.Type, one.Ms) {
		of[bucket]++
	}
}

// Of returns what all have told of a project, and has it heard for a while.
func (t *Shared) Of(project ident.ProjectID) *sighting.Totals {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted[project] = wantedFor
	return t.told[project]
}

// Exchange tells what was counted since the last time, and takes what all have told of projects that somebody asks about.
func (t *Shared) Exchange(ctx context.Context, client redis.UniversalClient, now time.Time) error {
	t.mu.Lock()
	counts := t.counts
	t.counts = map[ident.ProjectID]map[sighting.Bucket]int{}
	var projects []ident.ProjectID
	for project := range t.wanted {
		if t.wanted[project]--; t.wanted[project] < 0 {
			delete(t.wanted, project)
			delete(t.told, project)
			continue
		}
		projects = append(projects, project)
	}
	t.mu.Unlock()
	for project, buckets := range counts {
		if err := tell(ctx, client, project, buckets); err != nil {
			return err
		}
	}
	for _, project := range projects {
		found, err := hear(ctx, client, project, now)
		if err != nil {
			return err
		}
		t.mu.Lock()
		t.told[project] = found
		t.mu.Unlock()
	}
	return nil
}

func keyOf(project ident.ProjectID) string { return "{" + string(project) + "}:v" }

func tell(ctx context.Context, client redis.UniversalClient, project ident.ProjectID, buckets map[sighting.Bucket]int) error {
	key := keyOf(project)
	_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for bucket, n := range buckets {
			p.HIncrBy(ctx, key, fieldOf(bucket), int64(n))
		}
		p.Expire(ctx, key, entry.Horizon)
		return nil
	})
	if err != nil {
		return fmt.Errorf("tell the totals of %s: %w", project, err)
	}
	return nil
}

// hear reads what all have told, and removes what nobody needs any more.
func hear(ctx context.Context, client redis.UniversalClient, project ident.ProjectID, now time.Time) (*sighting.Totals, error) {
	fields, err := client.HGetAll(ctx, keyOf(project)).Result()
	if err != nil {
		return nil, fmt.Errorf("read the totals of %s: %w", project, err)
	}
	found := make(map[sighting.Bucket]int, len(fields))
	over := map[string]bool{}
	for field, value := range fields {
		bucket, ok := bucketIn(field)
		n, err := strconv.Atoi(value)
		if !ok || err != nil || bucket.Over(now, entry.Horizon) {
			over[field] = true
			continue
		}
		found[bucket] = n
	}
	if len(over) > 0 {
		_ = client.HDel(ctx, keyOf(project), slices.Collect(maps.Keys(over))...).Err() // what stays is removed the next time
	}
	return sighting.NewTotals(found), nil
}

func fieldOf(b sighting.Bucket) string {
	return fmt.Sprintf("%s.%d.%d", b.Type, int64(b.Width/time.Second), b.Start/1000)
}

func bucketIn(field string) (sighting.Bucket, bool) {
	const members = 3
	parts := strings.Split(field, ".")
	if len(parts) != members {
		return sighting.Bucket{}, false
	}
	of, known := sighting.TypeNamed(parts[0])
	width, err := strconv.ParseInt(parts[1], 10, 64)
	start, err2 := strconv.ParseInt(parts[2], 10, 64)
	return sighting.Bucket{Type: of, Width: time.Duration(width) * time.Second, Start: start * 1000}, known && err == nil && err2 == nil
}

package rollfile

import (
	"context"
	"database/sql"
	"fmt"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/decision/adoption/internal/fold"
)

// Sum is how often something happened.
type Sum struct {
	Start int64 // Unix seconds, of the unit
	fold.Dimensions
	Outcome fold.Outcome
	Cause   string
	Bucket  int
	N, Ms   int64
}

// Holders are users who have passkeys, and the passkeys.
type Holders struct{ Users, Passkeys int64 }

// Coverage says what is counted.
type Coverage struct {
	From    [SourceCount]int64 // since which moment, Unix ms; 0 = nothing was there yet
	Others  int64              // counted as others since the file was made, of too many kinds
	Unread  int64
	Unknown int64
}

// Read visits the sums of a time, both in Unix seconds, the end not included, and says what is covered. What waits for its decision is
// counted as of an unknown one.
func (f *File) Read(ctx context.Context, unit Unit, since, until int64, visit func(*Sum)) (Coverage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers == nil {
		return Coverage{}, ErrClosed
	}
	const text = `SELECT start, combination, outcome, cause, bucket, n, ms FROM counts WHERE unit = ? AND start >= ? AND start < ?`
	outcomes := fold.Outcomes()
	err := each(ctx, f.readers, text, []any{int64(unit), since, until}, func(rows *sql.Rows) error {
		var s Sum
		var combination, outcome int
		if err := rows.Scan(&s.Start, &combination, &outcome, &s.Cause, &s.Bucket, &s.N, &s.Ms); err != nil {
			return err
		}
		if combination < 1 || combination > len(f.combinations) || outcome < 0 || outcome >= len(outcomes) {
			return fmt.Errorf("a sum is of combination %d and outcome %d, which there are not", combination, outcome)
		}
		s.Dimensions, s.Outcome = f.combinations[combination-1], outcomes[outcome]
		visit(&s)
		return nil
	})
	if err == nil && f.waiting > 0 {
		err = f.readWaiting(ctx, unit, since, until, visit)
	}
	return Coverage{From: f.state.From, Others: f.state.Others, Unread: f.state.Unread, Unknown: f.state.Unknown}, err
}

func (f *File) readWaiting(ctx context.Context, unit Unit, since, until int64, visit func(*Sum)) error {
	return each(ctx, f.readers, `SELECT event FROM waiting`, nil, func(rows *sql.Rows) error {
		var raw sql.RawBytes
		if err := rows.Scan(&raw); err != nil {
			return err
		}
		var e event.Event
		if err := jsonv2.Unmarshal(raw, &e); err != nil {
			return err
		}
		fact, counts := fold.OfEvent(&e, nil)
		if start := unit.Start(fact.AtMs); counts && start >= since && start < until {
			visit(&Sum{
				Start: start, Dimensions: fact.Dimensions, Outcome: fact.Outcome, Cause: fact.Cause, Bucket: fold.Bucket(fact.TookMs), N: 1,
				Ms: max(fact.TookMs, 0),
			})
		}
		return nil
	})
}

// Holders returns who has passkeys, by project.
func (f *File) Holders(ctx context.Context) (map[string]Holders, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers == nil {
		return nil, ErrClosed
	}
	all := map[string]Holders{}
	return all, each(ctx, f.readers, `SELECT project, users, passkeys FROM holders`, nil, func(rows *sql.Rows) error {
		var project string
		var h Holders
		err := rows.Scan(&project, &h.Users, &h.Passkeys)
		all[project] = h
		return err
	})
}

// Today visits the sums of the day under way, and returns when it began, in Unix seconds.
func (f *File) Today(ctx context.Context, visit func(*Sum)) (midnight int64, err error) {
	midnight = Day.Start(f.cfg.Now().UnixMilli())
	_, err = f.Read(ctx, Day, midnight, midnight+int64(Day), visit)
	return midnight, err
}

package readmodel

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/readmodel/internal/listdb"
	"github.com/keyward/keyward/services/ceremony/internal/readmodel/internal/pages"
)

// page reads what a list asks for: it checks the parameters, waits for the rows, and finds those of the page. fetch reads them in the
// same state of the file.
func (s *Store) page(
	ctx context.Context, t pages.Table, project ident.ProjectID, now time.Time, list service.List,
	fetch func(listdb.Reader, pages.Found) error,
) (listing.Query, int, error) {
	asked, err := listing.Parse(list, t.Uses(), "")
	if err != nil {
		return listing.Query{}, 0, err
	}
	if err := s.await(ctx, t.Bucket); err != nil {
		return listing.Query{}, 0, err
	}
	var total int
	err = s.read(ctx, func(r listdb.Reader) error {
		page, err := t.Find(r, pages.Request{Project: project, Asked: asked, Filters: list.Filter, Now: now}, s.totals)
		if err != nil || !page.Known {
			return err
		}
		total = page.Total
		return fetch(r, page)
	})
	if err != nil {
		return listing.Query{}, 0, s.unreadable(ctx, err)
	}
	return asked, total, nil
}

// unreadable returns the fault to answer when the rows could not be read: the file may be made anew, or the caller may have no time left.
func (s *Store) unreadable(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, errAway) || listdb.IsDamage(err) {
		s.metrics.timeouts.Inc()
		return fault.Unavailable(retrySoon, "the list could not be read").Because(err)
	}
	return fault.Internal(err)
}

// Unfinished returns accounts with work left over (events that are not in the log yet, or a deletion under way) that were stored before
// olderThan, the oldest first, at most limit. It does not wait for what was stored a moment ago; while the rows are made anew it answers
// 503.
func (s *Store) Unfinished(ctx context.Context, olderThan time.Time, limit int) ([]account.Ref, error) {
	refs := []account.Ref{}
	err := s.read(ctx, func(r listdb.Reader) error {
		const text = `SELECT project, user FROM unfinished WHERE stored < ?1 ORDER BY stored, project, user LIMIT ?2`
		return r.Each(text, []any{olderThan.UnixMilli(), limit}, func(rows *sql.Rows) error {
			var ref account.Ref
			if err := rows.Scan(&ref.Project, &ref.User); err != nil {
				return err
			}
			refs = append(refs, ref)
			return nil
		})
	})
	if err != nil {
		return nil, s.unreadable(ctx, err)
	}
	return refs, nil
}

// errAway says that there is nothing to read.
var errAway = errors.New("the read model is not open")

// Read runs do on one state of the rows.
func (s *Store) read(ctx context.Context, do func(listdb.Reader) error) error {
	s.mu.RLock()
	f := s.file
	if f == nil {
		s.mu.RUnlock()
		return errAway
	}
	err := f.Read(ctx, do)
	s.mu.RUnlock()
	if err != nil && listdb.IsDamage(err) {
		s.renew(f, reasonDamaged)
	}
	return err
}

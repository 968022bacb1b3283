package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
)

// ErrLastAdmin is of the one operator who can still make others.
var ErrLastAdmin = fault.Conflict("operatorID",
	"is the last admin of all projects whose token works: nobody could make operators any more. Make another admin first, or, on the machine "+
		"of the server, use keyward operator revoke --force with --data-dir").Named("operator-last-admin")

// departuresKey is where the admins are noted who go, beside the operators. To a version that does not know of it, it is an operator that
// cannot be read.
const departuresKey = "departures"

// departures are the admins who were revoked, or are about to be. They count as gone from the write on that notes them: of two that are
// revoked at the same moment, on whichever instances, the second write fails and is decided anew, with the first noted.
type departures struct {
	Schema int                `json:"schema"`
	Gone   []ident.OperatorID `json:"gone"` // the oldest first; no ID is given twice
}

const schemaDepartures = 1

// maxDepartures bounds the list: whoever is not in it any more was deleted long before.
const maxDepartures = maxOperators

func decodeDepartures(raw []byte, into *departures) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return err
	}
	if into.Schema != schemaDepartures {
		return fmt.Errorf("departures of version %d cannot be read by this one", into.Schema)
	}
	return nil
}

// Administers reports whether somebody can make and revoke operators with a token that works.
func (o *Operator) Administers(now time.Time) bool {
	return o.Role == Admin && !o.Limited() && o.Session == nil && o.Member == nil && !o.Expired(now)
}

// depart notes that an admin goes, or is ErrLastAdmin. Who else is there is read anew from the bucket each time that another was faster.
func (s *Store) depart(ctx context.Context, id ident.OperatorID, now time.Time) error {
	_, err := s.departures.Upsert(ctx, departuresKey, func(d *departures) error {
		others, err := s.administrators(ctx, now)
		if err != nil {
			return err
		}
		delete(others, id)
		for _, gone := range d.Gone {
			delete(others, gone)
		}
		if len(others) == 0 {
			return ErrLastAdmin
		}
		d.Schema = schemaDepartures
		if !slices.Contains(d.Gone, id) {
			d.Gone = append(d.Gone, id)
		}
		d.Gone = d.Gone[max(0, len(d.Gone)-maxDepartures):]
		return nil
	})
	return err
}

func (s *Store) administrators(ctx context.Context, now time.Time) (map[ident.OperatorID]bool, error) {
	found := map[ident.OperatorID]bool{}
	err := s.operators.Load(ctx, func(e kv.Entry[Operator], err error) {
		if err == nil && !e.Gone && e.Value.Administers(now) {
			found[e.Value.ID] = true
		}
	})
	return found, err
}

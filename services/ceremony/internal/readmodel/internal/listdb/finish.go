package listdb

import (
	"context"
	"errors"
	"strconv"

	"github.com/keyward/keyward/core/sqlitefile"
)

// Create makes a file without rows, for a load, in the place of one that may be there. Until it is finished no one takes it for whole.
func Create(ctx context.Context, path string) (*File, error) {
	if err := sqlitefile.Remove(path); err != nil {
		return nil, err
	}
	f, err := openAs(ctx, path, true)
	if err != nil {
		return nil, err
	}
	if err := f.execute(ctx, tables...); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Finish makes of a file that holds rows one that can be searched and followed.
func (f *File) Finish(ctx context.Context) error {
	if err := f.execute(ctx, indexes...); err != nil {
		return err
	}
	for list, column := range counted {
		if err := f.execute(ctx, tally(list, column)...); err != nil {
			return err
		}
	}
	return f.execute(ctx,
		// A large share of the index is gathered in memory at a time, which makes it several times as fast.
		`INSERT INTO search (search, rank) VALUES ('hashsize', 67108864)`,
		`INSERT INTO search (rowid, text) SELECT id, text FROM texts`,
		`INSERT INTO search (search, rank) VALUES ('hashsize', 1048576)`,
		// One piece, on a level of its own, which small pieces do not reach soon. It takes another piece to make the index do that.
		`INSERT INTO search (rowid, text) VALUES (-1, 'aaa')`,
		`INSERT INTO search (search) VALUES ('optimize')`,
		`DELETE FROM search WHERE rowid = -1`,
		// What changes add to the index is joined with it a little at a time, by who follows: left to itself, it would now and then take
		// seconds for it.
		`INSERT INTO search (search, rank) VALUES ('automerge', 0)`,
		`INSERT INTO search (search, rank) VALUES ('crisismerge', 500)`,
		`INSERT INTO search (search, rank) VALUES ('usermerge', 4)`,
		`PRAGMA synchronous = FULL`,
		`INSERT INTO meta VALUES ('loaded', '`+strconv.Itoa(schemaVersion)+`')`,
	)
}

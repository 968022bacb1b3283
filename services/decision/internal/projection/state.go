package projection

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// Open reads the state of a file into what state points to, or makes the tables of a file that has none; known says that there was a state.
// The error is or wraps ErrAnew of a file of another version, or one whose state cannot be read.
func Open(ctx context.Context, db *sql.DB, tables []string, version int, state any) (known bool, _ error) {
	var there int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&there); err != nil {
		return false, err
	}
	if there == 0 {
		for _, statement := range tables {
			if _, err := db.ExecContext(ctx, statement); err != nil {
				return false, err
			}
		}
		_, err := db.ExecContext(ctx, `INSERT INTO meta VALUES ('version', ?)`, version)
		return false, err
	}
	var found int
	if err := db.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'version'`).Scan(&found); err != nil {
		return false, fmt.Errorf("%w: its version cannot be read: %w", ErrAnew, err)
	}
	if found != version {
		return false, fmt.Errorf("%w: its version is %d, not %d", ErrAnew, found, version)
	}
	var raw string
	switch err := db.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'state'`).Scan(&raw); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	}
	if err := json.Unmarshal([]byte(raw), state); err != nil {
		return false, fmt.Errorf("%w: %w", ErrAnew, err)
	}
	return true, nil
}

package listdb

import "strings"

// schemaVersion changes with anything that a file written before would answer wrongly; such a file is replaced.
const schemaVersion = 4

// RowBits is how many bits of a row number of a user count within the project, in the order they came: project<<RowBits + n. So the
// full-text index, which knows row numbers only, can be searched for one project.
const RowBits = 40

// tables holds what a load fills.
//
// Of every list, rows of equal rank are in the list's own order: created (Unix ms), then num, which is the number in the ID; for sessions
// the ID itself.
var tables = []string{
	`CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID`,
	// The streams that the rows come from. stream is the time at which the stream was made (Unix ns): what tells it from another of the same
	// name.
	`CREATE TABLE cursors (bucket TEXT PRIMARY KEY, stream INTEGER NOT NULL, sequence INTEGER NOT NULL) WITHOUT ROWID`,
	`CREATE TABLE projects (id INTEGER PRIMARY KEY, project TEXT NOT NULL UNIQUE, rows INTEGER NOT NULL)`,
	// How many rows there are: of a project and list (value empty), and of those with one value of the field by which rows are counted.
	// Project 0 is all.
	`CREATE TABLE counts (project INTEGER NOT NULL, list TEXT NOT NULL, value TEXT NOT NULL, n INTEGER NOT NULL,
		PRIMARY KEY (project, list, value)) WITHOUT ROWID`,
	// Keys of buckets whose last message makes no row: deletions, users being erased, and what cannot be read.
	`CREATE TABLE markers (bucket TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (bucket, key)) WITHOUT ROWID`,
	// Accounts with work left over, and when they were stored (Unix ms).
	`CREATE TABLE unfinished (project TEXT NOT NULL, user TEXT NOT NULL, stored INTEGER NOT NULL, PRIMARY KEY (project, user)) WITHOUT ROWID`,

	// digest is of everything that the rows of a user show.
	`CREATE TABLE users (id INTEGER PRIMARY KEY, project INTEGER NOT NULL, user TEXT NOT NULL, num INTEGER NOT NULL, name TEXT NOT NULL,
		named INTEGER NOT NULL, webauthn TEXT, status TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,
		digest INTEGER NOT NULL)`,
	// Key is what makes the value unique.
	`CREATE TABLE identifiers (id INTEGER PRIMARY KEY, project INTEGER NOT NULL, user TEXT NOT NULL, identifier TEXT NOT NULL,
		num INTEGER NOT NULL, type TEXT NOT NULL, value TEXT NOT NULL, key TEXT NOT NULL, status TEXT NOT NULL, created INTEGER NOT NULL)`,
	`CREATE TABLE socials (id INTEGER PRIMARY KEY, project INTEGER NOT NULL, user TEXT NOT NULL, social TEXT NOT NULL,
		num INTEGER NOT NULL, provider TEXT NOT NULL, foreignid TEXT NOT NULL, value TEXT NOT NULL, avatar TEXT NOT NULL,
		name TEXT NOT NULL, created INTEGER NOT NULL)`,
	// What searchValue looks through, in lower case: the name and the values of the identifiers of the user in the row of that number. Who
	// has neither is not here.
	`CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL)`,
	`CREATE VIRTUAL TABLE search USING fts5(text, content='', contentless_delete=1, detail=none, tokenize='trigram case_sensitive 1')`,

	// stored is when the entry was written (Unix ms), by the server's clock: what a bucket's own age goes by.
	`CREATE TABLE sessions (id INTEGER PRIMARY KEY, project INTEGER NOT NULL, num TEXT NOT NULL, user TEXT NOT NULL, value TEXT NOT NULL,
		status TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL, used INTEGER NOT NULL, idle INTEGER NOT NULL,
		expires INTEGER NOT NULL, stored INTEGER NOT NULL)`,
	// expires is in Unix seconds, as callers see it.
	`CREATE TABLE tokens (id INTEGER PRIMARY KEY, project INTEGER NOT NULL, num TEXT NOT NULL, type TEXT NOT NULL, identifier TEXT NOT NULL,
		display TEXT NOT NULL, status TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL, stored INTEGER NOT NULL)`,
}

// indexes are made when the tables have been loaded, which is faster than to load into them. Each begins with the project and what is
// sorted or filtered by; the Columns that follow make the order total, or spare the look at the row.
var indexes = []string{
	`CREATE UNIQUE INDEX users_user ON users (project, user)`,
	`CREATE INDEX users_created ON users (project, created, num, status)`,
	`CREATE INDEX users_updated ON users (project, updated, created, num, status)`,
	`CREATE INDEX users_name ON users (project, name, created, num, status)`,
	`CREATE INDEX users_status ON users (project, status, created, num)`,
	`CREATE INDEX identifiers_user ON identifiers (project, user, created, num)`,
	`CREATE INDEX identifiers_created ON identifiers (project, created, num)`,
	`CREATE INDEX identifiers_type ON identifiers (project, type, created, num)`,
	`CREATE INDEX identifiers_value ON identifiers (project, value, created, num, type)`,
	`CREATE INDEX identifiers_key ON identifiers (project, key, created, num)`,
	`CREATE INDEX socials_user ON socials (project, user, created, num)`,
	`CREATE INDEX socials_created ON socials (project, created, num)`,
	`CREATE INDEX socials_provider ON socials (project, provider, created, num)`,
	`CREATE INDEX socials_foreignid ON socials (project, foreignid, created, num)`,
	`CREATE UNIQUE INDEX sessions_num ON sessions (project, num)`,
	`CREATE INDEX sessions_user ON sessions (project, user, created, num)`,
	`CREATE INDEX sessions_created ON sessions (project, created, num)`,
	`CREATE INDEX sessions_updated ON sessions (project, updated, created, num)`,
	`CREATE INDEX sessions_used ON sessions (project, used, created, num)`,
	`CREATE INDEX sessions_expires ON sessions (project, expires, created, num)`,
	`CREATE INDEX sessions_stored ON sessions (stored)`,
	`CREATE UNIQUE INDEX tokens_num ON tokens (project, num)`,
	`CREATE INDEX tokens_created ON tokens (project, created, num)`,
	`CREATE INDEX tokens_type ON tokens (project, type, created, num)`,
	`CREATE INDEX tokens_status ON tokens (project, status, created, num)`,
	`CREATE INDEX tokens_expires ON tokens (project, expires, created, num)`,
	`CREATE INDEX tokens_stored ON tokens (stored)`,
}

// counted is, for each list of which rows are counted by the values of a field, the column of that field.
var counted = map[string]string{"users": "status", "identifiers": "type", "socials": "provider", "sessions": "", "tokens": "status"}

// Counted returns the column by whose values the rows of a list are counted, empty if there is none.
func Counted(list string) string { return counted[list] }

// tally counts the rows of a list after a load.
func tally(list, column string) []string {
	statements := []string{`INSERT INTO counts SELECT project, '` + list + `', '', count(*) FROM ` + list + ` GROUP BY project`}
	if column != "" {
		statements = append(statements, strings.NewReplacer("LIST", list, "COLUMN", column).Replace(
			`INSERT INTO counts SELECT project, 'LIST', COLUMN, count(*) FROM LIST WHERE COLUMN <> '' GROUP BY project, COLUMN`))
	}
	return append(statements, `INSERT INTO counts SELECT 0, '`+list+`', '', count(*) FROM `+list)
}

package listdb

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/account"
)

// empty returns a whole file without rows.
func empty(t *testing.T) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), FileName)
	loaded, err := Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := loaded.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func of(id string, sequence uint64, u *user) Change {
	return Change{Bucket: Accounts, Sequence: sequence, key: "pro-1." + id, project: "pro-1", id: id, user: u}
}

func TestCursorsAreWrittenWithRowsOrWhenTheyAreSaved(t *testing.T) {
	t.Parallel()
	f := empty(t)
	w, err := NewWriter(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	name := BucketNames()[Accounts]
	ada := &user{Status: account.StatusActive}
	commit := func(sequence uint64, u *user) func() error {
		return func() error {
			return w.Commit(t.Context(), []Change{of("usr-1", sequence, u)}, map[string]Cursor{name: {Stream: 7, Sequence: sequence}})
		}
	}
	for _, c := range []struct {
		name string
		do   func() error
		want map[string]Cursor
	}{
		{"a user who is new", commit(1, ada), map[string]Cursor{name: {7, 1}}},
		{"the same once more", commit(2, ada), map[string]Cursor{name: {7, 1}}},
		{"nothing under the key, which is new", commit(3, nil), map[string]Cursor{name: {7, 3}}},
		{"nothing under the key again", commit(4, nil), map[string]Cursor{name: {7, 3}}},
		{"what is saved", func() error { return w.Save(t.Context()) }, map[string]Cursor{name: {7, 4}}},
		{"nothing to save", func() error { return w.Save(t.Context()) }, map[string]Cursor{name: {7, 4}}},
	} {
		if err := c.do(); err != nil {
			t.Fatal(c.name, err)
		}
		got, err := f.Cursors(t.Context())
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, diff)
		}
	}
}

func TestOnlyTheLastChangeOfAKeyIsApplied(t *testing.T) {
	t.Parallel()
	one, two := &user{Status: account.StatusActive}, &user{Status: account.StatusDisabled}
	session := of("usr-1", 2, nil)
	session.Bucket = Sessions
	changes := []Change{of("usr-1", 1, one), of("usr-2", 2, one), session, of("usr-1", 3, two), of("usr-1", 4, nil)}
	var applied []uint64
	err := latest(changes, func(c *Change) error {
		applied = append(applied, c.Sequence)
		return nil
	})
	if diff := cmp.Diff([]uint64{2, 2, 4}, applied); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

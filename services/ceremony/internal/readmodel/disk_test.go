package readmodel_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/readmodel"
)

// logOf returns the path of the file that SQLite writes changes to before they are moved into the file of the rows.
func logOf(dir string) string { return filepath.Join(dir, "lists.db-wal") }

func readLog(tb testing.TB, dir string) []byte {
	tb.Helper()
	raw, err := os.ReadFile(logOf(dir))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// logState returns how long the log is, and how often it was begun anew: each time, what it held had been moved into the file, for which
// the disk was waited for.
func logState(tb testing.TB, dir string) (length int64, rounds int) {
	tb.Helper()
	log, err := os.Open(logOf(dir))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	info, err := log.Stat()
	if err != nil || info.Size() == 0 {
		return 0, 0
	}
	const at = 12 // of a count in the header
	var count [4]byte
	if _, err := log.ReadAt(count[:], at); err != nil {
		tb.Fatal(err)
	}
	return info.Size(), int(binary.BigEndian.Uint32(count[:]))
}

// seen returns how many users a project has, when everything that is stored can be read.
func seen(tb testing.TB, m *model, project ident.ProjectID) int {
	tb.Helper()
	got, err := m.Users(tb.Context(), project, service.List{PageSize: 1})
	if err != nil {
		tb.Fatal(err)
	}
	return int(got.Paging.TotalItems)
}

func TestChangesAreMovedIntoTheFileByWhatTheLogHoldsNotByItsLength(t *testing.T) {
	t.Parallel()
	st, dir, project := newStorage(t), t.TempDir(), ident.NewProjectID()
	m := newModel(t, st, dir)
	waitBuilt(t, m.Store)
	const long = 4 << 20 // as long as the log becomes before changes are moved
	users := 0
	// Once the log has begun anew, its length is no measure.
	for length, rounds := int64(0), 0; length <= long || rounds == 0; length, rounds = logState(t, dir) {
		st.putUser(t, benchAccount(project, users))
		users++
		want(t, "users", users, seen(t, m, project))
	}
	_, before := logState(t, dir)
	const changes = 200
	for i := range changes {
		st.putUser(t, benchAccount(project, users+i))
		want(t, "users", users+i+1, seen(t, m, project))
	}
	if _, after := logState(t, dir); after-before > changes/10 {
		t.Errorf("%d changes were moved into the file in %d rounds", changes, after-before)
	}
}

func TestAChangeThatNoListShowsWritesNothing(t *testing.T) {
	t.Parallel()
	st, dir, project := newStorage(t), t.TempDir(), ident.NewProjectID()
	m := newModelOf(t, readmodel.Deps{JetStream: st.JS, Dir: dir, Now: time.Now, Upkeep: time.Hour})
	a := benchAccount(project, 1)
	uses := int64(0)
	use := func() {
		uses++
		a.Credentials = slices.Clone(a.Credentials)
		a.Credentials[0].LastUsedMs = started.UnixMilli() + uses
		st.putUser(t, a)
		want(t, "users", 1, seen(t, m, project))
	}
	st.putUser(t, a)
	use()
	use() // by when whatever follows the first change has been done
	before := readLog(t, dir)
	for range 20 {
		use()
	}
	if !bytes.Equal(before, readLog(t, dir)) {
		t.Error("something was written")
	}
	name := "another name"
	a.FullName = &name
	st.putUser(t, a)
	want(t, "a change that a list shows", []string{name}, listed(t, m, project))
}

func TestChangesAreGatheredUntilSomebodyAsks(t *testing.T) {
	t.Parallel()
	st, dir, project := newStorage(t), t.TempDir(), ident.NewProjectID()
	m := newModelOf(t, readmodel.Deps{JetStream: st.JS, Dir: dir, Now: time.Now, Upkeep: time.Hour, Gather: time.Hour})
	waitBuilt(t, m.Store)
	before := readLog(t, dir)
	accounts := make([]account.Account, 100)
	for i := range accounts {
		accounts[i] = named(project, fmt.Sprintf("user %02d", i))
		st.putUser(t, accounts[i])
	}
	if !bytes.Equal(before, readLog(t, dir)) {
		t.Error("changes were written although nobody waited for them")
	}
	want(t, "users, when somebody asks", len(accounts), seen(t, m, project))
	// Of several changes of one account, the last counts.
	names := []string{}
	for i, a := range accounts[:3] {
		for _, name := range []string{"once", "again", fmt.Sprintf("renamed %d", i)} {
			a.FullName = &name
			st.putUser(t, a)
		}
		names = append(names, fmt.Sprintf("renamed %d", i))
	}
	want(t, "users by their last names", names, listed(t, m, project, "searchValue:eq:renamed"))
	want(t, "users by the names between", []string{}, listed(t, m, project, "searchValue:eq:again"))
	m.stop()
	m = newModel(t, st, dir)
	want(t, "users after a restart", len(accounts), seen(t, m, project))
	want(t, "rebuilds", map[string]float64{}, rebuilds(t, m))
}

package readmodel_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/connecttoken"
	"github.com/keyward/keyward/services/ceremony/internal/readmodel"
)

// listed returns the names of the first users, in the order of their names. It asks again if it is told to.
func listed(tb testing.TB, m *model, project ident.ProjectID, filters ...string) []string {
	tb.Helper()
	got, err := m.Users(tb.Context(), project, service.List{Sort: "name:asc", PageSize: 1000, Filter: filters})
	away := func(err error) bool { return err != nil && fault.As(err).Status == http.StatusServiceUnavailable }
	for deadline := time.Now().Add(time.Minute); away(err) && time.Now().Before(deadline); {
		got, err = m.Users(tb.Context(), project, service.List{Sort: "name:asc", PageSize: 1000, Filter: filters})
	}
	if err != nil {
		tb.Fatal(err)
	}
	names := []string{}
	for _, u := range got.Users {
		names = append(names, *u.FullName)
	}
	if int(got.Paging.TotalItems) != len(names) {
		tb.Errorf("%d of %d", len(names), got.Paging.TotalItems)
	}
	return names
}

func want(tb testing.TB, what string, want, got any) {
	tb.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		tb.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func rebuilds(tb testing.TB, m *model) map[string]float64 {
	tb.Helper()
	made := map[string]float64{}
	for _, reason := range []string{"missing", "stream", "damaged", "diverged"} {
		if n := m.metric(tb, "keyward_readmodel_rebuilds_total", "reason", reason); n > 0 {
			made[reason] = n
		}
	}
	return made
}

func TestARestartContinuesWhereItStood(t *testing.T) {
	t.Parallel()
	st, dir, project := newStorage(t), t.TempDir(), ident.NewProjectID()
	ada, bob := named(project, "Ada"), named(project, "Bob")
	st.putUser(t, ada)
	st.putUser(t, bob)
	m := newModel(t, st, dir)
	want(t, "at first", []string{"Ada", "Bob"}, listed(t, m, project))
	want(t, "rebuilds", map[string]float64{"missing": 1}, rebuilds(t, m))
	m.stop()

	st.putUser(t, named(project, "Cleo"))
	if err := st.accounts.Purge(t.Context(), string(project)+"."+string(ada.ID)); err != nil {
		t.Fatal(err)
	}
	m = newModel(t, st, dir)
	want(t, "after a restart", []string{"Bob", "Cleo"}, listed(t, m, project))
	want(t, "rebuilds", map[string]float64{}, rebuilds(t, m))
	want(t, "rows", 2.0, m.metric(t, "keyward_readmodel_rows", "list", "users"))
}

func TestAFileThatCannotBeUsedIsMadeAnew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason string
		spoil  func(path string) error
	}{
		"it is no database": {"damaged", func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600)
		}},
		"it is empty":     {"missing", func(path string) error { return os.Truncate(path, 0) }},
		"it is cut short": {"damaged", func(path string) error { return os.Truncate(path, 5000) }},
		"it is gone":      {"missing", os.Remove},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, dir, project := newStorage(t), t.TempDir(), ident.NewProjectID()
			st.putUser(t, named(project, "Ada"))
			m := newModel(t, st, dir)
			listed(t, m, project)
			m.stop()
			if err := c.spoil(filepath.Join(dir, "lists.db")); err != nil {
				t.Fatal(err)
			}
			st.putUser(t, named(project, "Bob"))
			m = newModel(t, st, dir)
			want(t, "the users", []string{"Ada", "Bob"}, listed(t, m, project))
			want(t, "rebuilds", map[string]float64{c.reason: 1}, rebuilds(t, m))
		})
	}
}

func TestDamageThatIsMetWhileReadingIsMendedWithoutARestart(t *testing.T) {
	t.Parallel()
	st, dir, project := newStorage(t), t.TempDir(), ident.NewProjectID()
	wanted := []string{}
	for i := range 3000 {
		wanted = append(wanted, fmt.Sprintf("user %04d with a name that fills pages", i))
		st.putUser(t, named(project, wanted[i]))
	}
	m := newModel(t, st, dir)
	listed(t, m, project, "searchValue:eq:user 0001")
	m.stop()
	path := filepath.Join(dir, "lists.db")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The head stays: what is wrong shows only when pages far from it are read.
	for i := len(raw) / 4; i < len(raw); i++ {
		raw[i] = 0xA5
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	m = newModel(t, st, dir)
	for _, page := range []int{1, 2, 3} {
		for deadline := time.Now().Add(time.Minute); ; {
			got, err := m.Users(t.Context(), project, service.List{Sort: "name:asc", Page: page, PageSize: 1000})
			if err == nil {
				names := []string{}
				for _, u := range got.Users {
					names = append(names, *u.FullName)
				}
				want(t, "a page", wanted[(page-1)*1000:page*1000], names)
				break
			}
			if fault.As(err).Status != http.StatusServiceUnavailable || time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	want(t, "rebuilds", map[string]float64{"damaged": 1}, rebuilds(t, m))
}

func TestAStreamThatWasMadeAnewIsReadAnew(t *testing.T) {
	t.Parallel()
	recreate := func(t *testing.T, st *storage) {
		t.Helper()
		stream, err := st.JS.Stream(t.Context(), "KV_"+bus.AccountsBucket)
		if err != nil {
			t.Fatal(err)
		}
		cfg := stream.CachedInfo().Config
		if err := st.JS.DeleteStream(t.Context(), cfg.Name); err != nil {
			t.Fatal(err)
		}
		if _, err := st.JS.CreateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		st.open(t)
	}
	for name, running := range map[string]bool{"while the read model runs": true, "while it does not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, dir, project := newStorage(t), t.TempDir(), ident.NewProjectID()
			st.putUser(t, named(project, "Ada"))
			m := newModel(t, st, dir)
			want(t, "before", []string{"Ada"}, listed(t, m, project))
			if !running {
				m.stop()
			}
			recreate(t, st)
			st.putUser(t, named(project, "Bob"))
			st.putUser(t, named(project, "Cleo"))
			if !running {
				m = newModel(t, st, dir)
			}
			want(t, "after", []string{"Bob", "Cleo"}, listed(t, m, project))
			if n := rebuilds(t, m)["stream"]; n != 1 {
				t.Errorf("%v rebuilds", n)
			}
		})
	}
}

func TestWhatIsGoneIsInNoList(t *testing.T) {
	t.Parallel()
	st, project := newStorage(t), ident.NewProjectID()
	m := newModel(t, st, "")
	ada, bob, cleo := named(project, "Ada"), named(project, "Bob"), named(project, "Cleo")
	for _, a := range []*account.Account{&ada, &bob, &cleo} {
		a.Identifiers = []account.Identifier{
			{ID: ident.NewIdentifierID(), Type: "email", Value: strings.ToLower(*a.FullName) + "@example.com", Status: "primary"},
		}
		st.putUser(t, *a)
	}
	want(t, "all", []string{"Ada", "Bob", "Cleo"}, listed(t, m, project))
	if err := st.accounts.Delete(t.Context(), string(project)+"."+string(ada.ID)); err != nil {
		t.Fatal(err)
	}
	bob.Erasing = true
	st.putUser(t, bob)
	want(t, "what is left", []string{"Cleo"}, listed(t, m, project))
	want(t, "found by address", []string{}, listed(t, m, project, "searchValue:eq:ada@example"))
	identifiers, err := m.Identifiers(t.Context(), project, service.List{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "identifiers", 1, len(identifiers.Identifiers))
	bob.Erasing = false
	st.putUser(t, bob)
	want(t, "one who is back", []string{"Bob", "Cleo"}, listed(t, m, project, "searchValue:eq:EXAMPLE"))
}

func TestIdentifiersAreFoundAsTheyAreUnique(t *testing.T) {
	t.Parallel()
	st, project := newStorage(t), ident.NewProjectID()
	m := newModel(t, st, "")
	a := named(project, "Ada")
	a.Identifiers = []account.Identifier{
		{ID: "ide-1", Type: "email", Value: "Ada@Example.com", Status: "primary", CreatedMs: 1},
		{ID: "ide-2", Type: "username", Value: "Ada", Status: "pending", CreatedMs: 2},
		{ID: "ide-3", Type: "phone", Value: "+4915112345678", Status: "verified", CreatedMs: 3},
	}
	st.putUser(t, a)
	for name, c := range map[string]struct {
		filters []string
		want    []string
	}{
		"an address in other letter case":    {[]string{"identifierValue:eq:ADA@example.COM"}, []string{"ide-1"}},
		"a user name as it is":               {[]string{"identifierValue:eq:Ada"}, []string{"ide-2"}},
		"a user name in other letter case":   {[]string{"identifierValue:eq:ada"}, []string{}},
		"a phone number":                     {[]string{"identifierValue:eq:+4915112345678", "identifierType:eq:phone"}, []string{"ide-3"}},
		"a value of another type":            {[]string{"identifierValue:eq:Ada", "identifierType:eq:email"}, []string{}},
		"the user with the prefix of the ID": {[]string{"userID:eq:" + string(a.ID)}, []string{"ide-1", "ide-2", "ide-3"}},
		"the user without the prefix of the ID": {
			[]string{"userID:eq:" + strings.TrimPrefix(string(a.ID), "usr-")}, []string{"ide-1", "ide-2", "ide-3"},
		},
	} {
		got, err := m.Identifiers(t.Context(), project, service.List{Filter: c.filters})
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{}
		for _, i := range got.Identifiers {
			ids = append(ids, i.IdentifierID)
		}
		want(t, name, c.want, ids)
	}
}

func TestEveryInstanceShowsWhatHasBeenStored(t *testing.T) {
	t.Parallel()
	st := newStorage(t)
	instances := []*model{newModel(t, st, ""), newModel(t, st, "")}
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			project := ident.NewProjectID()
			var names []string
			for i := range 25 {
				a := named(project, fmt.Sprintf("user %02d", i))
				st.putUser(t, a)
				names = append(names, *a.FullName)
				want(t, "after a create", names, listed(t, instances[(w+i)%2], project))
				if i%5 == 4 {
					names[i] += " renamed"
					a.FullName = &names[i]
					st.putUser(t, a)
					want(t, "after a change", names, listed(t, instances[(w+i+1)%2], project))
				}
			}
		})
	}
	writers.Wait()
}

func TestUnfinishedAccountsAreFoundWhenTheyAreOldEnough(t *testing.T) {
	t.Parallel()
	st, project := newStorage(t), ident.NewProjectID()
	m := newModel(t, st, "")
	plain, untold, erasing := named(project, "Ada"), named(project, "Bob"), named(project, "Cleo")
	untold.Unannounced = []event.Event{{ID: ident.NewEventID()}}
	erasing.Erasing = true
	for _, a := range []account.Account{plain, untold, erasing} {
		st.putUser(t, a)
	}
	listed(t, m, project)
	ask := func(olderThan time.Time, limit int) []account.Ref {
		refs, err := m.Unfinished(t.Context(), olderThan, limit)
		if err != nil {
			t.Fatal(err)
		}
		return refs
	}
	later := time.Now().Add(time.Hour)
	both := []account.Ref{{Project: project, User: untold.ID}, {Project: project, User: erasing.ID}}
	byUser := gocmp.Transformer("sorted", func(refs []account.Ref) []string {
		var users []string
		for _, ref := range refs {
			users = append(users, string(ref.User))
		}
		slices.Sort(users)
		return users
	})
	if diff := gocmp.Diff(both, ask(later, 10), byUser); diff != "" {
		t.Error(diff)
	}
	want(t, "no more than asked for", 1, len(ask(later, 1)))
	want(t, "none so old", []account.Ref{}, ask(time.Now().Add(-time.Hour), 10))
	untold.Unannounced = nil
	st.putUser(t, untold)
	listed(t, m, project)
	want(t, "what is left", both[1:], ask(later, 10))
}

func TestAnEntryThatCannotBeReadHidesNoOther(t *testing.T) {
	t.Parallel()
	st, project := newStorage(t), ident.NewProjectID()
	m := newModel(t, st, "")
	st.putUser(t, named(project, "Ada"))
	for key, value := range map[string]string{string(project) + ".usr-1": "{", "nodot": "{}", string(project) + ".usr-2": `{"status":7}`} {
		if _, err := st.accounts.PutString(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	st.putUser(t, named(project, "Bob"))
	want(t, "users", []string{"Ada", "Bob"}, listed(t, m, project))
	if n := m.metric(t, "keyward_readmodel_unreadable_entries_total"); n != 3 {
		t.Errorf("%v entries could not be read", n)
	}
}

// silent is a JetStream whose streams have more than anybody will ever read.
type silent struct{ jetstream.JetStream }

func (s silent) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	stream, err := s.JetStream.Stream(ctx, name)
	if err == nil {
		stream.CachedInfo().State.LastSeq += 1000
	}
	return stream, err
}

func TestAListThatIsNotUpToDateInTimeIsUnavailable(t *testing.T) {
	t.Parallel()
	st := newStorage(t)
	// Nothing runs, so nothing is ever read.
	m, err := readmodel.Open(
		readmodel.Deps{
			JetStream: silent{st.JS}, Dir: t.TempDir(), Now: time.Now, Log: slog.New(slog.DiscardHandler),
			Metrics: prometheus.NewRegistry(),
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = m.Users(ctx, ident.NewProjectID(), service.List{})
	var f *fault.Fault
	if !errors.As(err, &f) || f.Status != http.StatusServiceUnavailable || f.RetryAfter == 0 || f.Type != fault.TypeUnavailable ||
		ctx.Err() != nil {
		t.Errorf("got %v, the context %v", err, ctx.Err())
	}
	if _, err := m.Unfinished(t.Context(), time.Now(), 1); fault.As(err).Status != http.StatusServiceUnavailable {
		t.Errorf("got %v", err)
	}
	if _, building := m.Building(); !building {
		t.Error("nothing was read and nothing is being read")
	}
}

func TestADirectoryIsOfOneProcess(t *testing.T) {
	t.Parallel()
	st, dir := newStorage(t), t.TempDir()
	open := func(dir string) (*readmodel.Store, error) {
		return readmodel.Open(
			readmodel.Deps{JetStream: st.JS, Dir: dir, Now: time.Now, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()},
		)
	}
	first, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	again, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzFilters(f *testing.F) {
	st := newStorage(f)
	m := newModel(f, st, "")
	project := ident.NewProjectID()
	a := named(project, "Ada \"Lovelace\"")
	a.Identifiers = []account.Identifier{{ID: "ide-1", Type: "email", Value: "ada@example.com", Status: "primary"}}
	st.putUser(f, a)
	f.Add("name:asc", "searchValue:eq:\" OR 1=1", "identifierValue:eq:x' OR 'a'='a")
	f.Add("created:desc", "created:gt:2026-11-22T12:00:00", "userID:lt:usr-9")
	f.Add("", "searchValue:eq:\x00\x1f\xff", "identifierType:eq:")
	f.Fuzz(func(t *testing.T, sort, filter, other string) {
		list := service.List{Sort: sort, Filter: []string{filter, other}}
		for _, ask := range []func() error{
			func() error { _, err := m.Users(t.Context(), project, list); return err },
			func() error { _, err := m.Identifiers(t.Context(), project, list); return err },
			func() error { _, err := m.SocialAccounts(t.Context(), project, list); return err },
			func() error { _, err := m.Sessions(t.Context(), project, started, list); return err },
			func() error { _, err := m.Tokens(t.Context(), project, list); return err },
		} {
			if err := ask(); err != nil && fault.As(err).Status != http.StatusBadRequest {
				t.Fatalf("not the caller's fault: %v", err)
			}
		}
		list.Filter = []string{filter}
		if _, err := m.Users(t.Context(), project, list); err != nil && fault.As(err).Status != http.StatusBadRequest {
			t.Fatalf("not the caller's fault: %v", err)
		}
	})
}

// purge removes an entry without leaving a trace of it.
func (st *storage) purge(t *testing.T, bucket string, project ident.ProjectID, id string) {
	t.Helper()
	stream, err := st.JS.Stream(t.Context(), "KV_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSubject("$KV."+bucket+"."+string(project)+"."+id)); err != nil {
		t.Fatal(err)
	}
}

func TestAListDoesNotWaitForWhatWasRemovedFromTheEndOfAStream(t *testing.T) {
	t.Parallel()
	st, dir, project := newStorage(t), t.TempDir(), ident.NewProjectID()
	st.putUser(t, named(project, "Ada"))
	last := named(project, "Bob")
	st.putUser(t, last)
	st.purge(t, bus.AccountsBucket, project, string(last.ID))
	m := newModel(t, st, dir)
	want(t, "at first", []string{"Ada"}, listed(t, m, project))
	m.stop()
	st.putUser(t, last)
	st.purge(t, bus.AccountsBucket, project, string(last.ID))
	m = newModel(t, st, dir)
	want(t, "after a restart", []string{"Ada"}, listed(t, m, project))
	want(t, "rebuilds", map[string]float64{}, rebuilds(t, m))
}

func TestRowsOfEntriesThatWereRemovedWithoutATraceAreFoundOut(t *testing.T) {
	t.Parallel()
	st, dir, project := newStorage(t), t.TempDir(), ident.NewProjectID()
	ada := named(project, "Ada")
	st.putUser(t, ada)
	st.putUser(t, named(project, "Bob"))
	m := newModel(t, st, dir)
	want(t, "at first", []string{"Ada", "Bob"}, listed(t, m, project))
	m.stop()
	st.purge(t, bus.AccountsBucket, project, string(ada.ID))
	m = newModel(t, st, dir)
	for deadline := time.Now().Add(time.Minute); rebuilds(t, m)["diverged"] == 0; {
		if time.Now().After(deadline) {
			t.Fatal("nobody noticed")
		}
	}
	want(t, "what is left", []string{"Bob"}, listed(t, m, project))
}

func TestRowsGoWithTheAgeOfTheirBucket(t *testing.T) {
	t.Parallel()
	st, project := newStorage(t), ident.NewProjectID()
	stream, err := st.JS.Stream(t.Context(), "KV_"+bus.TokensBucket)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.MaxAge = time.Hour
	if _, err := st.JS.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	st.putToken(t, connecttoken.Token{Project: project, ID: "ctk-1", Type: "passkey-login", Status: "initial"})
	var hours atomic.Int64
	m := newModelAt(t, st, "", func() time.Time { return time.Now().Add(time.Duration(hours.Load()) * time.Hour) })
	total := func() int32 {
		got, err := m.Tokens(t.Context(), project, service.List{Filter: []string{"tokenType:eq:passkey-login"}})
		if err != nil {
			t.Fatal(err)
		}
		return got.Paging.TotalItems
	}
	want(t, "while it is young", int32(1), total())
	hours.Store(2)
	for deadline := time.Now().Add(time.Minute); total() != 0; {
		if time.Now().After(deadline) {
			t.Fatal("the row stays")
		}
	}
}

// No other test may run beside this one: it looks at the directory for temporary files.
func TestTemporaryDirectoriesGoWithTheirProcess(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	left := filepath.Join(temporary, "keyward-readmodel-left")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	there := func() int {
		found, err := filepath.Glob(filepath.Join(temporary, "keyward-readmodel-*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	open := func() *readmodel.Store {
		m, err := readmodel.Open(
			readmodel.Deps{JetStream: silent{}, Now: time.Now, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()},
		)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first := open()
	want(t, "what a killed process left is gone", 1, there())
	second := open()
	want(t, "what another process uses stays", 2, there())
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		t.Error(err)
	}
	want(t, "in the end", 0, there())
}

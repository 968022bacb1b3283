package integrity_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/ceremony/integrity"
	"github.com/keyward/keyward/services/ceremony/internal/credindex"
)

const project = ident.ProjectID("pro-1")

// store is a data directory with users.
type store struct {
	t   *testing.T
	dir string
	bus *bus.Bus
}

func open(t *testing.T, dir string) *store {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = dir
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return &store{t, dir, b}
}

func (s *store) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *store) bucket(name string) jetstream.KeyValue {
	s.t.Helper()
	bucket, err := s.bus.Bucket(s.t.Context(), name)
	s.must(err)
	return bucket
}

func (s *store) tell(user ident.UserID, what event.Type) {
	s.t.Helper()
	_, err := s.bus.JS.Publish(s.t.Context(), fmt.Sprintf("%s.%s.%s.%s", bus.EventsPrefix, project, user, what), []byte("{}"))
	s.must(err)
}

func userID(n int) ident.UserID { return ident.UserID(fmt.Sprintf("usr-%d", 1000+n)) }

func (s *store) user(n int) account.Account {
	id, old := userID(n), time.Now().Add(-time.Hour).UnixMilli()
	passkey := account.Credential{ID: ident.CredentialID(fmt.Sprintf("cre-%d", n)), CredentialID: []byte{byte(n)}, CreatedMs: old}
	return account.Account{Project: project, ID: id, CreatedMs: old, UpdatedMs: old, Credentials: []account.Credential{passkey}}
}

// add makes users with a passkey each as the services would.
func (s *store) add(users int) {
	s.t.Helper()
	accounts, index := account.NewStore(s.bucket(bus.AccountsBucket)), credindex.NewStore(s.bucket(bus.CredentialsBucket))
	for n := range users {
		a := s.user(n)
		entry := credindex.Entry{User: a.ID, Credential: a.Credentials[0].ID}
		s.must(index.AddCredential(s.t.Context(), project, a.Credentials[0].CredentialID, entry))
		s.must(accounts.Create(s.t.Context(), a))
		s.tell(a.ID, event.UserCreated)
	}
}

func (s *store) erase(n int) {
	s.t.Helper()
	a := s.user(n)
	s.must(credindex.NewStore(s.bucket(bus.CredentialsBucket)).RemoveCredential(s.t.Context(), project, a.Credentials[0].CredentialID, a.ID))
	s.purge(bus.EventsStream, fmt.Sprintf("%s.%s.%s.>", bus.EventsPrefix, project, a.ID))
	s.tell(a.ID, event.UserDeleted)
	s.must(account.NewStore(s.bucket(bus.AccountsBucket)).Delete(s.t.Context(), project, a.ID))
}

// purge takes messages away as no service does of what is to be kept.
func (s *store) purge(stream, subject string) {
	s.t.Helper()
	opened, err := s.bus.JS.Stream(s.t.Context(), stream)
	s.must(err)
	s.must(opened.Purge(s.t.Context(), jetstream.WithPurgeSubject(subject)))
}

func (s *store) checker() *integrity.Checker {
	s.t.Helper()
	c, err := integrity.Open(s.t.Context(), integrity.Deps{JetStream: s.bus.JS, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	s.must(err)
	return c
}

func (s *store) check() map[integrity.Kind]integrity.Finding {
	s.t.Helper()
	all, err := s.checker().Check(s.t.Context())
	s.must(err)
	found := make(map[integrity.Kind]integrity.Finding)
	for _, f := range all {
		found[f.Kind] = f
	}
	return found
}

// cut closes the store and takes the last third of what a stream has on disk; forgetful, also what the server knows of it beside.
func (s *store) cut(stream string, forgetful bool) *store {
	s.t.Helper()
	s.bus.Close()
	messages := filepath.Join(s.dir, "nats", "jetstream", "$G", "streams", stream, "msgs")
	block := filepath.Join(messages, "1.blk")
	info, err := os.Stat(block)
	s.must(err)
	s.must(os.Truncate(block, info.Size()*2/3))
	if forgetful {
		s.must(os.Remove(filepath.Join(messages, "index.db")))
	}
	return open(s.t, s.dir)
}

func TestAStoreThatLacksNothingIsSound(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	s.add(20)
	s.check()
	for n := range 5 {
		s.erase(n)
	}
	if found := s.check(); len(found) > 0 {
		t.Errorf("found after users were erased: %v", found)
	}
	s.bus.Close()
	if found := open(t, s.dir).check(); len(found) > 0 {
		t.Errorf("found after a restart: %v", found)
	}
}

func TestWhatIsMissingIsFoundAndToldUntilItIsAcknowledged(t *testing.T) {
	t.Parallel()
	accounts, index := "KV_"+bus.AccountsBucket, "KV_"+bus.CredentialsBucket
	of := func(bucket, key string) string { return "$KV." + bucket + "." + key }
	tests := map[string]struct {
		damage func(*store) *store
		want   integrity.Kind
		where  string
		count  uint64 // 0 = any
	}{
		"accounts are cut off": {func(s *store) *store { return s.cut(accounts, false) }, integrity.MessagesLost, accounts, 0},
		"accounts are cut off, and deleted ones are back": {
			func(s *store) *store { return s.cut(accounts, false) }, integrity.DeletedAccount, accounts, 2,
		},
		"accounts are cut off as if they had never been": {
			func(s *store) *store { return s.cut(accounts, true) }, integrity.EndLost, accounts, 0,
		},
		"the log is cut off": {func(s *store) *store { return s.cut(bus.EventsStream, false) }, integrity.Gap, bus.EventsStream, 0},
		"accounts in the middle are gone": {func(s *store) *store {
			s.purge(accounts, of(bus.AccountsBucket, "pro-1."+string(userID(3))))
			return s
		}, integrity.MessagesLost, accounts, 1},
		"the log tells of users who have no account": {func(s *store) *store {
			s.purge(accounts, of(bus.AccountsBucket, "pro-1."+string(userID(3))))
			return s
		}, integrity.NoAccount, accounts, 1},
		"passkeys are in no index": {func(s *store) *store {
			s.purge(index, of(bus.CredentialsBucket, "pro-1.>"))
			return s
		}, integrity.NoIndex, accounts, 18},
		"deleted users are back": {func(s *store) *store {
			s.must(account.NewStore(s.bucket(bus.AccountsBucket)).Create(s.t.Context(), s.user(0)))
			return s
		}, integrity.DeletedAccount, accounts, 1},
		"an account cannot be read": {func(s *store) *store {
			_, err := s.bucket(bus.AccountsBucket).Put(s.t.Context(), "pro-1."+string(userID(4)), []byte("{"))
			s.must(err)
			return s
		}, integrity.Unreadable, accounts, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir())
			s.add(20)
			s.erase(0)
			s.erase(1)
			if found := s.check(); len(found) > 0 {
				t.Fatalf("found before anything was damaged: %v", found)
			}
			s = test.damage(s)
			all := s.check()
			found := all[test.want]
			if found.Where != test.where || test.count != 0 && found.Count != test.count {
				t.Fatalf("found %v, want of %q %d in %s", all, test.want, test.count, test.where)
			}
			s.bus.Close()
			s = open(t, s.dir)
			c := s.checker()
			if len(c.Found()) == 0 {
				t.Error("a restart forgets what was found")
			}
			s.must(c.Acknowledge(t.Context()))
			if found := s.check(); len(c.Found()) > 0 || len(found) > 0 {
				t.Errorf("told after it was acknowledged: %v", found)
			}
		})
	}
}

func TestAGapInTheLogIsFoundUnlessSomebodyWasErased(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	s.add(20)
	s.check()
	s.purge(bus.EventsStream, fmt.Sprintf("%s.%s.%s.>", bus.EventsPrefix, project, userID(7)))
	if gap := s.check()[integrity.Gap]; gap.Count != 1 || gap.Where != bus.EventsStream {
		t.Errorf("found %+v", gap)
	}
}

func TestAStoreThatTakesNoRecordIsOpenedAndToldAbout(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	s.check()
	s.add(1)
	record, err := s.bus.JS.Stream(t.Context(), "KV_"+bus.IntegrityBucket)
	s.must(err)
	full := record.CachedInfo().Config
	full.MaxMsgSize = 1
	_, err = s.bus.JS.UpdateStream(t.Context(), full)
	s.must(err)
	if c := s.checker(); c.Err() == nil {
		t.Error("nobody is told that the record could not be written")
	}
}

func TestAnInstanceThatRunsSeesThatItIsAcknowledged(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	s.add(3)
	s.check()
	s.purge("KV_"+bus.AccountsBucket, "$KV."+bus.AccountsBucket+".pro-1."+string(userID(2)))
	running := s.checker()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		running.Run(ctx, 10*time.Millisecond)
	}()
	await(t, func() bool { return len(running.Found()) > 0 })
	other := s.checker()
	if _, err := other.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.must(other.Acknowledge(t.Context()))
	await(t, func() bool { return len(running.Found()) == 0 })
	cancel()
	<-done
}

func await(t *testing.T, holds func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-limit:
			t.Fatal("it does not come true")
		case <-tick.C:
		}
	}
}

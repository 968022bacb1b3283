package recheck_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/metadata/metadatatest"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/recheck"
)

const (
	model   = "2fc0579f-8113-47ea-b116-bb5a8db9202a"
	another = "149a2021-8ef6-4133-96b8-81f8d5b7f1f5"
	noModel = "00000000-0000-0000-0000-000000000000"
)

var started = time.Date(2026, time.November, 25, 14, 0, 0, 0, time.UTC)

// installation has accounts, and what is known of models.
type installation struct {
	metadata *metadata.Snapshot
	service  *metadatatest.Service
	accounts *account.Store
	bucket   jetstream.KeyValue
	bus      *bus.Bus
	now      time.Time

	mu     sync.Mutex // guards what follows
	told   map[ident.EventID]event.Event
	broken error
}

func (i *installation) Now() *metadata.Snapshot { return i.metadata }

func (i *installation) All() []project.Project {
	return []project.Project{{ID: "pro-1"}, {ID: "pro-2"}}
}

func (i *installation) Append(_ context.Context, e event.Event) (service.Appended, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.broken != nil {
		return service.Appended{}, i.broken
	}
	if _, twice := i.told[e.ID]; !twice {
		i.told[e.ID] = e
	}
	return service.Appended{}, nil
}

func open(tb testing.TB) *installation {
	tb.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = tb.TempDir()
	b, err := bus.Open(tb.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.Close)
	i := &installation{bus: b, now: started, service: metadatatest.New(tb, metadata.Name, started)}
	i.forget()
	accounts, err := b.Bucket(tb.Context(), bus.AccountsBucket)
	if err != nil {
		tb.Fatal(err)
	}
	i.accounts = account.NewStore(accounts)
	if i.bucket, err = b.Bucket(tb.Context(), bus.AttestationsBucket); err != nil {
		tb.Fatal(err)
	}
	return i
}

func (i *installation) forget() { i.told = map[ident.EventID]event.Event{} }

// says has the metadata of a number say of models what it says.
func (i *installation) says(tb testing.TB, number int, models ...metadatatest.Entry) {
	tb.Helper()
	said, err := metadata.Verify(
		i.service.Blob(tb, number, started.Add(30*24*time.Hour), models...),
		metadata.Trust{Roots: []*x509.Certificate{i.service.Root.Certificate}}, started,
	)
	if err != nil {
		tb.Fatal(err)
	}
	i.metadata = said
}

func (i *installation) checker(log recheck.Log) *recheck.Checker {
	return recheck.New(recheck.Deps{
		Models: i, Projects: i, Accounts: i.accounts, Log: log, Bucket: i.bucket, Now: func() time.Time { return i.now },
		Logger: slog.New(slog.DiscardHandler),
	})
}

func (i *installation) check(tb testing.TB) {
	tb.Helper()
	if err := i.checker(i).Check(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func (i *installation) user(tb testing.TB, of ident.ProjectID, id ident.UserID, passkeys ...account.Credential) {
	tb.Helper()
	if err := i.accounts.Create(tb.Context(), account.Account{Project: of, ID: id, Credentials: passkeys}); err != nil {
		tb.Fatal(err)
	}
}

// tidings are those that were told of, by passkey.
func (i *installation) tidings() map[string]event.Authenticator {
	all := map[string]event.Authenticator{}
	for _, e := range i.told {
		all[string(e.Project)+" "+string(e.User)+" "+e.Credential] = *e.Authenticator
	}
	return all
}

func plain(reports ...any) metadatatest.Entry { return metadatatest.Model(model, nil, reports...) }

func TestPasskeysOfAModelThatIsRevokedAreToldOfOnce(t *testing.T) {
	t.Parallel()
	i := open(t)
	i.user(t, "pro-1", "usr-1", account.Credential{ID: "cre-1", AAGUID: model}, account.Credential{ID: "cre-2", AAGUID: another})
	i.user(t, "pro-2", "usr-2", account.Credential{ID: "cre-3", AAGUID: "2FC0579F-8113-47EA-B116-BB5A8DB9202A"})
	i.user(t, "pro-2", "usr-3", account.Credential{ID: "cre-4", AAGUID: noModel})
	i.check(t) // nothing is known of models
	i.says(t, 1, plain("FIDO_CERTIFIED_L1"), metadatatest.Model(another, nil))
	i.check(t)
	i.check(t)
	if len(i.told) != 0 {
		t.Fatalf("the first metadata tells %+v", i.told)
	}
	i.says(t, 2, plain("FIDO_CERTIFIED_L1", "REVOKED"), metadatatest.Model(another, nil))
	i.check(t)
	is := event.Authenticator{
		AAGUID: model, Before: "ok", Status: "revoked", Level: 1, Number: 2, Reports: []string{"FIDO_CERTIFIED_L1", "REVOKED"},
	}
	want := map[string]event.Authenticator{"pro-1 usr-1 cre-1": is, "pro-2 usr-2 cre-3": is}
	if diff := cmp.Diff(want, i.tidings()); diff != "" {
		t.Fatal(diff)
	}
	i.forget()
	i.check(t)
	i.says(t, 3, plain("FIDO_CERTIFIED_L1", "REVOKED"), metadatatest.Model(another, nil))
	i.check(t)
	if len(i.told) != 0 {
		t.Errorf("told again: %+v", i.told)
	}
	i.says(t, 2, plain("FIDO_CERTIFIED_L1"), metadatatest.Model(another, nil)) // of an instance that has not read the third
	i.check(t)
	if len(i.told) != 0 {
		t.Errorf("an older one tells %+v", i.told)
	}
}

// erasing is accounts of which one goes when it has been read and before anything is told of it.
type erasing struct {
	*account.Store
	user ident.UserID
}

func (e erasing) All(ctx context.Context, of ident.ProjectID, visit func(account.Account) bool) error {
	return e.Store.All(ctx, of, func(a account.Account) bool {
		if a.ID == e.user && e.Store.Delete(ctx, of, a.ID) != nil {
			return false
		}
		return visit(a)
	})
}

func TestOfWhoIsErasedDuringAPassNothingIsTold(t *testing.T) {
	t.Parallel()
	i := open(t)
	i.user(t, "pro-1", "usr-1", account.Credential{ID: "cre-1", AAGUID: model})
	i.user(t, "pro-1", "usr-2", account.Credential{ID: "cre-2", AAGUID: model})
	i.says(t, 1, plain("FIDO_CERTIFIED_L1"))
	i.check(t)
	i.says(t, 2, plain("FIDO_CERTIFIED_L1", "REVOKED"))
	checker := recheck.New(recheck.Deps{
		Models: i, Projects: i, Accounts: erasing{i.accounts, "usr-1"}, Log: i, Bucket: i.bucket, Now: func() time.Time { return i.now },
		Logger: slog.New(slog.DiscardHandler),
	})
	if err := checker.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	told := i.tidings()
	if _, is := told["pro-1 usr-2 cre-2"]; len(told) != 1 || !is {
		t.Errorf("told %+v", told)
	}
}

func TestWhatIsToldOfAModel(t *testing.T) {
	t.Parallel()
	batch := metadatatest.New(t, metadata.Name, started).Leaf
	hash := sha256.Sum256(batch.Raw)
	of := func(status string) map[string]any {
		return map[string]any{"status": status, "batchCertificate": base64.StdEncoding.EncodeToString(batch.Raw)}
	}
	from := func(status, day string) map[string]any { return map[string]any{"status": status, "effectiveDate": day} }
	type entries = []metadatatest.Entry
	for name, c := range map[string]struct {
		before, after entries
		chain         [][]byte
		was, is       string // empty = nothing is told
	}{
		"it is compromised":      {entries{plain()}, entries{plain("USER_VERIFICATION_BYPASS")}, nil, "ok", "compromised"},
		"it is not any more":     {entries{plain("USER_VERIFICATION_BYPASS")}, entries{plain()}, nil, "compromised", "ok"},
		"it is not spoken of":    {entries{plain("REVOKED")}, nil, nil, "revoked", "unknown"},
		"it is new, and revoked": {nil, entries{plain("REVOKED")}, nil, "unknown", "revoked"},
		"it is new":              {nil, entries{plain()}, nil, "", ""},
		"it is gone":             {entries{plain()}, nil, nil, "", ""},
		"it is certified":        {entries{plain()}, entries{plain("FIDO_CERTIFIED_L1")}, nil, "", ""},
		"there is an update":     {entries{plain()}, entries{plain("UPDATE_AVAILABLE")}, nil, "ok", "update"},
		"another batch is":       {entries{plain()}, entries{plain(of("ATTESTATION_KEY_COMPROMISE"))}, nil, "", ""},
		"its batch is compromised": {
			entries{plain()}, entries{plain(of("ATTESTATION_KEY_COMPROMISE"))}, [][]byte{hash[:]}, "ok", "compromised",
		},
		"it will be revoked":         {entries{plain()}, entries{plain(from("REVOKED", "2026-11-27"))}, nil, "", ""},
		"it was to be from that day": {entries{plain(from("REVOKED", "2026-11-25"))}, entries{plain("REVOKED")}, nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := open(t)
			passkey := account.Credential{ID: "cre-1", AAGUID: model}
			if c.chain != nil {
				passkey.Attestation = &account.Attestation{Trust: account.TrustVerified, Certificates: c.chain}
			}
			i.user(t, "pro-1", "usr-1", passkey)
			i.says(t, 1, c.before...)
			i.check(t)
			i.says(t, 2, c.after...)
			i.check(t)
			told := i.tidings()["pro-1 usr-1 cre-1"]
			if told.Before != c.was || told.Status != c.is {
				t.Errorf("told %+v", i.tidings())
			}
		})
	}
}

func TestADayThatComesTellsWhatWasSaidForIt(t *testing.T) {
	t.Parallel()
	i := open(t)
	i.user(t, "pro-1", "usr-1", account.Credential{ID: "cre-1", AAGUID: model})
	i.says(t, 1, plain(map[string]any{"status": "REVOKED", "effectiveDate": "2026-11-27"}))
	i.check(t)
	i.now = started.Add(24 * time.Hour)
	i.check(t)
	if len(i.told) != 0 {
		t.Fatalf("it is told before: %+v", i.told)
	}
	i.now = started.Add(48 * time.Hour)
	i.check(t)
	if told := i.tidings()["pro-1 usr-1 cre-1"]; told.Status != "revoked" || told.Number != 1 {
		t.Errorf("told %+v", i.tidings())
	}
}

func TestWhatIsInterruptedIsToldLaterAndOnce(t *testing.T) {
	t.Parallel()
	i := open(t)
	for n := range 20 {
		id := fmt.Sprintf("usr-%d", n)
		i.user(t, "pro-1", ident.UserID(id), account.Credential{ID: "cre-1", AAGUID: model})
	}
	i.says(t, 1, plain())
	i.check(t)
	i.says(t, 2, plain("REVOKED"))
	i.broken = errors.New("the log is away")
	if err := i.checker(i).Check(t.Context()); !errors.Is(err, i.broken) {
		t.Fatalf("it passes: %v", err)
	}
	i.broken = nil
	var both errgroup.Group
	for range 2 { // instances
		both.Go(func() error { return i.checker(i).Check(t.Context()) })
	}
	if err := both.Wait(); err != nil {
		t.Fatal(err)
	}
	i.check(t)
	if len(i.told) != 20 {
		t.Errorf("%d were told of", len(i.told))
	}
}

// logged is the log as it is stored.
type logged struct{ *eventlog.Log }

func (l logged) Append(ctx context.Context, e event.Event) (service.Appended, error) {
	receipt, err := l.Log.Append(ctx, e)
	return service.Appended{Sequence: receipt.Sequence}, err
}

// passkeysVariable is how many passkeys are gone through; make recheck-soak has ten thousand.
const (
	passkeysVariable = "KEYWARD_PASSKEYS"
	usualPasskeys    = 500
)

func passkeys(t *testing.T) int {
	t.Helper()
	text := os.Getenv(passkeysVariable)
	if text == "" {
		return usualPasskeys
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s: want a number above 0, got %q", passkeysVariable, text)
	}
	return n
}

func TestHoweverManyPasskeysThereAreAllAreGoneThrough(t *testing.T) {
	users := passkeys(t)
	i := open(t)
	made, ctx := errgroup.WithContext(t.Context())
	made.SetLimit(64)
	for n := range users {
		made.Go(func() error {
			return i.accounts.Create(ctx, account.Account{
				Project: "pro-1", ID: ident.UserID(fmt.Sprintf("usr-%d", n)), Credentials: []account.Credential{{ID: "cre-1", AAGUID: model}},
			})
		})
	}
	if err := made.Wait(); err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.NewLog(t.Context(), i.bus.JS)
	if err != nil {
		t.Fatal(err)
	}
	i.says(t, 1, plain())
	i.check(t)
	i.says(t, 2, plain("REVOKED"))
	began := time.Now()
	if err := i.checker(logged{log}).Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	t.Logf("%d passkeys in %s", users, took)
	stream, err := i.bus.JS.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := stream.Info(t.Context()); err != nil || info.State.Msgs != uint64(users) {
		t.Errorf("the log has %+v, %v", info, err)
	}
}

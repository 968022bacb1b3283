package workbench_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	opa "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/admit"
	"github.com/keyward/keyward/services/decision/internal/archive"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/release"
	"github.com/keyward/keyward/services/decision/internal/tarball"
	"github.com/keyward/keyward/services/decision/invariant"
	"github.com/keyward/keyward/services/decision/workbench"
)

var (
	ada = service.Operator{ID: "opr-1", Name: "Ada"}
	bob = service.Operator{ID: "opr-2", Name: "Bob"}
)

// bench is a workbench over a store of its own.
type bench struct {
	*workbench.Workbench
	js jetstream.JetStream

	mu      sync.Mutex
	told    []audit.Event
	started int // instances
}

func open(t testing.TB, cfg workbench.Config) *bench {
	t.Helper()
	stored := bus.DefaultConfig()
	stored.DataDir, stored.SyncInterval = t.TempDir(), time.Minute
	opened, err := bus.Open(t.Context(), stored, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	b := &bench{js: opened.JS}
	cfg.CheckTimeout, cfg.Version = 10*time.Minute, "1.0.0"
	check, try := admit.Here(invariant.Options{})
	b.Workbench, err = workbench.New(t.Context(), cfg, workbench.Deps{
		JS: opened.JS, Now: time.Now,
		Check: check, Try: try,
		Tell: func(_ context.Context, by audit.Actor, e audit.Event) {
			b.mu.Lock()
			defer b.mu.Unlock()
			e.Actor = by
			b.told = append(b.told, e)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// revised is the default bundle without its tests, named by its manifest, after some edits.
func revised(t testing.TB, name string, edit func(fstest.MapFS)) bundlefile.Files {
	t.Helper()
	files := policiestest.Files(t)
	files[".manifest"] = &fstest.MapFile{Data: fmt.Appendf(nil, `{"revision": %q, "rego_version": 1, "roots": [""]}`, name)}
	if edit != nil {
		edit(files)
	}
	read, err := bundlefile.Read(files)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func request(t testing.TB, files bundlefile.Files) operator.PolicyPushReq {
	t.Helper()
	raw, err := tarball.Write(files)
	if err != nil {
		t.Fatal(err)
	}
	return operator.PolicyPushReq{Bundle: raw, Message: "as the review asked for"}
}

func (b *bench) push(t testing.TB, by service.Operator, files bundlefile.Files) operator.PolicyRevision {
	t.Helper()
	pushed, err := b.PushPolicy(t.Context(), service.ForOperator[operator.PolicyPushReq]{Operator: by, Body: request(t, files)})
	if err != nil {
		t.Fatal(err)
	}
	return pushed
}

func (b *bench) change(ctx context.Context, by service.Operator, revision int32) (operator.PolicyChange, error) {
	req := operator.PolicyChangeReq{}
	if revision != 0 {
		req.Revision = &revision
	}
	return b.ChangePolicy(ctx, service.ForOperator[operator.PolicyChangeReq]{Operator: by, Body: req})
}

func (b *bench) live(t testing.TB, by service.Operator, revision int32) operator.PolicyChange {
	t.Helper()
	made, err := b.change(t.Context(), by, revision)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// nobody has no history.
type nobody struct{}

func (nobody) Read(context.Context, ident.ProjectID, ident.UserID, string) (event.Reading, error) {
	return event.Reading{}, nil
}

func (nobody) Offers(context.Context, ident.ProjectID, ident.UserID, ...string) ([]event.Event, error) {
	return nil, nil
}

// clock is that of one more instance: clocks go apart by a minute, and by two between the second and the third.
func (b *bench) clock() func() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	apart := []time.Duration{0, time.Minute, -time.Minute}[b.started%3]
	b.started++
	return func() time.Time { return time.Now().Add(apart) }
}

// instance starts a decision service that follows the store.
func (b *bench) instance(t testing.TB, change func(*decision.Config, *decision.Deps)) *decision.Service {
	t.Helper()
	cfg := decision.DefaultConfig()
	cfg.Store, cfg.Version, cfg.Poll, cfg.CheckTimeout, cfg.EvalTimeout = true, "1.0.0", 200*time.Millisecond, 10*time.Minute, time.Minute
	deps := decision.Deps{
		Events: nobody{}, JS: b.js, Now: b.clock(), Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	}
	if change != nil {
		change(&cfg, &deps)
	}
	svc, err := decision.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return svc
}

// answers is the revision that an instance answers by, and the row.
func answers(t *testing.T, svc *decision.Service) (revision, rule string) {
	t.Helper()
	said, err := svc.Mediation(t.Context(), service.Question{Project: "pro-1", Client: rest.ClientInformation{}})
	if err != nil {
		t.Fatal(err)
	}
	return said.PolicyRevision, said.Rule
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	looks, end := time.NewTicker(10*time.Millisecond), time.After(time.Minute)
	defer looks.Stop()
	for !holds() {
		select {
		case <-end:
			t.Fatal("not within a minute: " + what)
		case <-looks.C:
		}
	}
}

func (b *bench) status(t *testing.T) operator.PolicyStatus {
	t.Helper()
	status, err := b.GetPolicyStatus(t.Context(), service.ForOperator[service.Empty]{Operator: ada})
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func TestWhatIsMadeLiveAnswersOnEveryInstanceAndWhatIsTakenBackDoesNot(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	running := []*decision.Service{b.instance(t, nil), b.instance(t, nil)}
	everywhere := func(name string) {
		t.Helper()
		for _, svc := range running {
			eventually(t, name+" answers", func() bool {
				revision, _ := answers(t, svc)
				return revision == name
			})
		}
		eventually(t, "every instance has said so", func() bool {
			for _, i := range b.status(t).Instances {
				if i.Behind || i.Name != name {
					return false
				}
			}
			return len(b.status(t).Instances) == len(running)
		})
	}
	binary, _ := answers(t, running[0])
	first, second := b.push(t, ada, revised(t, "one", nil)), b.push(t, ada, revised(t, "two", nil))
	if first.Number != 1 || second.Number != 2 || first.Parent != nil {
		t.Fatalf("%+v, %+v", first, second)
	}
	everywhere(binary)
	if source := b.status(t).Instances[0].Source; source != operator.PolicyInstanceSourceBinary {
		t.Errorf("without anything live the source is %s", source)
	}
	b.live(t, ada, 1)
	everywhere("one")
	b.live(t, bob, 2)
	everywhere("two")
	running = append(running, b.instance(t, nil)) // one that starts later
	everywhere("two")
	back := b.live(t, ada, 0)
	if back.Revision != 1 || back.Kind != operator.PolicyChangeKindRollback || back.Number != 3 || *back.Before != 2 {
		t.Errorf("taken back: %+v", back)
	}
	everywhere("one")
	if third := b.push(t, ada, revised(t, "three", nil)); third.Parent == nil || *third.Parent != 1 {
		t.Errorf("made from what is live: %+v", third)
	}
	var told []string
	for _, e := range b.told {
		told = append(told, fmt.Sprintf("%s %s %d %d", e.Actor.Name, e.Type, e.Release.Number, e.Change))
	}
	want := "Ada policy-pushed 1 0,Ada policy-pushed 2 0,Ada policy-changed 1 1,Bob policy-changed 2 2,Ada policy-changed 1 3," +
		"Ada policy-pushed 3 0"
	if got := strings.Join(told, ","); got != want {
		t.Errorf("told %s", got)
	}
}

func TestFilesThatAreThereAreTheRevisionThatTheyWere(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	first := b.push(t, ada, revised(t, "one", nil))
	again := b.push(t, bob, revised(t, "one", nil))
	if again.Number != first.Number || again.Author != first.Author || len(b.told) != 1 {
		t.Errorf("%+v, %+v, told %d times", first, again, len(b.told))
	}
	got, err := b.GetPolicyBundle(t.Context(), service.ForOperator[int]{Body: 1})
	if err != nil {
		t.Fatal(err)
	}
	files, err := tarball.Read(got.Bundle)
	if err != nil || files.Digest() != first.Digest {
		t.Errorf("what comes out is other than what went in: %v", err)
	}
}

func TestWhatAServerWouldRefuseIsNotKept(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	for what, tc := range map[string]struct {
		req   operator.PolicyPushReq
		field string
		says  string
	}{
		"a rule that does not compile": {request(t, revised(t, "x", func(f fstest.MapFS) {
			policiestest.Edit(t, f, "login/login.rego", "input.blacklist.login == true", "input.blacklist.logon == true")
		})), "bundle", "login/login.rego:"},
		"a parameter out of its bounds": {request(t, revised(t, "x", func(f fstest.MapFS) {
			f["data.json"].Data = bytes.Replace(f["data.json"].Data, []byte(`"parameters": {`), []byte(`"parameters": {"nonsense": 1,`), 1)
		})), "bundle", "nonsense"},
		"text": {operator.PolicyPushReq{Bundle: []byte("package x"), Message: "m"}, "bundle", "neither"},
		"an unknown parent": {operator.PolicyPushReq{Bundle: request(t, revised(t, "x", nil)).Bundle, Message: "m", Parent: new(int32(7))},
			"parent", "does not exist"},
	} {
		_, err := b.PushPolicy(t.Context(), service.ForOperator[operator.PolicyPushReq]{Operator: ada, Body: tc.req})
		f := fault.As(err)
		if err == nil || f.Status != http.StatusBadRequest || len(f.Validation) == 0 || f.Validation[0].Field != tc.field ||
			!strings.Contains(f.Validation[0].Message, tc.says) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if list, err := b.ListPolicies(t.Context(), service.ForOperator[service.Empty]{}); err != nil || len(list.Revisions) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestWhatOPABuiltGetsTheSchemasThatItLacks(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	whole := revised(t, "one", nil)
	bare := bundlefile.Files{}
	for name, content := range whole {
		if _, schema := bundlefile.SchemaName(name); !schema && name != bundlefile.ProvidersFile {
			bare[name] = content
		}
	}
	if pushed := b.push(t, ada, bare); pushed.Digest != whole.Digest() {
		t.Errorf("%s is not %s", pushed.Digest, whole.Digest())
	}
}

func TestWhatIsLiveIsABundleForOPA(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	ask := func() (operator.PolicyBundle, error) {
		return b.GetLivePolicy(t.Context(), service.ForOperator[service.Empty]{Operator: ada})
	}
	if _, err := ask(); fault.As(err).Status != http.StatusNotFound {
		t.Errorf("before anything is live: %v", err)
	}
	whole := revised(t, "one", nil)
	whole[".signatures.json"] = []byte(`{"signatures": ["of the files as they were"]}`)
	b.push(t, ada, whole)
	b.live(t, ada, 1)
	got, err := ask()
	if err != nil {
		t.Fatal(err)
	}
	read, err := opa.NewReader(bytes.NewReader(got.Bundle)).Read()
	if err != nil {
		t.Fatal(err)
	}
	space, _ := read.Data["keyward"].(map[string]any)
	if read.Manifest.Revision != "one" || len(read.Modules) == 0 || space["aaguids"] == nil || space["parameters"] == nil ||
		len(read.Signatures.Signatures) != 0 {
		t.Errorf("revision %q, %d modules, data %v", read.Manifest.Revision, len(read.Modules), len(space))
	}
}

func TestWhatCannotBeMadeLiveSaysWhy(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{FourEyes: true})
	b.push(t, ada, revised(t, "one", nil))
	b.push(t, ada, revised(t, "two", nil))
	refused := func(what string, err error, status int, says string) {
		t.Helper()
		if f := fault.As(err); err == nil || f.Status != status || !strings.Contains(f.Error(), says) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := b.change(t.Context(), bob, 9)
	refused("of no number", err, http.StatusNotFound, "revision 9")
	_, err = b.change(t.Context(), bob, 0)
	refused("back to nothing", err, http.StatusNotFound, "live before")
	_, err = b.change(t.Context(), ada, 1)
	refused("by who pushed it", err, http.StatusForbidden, "policy_four_eyes")
	b.live(t, bob, 1)
	_, err = b.change(t.Context(), bob, 0)
	refused("back to what the binary has", err, http.StatusNotFound, "live before")
	b.live(t, bob, 2)
	if again := b.live(t, bob, 2); again.Number != 2 {
		t.Errorf("what is live was made live once more: %+v", again)
	}
	_, err = b.ChangePolicy(t.Context(), service.ForOperator[operator.PolicyChangeReq]{
		Operator: bob, Body: operator.PolicyChangeReq{Revision: new(int32(1)), Expected: new(int32(1))},
	})
	refused("after somebody else", err, http.StatusConflict, "change 2")
	if back := b.live(t, ada, 0); back.Revision != 1 {
		t.Errorf("whoever pushed may go back: %+v", back)
	}
}

func TestOfManyWhoMakeRevisionsLiveAtOnceEachChangeIsOneOfTheirs(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	const many = 4
	for i := range many {
		b.push(t, ada, revised(t, fmt.Sprint(i), nil))
	}
	var done, conflicts int
	var mu sync.Mutex
	var asked sync.WaitGroup
	for i := range 40 {
		asked.Go(func() {
			_, err := b.change(t.Context(), service.Operator{ID: ident.OperatorID(fmt.Sprint("opr-", i)), Name: "x"}, int32(i%many+1))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				done++
			case fault.As(err).Status == http.StatusConflict:
				conflicts++
			default:
				t.Error(err)
			}
		})
	}
	asked.Wait()
	list, err := b.ListPolicyChanges(t.Context(), service.ForOperator[service.Empty]{})
	if err != nil || len(list.Changes) == 0 || len(list.Changes) > done {
		t.Fatalf("%d changes of %d that were answered: %v", len(list.Changes), done, err)
	}
	for i, c := range list.Changes {
		if int(c.Number) != len(list.Changes)-i {
			t.Errorf("change %d comes as number %d", c.Number, i)
		}
		if i > 0 && list.Changes[i-1].Before != nil && *list.Changes[i-1].Before != c.Revision {
			t.Errorf("change %d is not after change %d", list.Changes[i-1].Number, c.Number)
		}
	}
	t.Logf("%d done, %d told of another", done, conflicts)
}

func TestAnInstanceThatCannotTakeWhatIsLiveSaysSoAndAnswersForSoLongOnly(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	b.push(t, ada, revised(t, "one", nil))
	b.push(t, ada, revised(t, "two", nil))
	b.live(t, ada, 1)
	var mu sync.Mutex
	ahead := time.Duration(0)
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead)
	}
	// Another version of the program checks again what this one has found good, and refuses it.
	older := b.instance(t, func(cfg *decision.Config, deps *decision.Deps) {
		cfg.Version, cfg.MaxAge, deps.Now = "0.9.0", time.Hour, now
		deps.Admit = func(_ context.Context, packed []byte) error {
			if bytes.Contains(packed, []byte(`"two"`)) || containsManifest(packed, "two") {
				return &bundlefile.Error{File: "login/login.rego", Line: 3, Message: "unknown to this version"}
			}
			return nil
		}
	})
	newer := b.instance(t, nil)
	b.live(t, ada, 2)
	eventually(t, "the newer one answers by it", func() bool {
		revision, _ := answers(t, newer)
		return revision == "two"
	})
	eventually(t, "the older one says why not", func() bool {
		for _, i := range b.status(t).Instances {
			if i.Behind && i.Refused != nil && strings.Contains(*i.Refused, "login/login.rego:3: unknown to this version") && *i.Revision == 1 {
				return true
			}
		}
		return false
	})
	if revision, rule := answers(t, older); revision != "one" || rule == "default" {
		t.Errorf("it goes on with %s, %s", revision, rule)
	}
	mu.Lock()
	ahead = 2 * time.Hour
	mu.Unlock()
	if _, rule := answers(t, older); rule != "default" || !older.Status().Lapsed {
		t.Errorf("after two hours it answers by %s, %+v", rule, older.Status())
	}
	b.live(t, ada, 0)
	eventually(t, "what it can take answers again", func() bool {
		revision, rule := answers(t, older)
		return revision == "one" && rule != "default"
	})
}

// containsManifest reports whether a packed bundle has the revision in its manifest.
func containsManifest(packed []byte, revision string) bool {
	files, err := tarball.Read(packed)
	return err == nil && strings.Contains(string(files[bundlefile.ManifestFile]), `"`+revision+`"`)
}

func TestFilesThatWereTamperedWithAreNotTaken(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	b.push(t, ada, revised(t, "one", nil))
	second := b.push(t, ada, revised(t, "two", nil))
	b.live(t, ada, 1)
	svc := b.instance(t, nil)
	objects, err := b.js.ObjectStore(t.Context(), bus.PoliciesBucket)
	if err != nil {
		t.Fatal(err)
	}
	other, err := archive.Pack(revised(t, "forged", nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := objects.PutBytes(t.Context(), "release."+second.Digest, other); err != nil {
		t.Fatal(err)
	}
	b.live(t, ada, 2)
	eventually(t, "it is told", func() bool { return svc.Status().Refused != nil })
	if !errors.Is(svc.Status().Refused, release.ErrDamaged) {
		t.Errorf("it is told as %v", svc.Status().Refused)
	}
	if revision, _ := answers(t, svc); revision != "one" {
		t.Errorf("%s answers", revision)
	}
}

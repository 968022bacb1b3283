package decision_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

// often is for tests of changes that send no notice.
var often = decision.Config{Poll: 20 * time.Millisecond, Debounce: 5 * time.Millisecond}

// changedDir is a bundle of another revision than the default one.
func changedDir(t *testing.T) string {
	t.Helper()
	dir := policyDir(t)
	override(t, dir, map[string]any{"autoDesktop": true})
	return dir
}

// swap makes name a link to target at once, as ln -s and mv -T do.
func swap(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name+".next"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".next", name); err != nil {
		t.Fatal(err)
	}
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func TestAChangeThatSendsNoNoticeIsTakenUp(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, root string) (dir string, change func()){
		"the directory is a link that is swapped": func(t *testing.T, root string) (string, func()) {
			dir := filepath.Join(root, "current")
			swap(t, policyDir(t), dir)
			return dir, func() { swap(t, changedDir(t), dir) }
		},
		"a directory above is a link that is swapped": func(t *testing.T, root string) (string, func()) {
			link, first, second := filepath.Join(root, "release"), t.TempDir(), t.TempDir()
			move(t, policyDir(t), filepath.Join(first, "policies"))
			move(t, changedDir(t), filepath.Join(second, "policies"))
			swap(t, first, link)
			return filepath.Join(link, "policies"), func() { swap(t, second, link) }
		},
		"data.json is a link to a file that is written": func(t *testing.T, root string) (string, func()) {
			dir, data := policyDir(t), filepath.Join(root, "data.json")
			move(t, filepath.Join(dir, "data.json"), data)
			swap(t, data, filepath.Join(dir, "data.json"))
			return dir, func() { move(t, filepath.Join(changedDir(t), "data.json"), data) }
		},
		"the directory is removed and made anew": func(t *testing.T, root string) (string, func()) {
			dir := filepath.Join(root, "policies")
			move(t, policyDir(t), dir)
			return dir, func() {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				move(t, changedDir(t), dir)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, change := prepare(t, t.TempDir())
			svc := newService(t, serviceOptions{dir: dir, cfg: often})
			run(t, svc)
			before := svc.Status().Revision
			change()
			eventually(t, "the change", patience, func() bool { return svc.Status().Revision != before })
			eventually(t, "the files to be what answers", patience, func() bool {
				status := svc.Status()
				return status.Refused == nil && status.Behind == nil
			})
		})
	}
}

func TestFilesThatDoNotAnswerAreTold(t *testing.T) {
	t.Parallel()
	dir := policyDir(t)
	// Nobody runs it, so that nobody takes up the change.
	svc := newService(t, serviceOptions{dir: dir})
	if status := svc.Status(); status.Behind != nil || status.Failed != nil {
		t.Errorf("at first: %+v", status)
	}
	override(t, dir, map[string]any{"autoDesktop": true})
	if svc.Status().Behind == nil {
		t.Error("the change is not told")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if svc.Status().Behind == nil {
		t.Error("that the directory is gone is not told")
	}
}

func TestARowThatErrsIsToldUntilAnotherRevisionAnswers(t *testing.T) {
	t.Parallel()
	dir := policyDir(t)
	replace(
		t, dir, "login/login.rego", "default_deny if not input.complete",
		"odd(os) := 1 if os == \"harmonyos\"\n\nodd(os) := 2 if startswith(os, \"h\")\n\ndefault_deny if odd(input.client.os) == "+
			"1\n\ndefault_deny if not input.complete",
	)
	svc := newService(t, serviceOptions{dir: dir, cfg: often})
	run(t, svc)
	if v := login(t, svc, onHarmonyOS(factstest.BusyUser(time.Now()))); v.Allow || svc.Status().Failed == nil {
		t.Fatalf("%+v, %+v", v, svc.Status())
	}
	replace(t, dir, "login/login.rego", `odd(os) := 2 if startswith(os, "h")`, `odd(os) := 2 if os == "atari"`)
	eventually(t, "the mended rule", patience, func() bool { return svc.Status().Failed == nil && svc.Status().Behind == nil })
}

func TestABundleThatCannotBeCheckedLeavesTheLastGoodOne(t *testing.T) {
	t.Parallel()
	dir := policyDir(t)
	checks := make(chan error, 1)
	svc := newService(t, serviceOptions{dir: dir, cfg: often, admit: func(context.Context, []byte) error {
		select {
		case err := <-checks:
			return err
		default:
			return nil
		}
	}})
	run(t, svc)
	before := svc.Status().Revision
	checks <- errors.New("no process can be started")
	override(t, dir, map[string]any{"autoDesktop": true})
	// It is not the files' fault, so they are checked again.
	eventually(t, "another try", patience, func() bool { return svc.Status().Revision != before && svc.Status().Refused == nil })
}

func TestABundleWhoseCheckRanOutOfSomethingIsTriedAgain(t *testing.T) {
	t.Parallel()
	dir := policyDir(t)
	short := &bundle.Error{Message: "the check of the bundle did not end in time", Exhausted: true}
	checks := make(chan error)
	svc := newService(t, serviceOptions{dir: dir, cfg: often, admit: answeredInTurn(nil, checks)})
	run(t, svc)
	before := svc.Status().Revision
	override(t, dir, map[string]any{"autoDesktop": true})
	for range 3 {
		checks <- short
		eventually(t, "the try to be told", patience, func() bool { return svc.Status().Again })
	}
	if status := svc.Status(); status.Refused == nil || status.RefusedOf == "" || status.Revision != before {
		t.Errorf("%+v", status)
	}
	checks <- nil
	eventually(t, "the bundle", patience, func() bool { return svc.Status().Revision != before && svc.Status().Refused == nil })
}

func TestABundleThatIsRefusedForItsContentIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	dir := policyDir(t)
	var tries atomic.Int32
	var waiting atomic.Bool
	svc := newService(t, serviceOptions{dir: dir, cfg: often, admit: func(context.Context, []byte) error {
		if !waiting.Load() {
			return nil
		}
		tries.Add(1)
		return &bundle.Error{File: "login/login.rego", Line: 3, Message: "no"}
	}})
	waiting.Store(true)
	run(t, svc)
	for n, change := range []bool{true, false} { // what polls find in between is no change
		override(t, dir, map[string]any{"autoDesktop": change, "streakThreshold": 7})
		eventually(t, "the refusal", patience, func() bool { return tries.Load() > int32(n) && svc.Status().Refused != nil })
		if status := svc.Status(); status.Again || status.RefusedOf == "" {
			t.Errorf("%+v", status)
		}
	}
	if tries.Load() != 2 {
		t.Errorf("two bundles were checked %d times", tries.Load())
	}
}

// answeredInTurn has the first bundle checked with that result, and every further one with what is sent.
func answeredInTurn(first error, checks <-chan error) func(context.Context, []byte) error {
	var begun atomic.Bool
	return func(ctx context.Context, _ []byte) error {
		if !begun.Swap(true) {
			return first
		}
		select {
		case err := <-checks:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestWithoutFilesOrArchiveAStartSaysBoth(t *testing.T) {
	t.Parallel()
	_, err := decision.New(decision.Config{PoliciesDir: filepath.Join(t.TempDir(), "nowhere")}, deps(serviceOptions{}))
	if err == nil || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "the revision that answered last") {
		t.Errorf("got %v", err)
	}
}

func TestARestartWithABadDirectoryAnswersWithTheLastGoodRevision(t *testing.T) {
	t.Parallel()
	b, dir := openBus(t), changedDir(t)
	first := newService(t, serviceOptions{dir: dir, js: b.JS})
	stop := run(t, first)
	good := first.Status().Revision
	stop() // what waits for the archive is stored

	for _, bad := range []struct {
		name  string
		spoil func()
	}{
		{"a rule that does not compile", func() {
			replace(t, dir, "login/login.rego", "package keyward.login", "package keyward.login\n\n}")
		}},
		{"no directory at all", func() { // the last, since nothing brings it back
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		bad.spoil()
		again := newService(t, serviceOptions{dir: dir, js: b.JS})
		if status := again.Status(); status.Revision != good || status.Refused == nil {
			t.Errorf("%s: %+v", bad.name, status)
		}
		if v := login(t, again, factstest.BusyUser(noon)); v.PolicyRevision != good {
			t.Errorf("%s: %+v", bad.name, v)
		}
	}
}

package test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/policies/policiestest"
)

// usualReloads are few, since each takes the time of a load and its quiet moment; the variable asks for more.
const (
	reloadsVariable = "KEYWARD_RELOADS"
	usualReloads    = 10
)

// sightings are what callers were answered: the tag by the revision that the answer names.
type sightings struct {
	mu    sync.Mutex
	tags  map[string]rest.DecisionTag
	calls int
	wrong []string
}

func (s *sightings) note(a answer, err error) {
	var rsp rest.PasskeyLoginStartRsp
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("status %d: %s", a.status, a.body)
	}
	if err == nil {
		err = json.Unmarshal(a.body, &rsp)
	}
	revision := a.header.Get("X-Keyward-Policy-Revision")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	switch before, seen := s.tags[revision]; {
	case err != nil:
		s.wrong = append(s.wrong, err.Error())
	case revision == "":
		s.wrong = append(s.wrong, "an answer names no revision")
	case seen && before != rsp.DecisionTag:
		s.wrong = append(s.wrong, fmt.Sprintf("revision %s answered %s and %s", revision, before, rsp.DecisionTag))
	default:
		s.tags[revision] = rsp.DecisionTag
	}
}

// fresh returns a revision that was not known before and its tag.
func (s *sightings) fresh(known map[string]bool) (string, rest.DecisionTag) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for revision, tag := range s.tags {
		if !known[revision] {
			return revision, tag
		}
	}
	return "", ""
}

func TestNoCallFailsWhileThePolicyChangesAndEachAnswerNamesTheRevisionThatMadeIt(t *testing.T) {
	t.Parallel()
	reloads := usualReloads
	if text := os.Getenv(reloadsVariable); text != "" {
		var err error
		if reloads, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", reloadsVariable, err)
		}
	}
	dir, aside := policiestest.Dir(t, policiestest.Files(t)), t.TempDir()
	original := repoFile(t, "policies/data.json")
	save := func(data string) {
		t.Helper()
		// A file that is being written is no change yet; editors that care replace it at once, too.
		written := filepath.Join(aside, "data.json")
		if err := os.WriteFile(written, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(written, filepath.Join(dir, "data.json")); err != nil {
			t.Fatal(err)
		}
	}
	st := shape{}.start(t, func(cfg *settings.Config) { cfg.Decision.PoliciesDir = dir })
	ada := st.newPerson(t)
	ada.createPasskey(t)
	// Automated and in a browser that nobody knows: whether she is offered her passkey is for one parameter to say.
	robot := mac("")
	robot["webdriver"] = true
	body := map[string]any{"userID": ada.id, "processID": "p", "clientInformation": robot, "crossDeviceAuthenticationStrategy": "standard"}

	seen := &sightings{tags: map[string]rest.DecisionTag{}}
	calling, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	defer callers.Wait()
	defer stop()
	for range 4 {
		callers.Go(func() {
			for calling.Err() == nil {
				seen.note(ada.do("POST", "/v2/passkey/login/start", body))
			}
		})
	}
	known := map[string]bool{}
	eventually(t, "nobody was answered", func() bool {
		revision, _ := seen.fresh(known)
		known[revision] = true
		return revision != ""
	})
	for n := range reloads {
		if n%10 == 9 {
			save("{")
			eventually(t, "the broken bundle was not refused", func() bool { return strings.Contains(st.readiness(t), "refused") })
			continue
		}
		// Every change is another revision; every second one lets automated browsers in.
		changed := strings.Replace(original, `"countWindowSeconds": 31536000`, fmt.Sprintf(`"countWindowSeconds": %d`, 31_536_001+n), 1)
		want := rest.DecisionTagEnvBlacklisted
		if n%2 == 0 {
			changed = strings.Replace(changed, `"allowWebdriver": false`, `"allowWebdriver": true`, 1)
			want = rest.DecisionTagUserPlatformPkHighConfidence
		}
		save(changed)
		eventually(t, "the changed bundle does not answer", func() bool {
			revision, tag := seen.fresh(known)
			if revision != "" && tag != want {
				t.Errorf("change %d: revision %s answers %s, want %s", n, revision, tag, want)
			}
			known[revision] = true
			return revision != ""
		})
	}
	stop()
	callers.Wait()
	if len(seen.wrong) > 0 {
		t.Errorf("%d of %d calls: %s", len(seen.wrong), seen.calls, seen.wrong[0])
	}
	if good := reloads - reloads/10; len(seen.tags) != 1+good {
		t.Errorf("%d revisions answered, want the first and %d more", len(seen.tags), good)
	}
	t.Logf("%d changes, %d calls", reloads, seen.calls)
}

func (s *stack) readiness(t *testing.T) string {
	t.Helper()
	rsp, err := http.Get("http://" + s.gateway.AdminAddr() + "/readyz?verbose")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	text, err := io.ReadAll(rsp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

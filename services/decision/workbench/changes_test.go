package workbench_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/workbench"
)

const (
	changesVariable = "KEYWARD_RELOADS"
	usualChanges    = 10
	instances       = 4
	revisions       = 5
	rows            = 6                // of mediations
	between         = time.Millisecond // leaves processors to those who change
)

func changes(t *testing.T) int {
	t.Helper()
	text := os.Getenv(changesVariable)
	if text == "" {
		return usualChanges
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s: want a number above 0, got %q", changesVariable, text)
	}
	return n
}

// rowed is the default bundle in which the rows of mediations end with the name of the revision.
func rowed(t testing.TB, name string) bundlefile.Files {
	t.Helper()
	return revised(t, name, func(files fstest.MapFS) {
		for row := range rows {
			written := fmt.Sprint("M", row)
			policiestest.Edit(t, files, "mediation/mediation.rego", strconv.Quote(written), strconv.Quote(written+"-"+name))
		}
	})
}

// ask puts questions until ctx ends; each is answered by a row of the revision that the answer names.
func ask(ctx context.Context, t *testing.T, svc *decision.Service, asked *atomic.Int64) {
	paced := time.NewTicker(between)
	defer paced.Stop()
	for ctx.Err() == nil {
		said, err := svc.Mediation(ctx, service.Question{Project: "pro-1", Client: rest.ClientInformation{}})
		if err != nil || !strings.HasSuffix(said.Rule, "-"+said.PolicyRevision) {
			t.Errorf("revision %q answered by row %q, %v", said.PolicyRevision, said.Rule, err)
			return
		}
		asked.Add(1)
		<-paced.C
	}
}

func TestChangesUnderLoadFailNoQuestionAndEachAnswerIsByTheRevisionThatItNames(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	for i := range revisions {
		b.push(t, ada, rowed(t, fmt.Sprint("r", i+1)))
	}
	broken := request(t, revised(t, "broken", func(f fstest.MapFS) {
		policiestest.Edit(t, f, "login/login.rego", "input.blacklist.login == true", "input.blacklist.logon == true")
	}))
	b.live(t, ada, 1)
	running := make([]*decision.Service, instances)
	for i := range running {
		running[i] = b.instance(t, nil)
	}
	var asked atomic.Int64
	var callers sync.WaitGroup
	asking, enough := context.WithCancel(t.Context())
	defer enough()
	for _, svc := range running {
		callers.Go(func() { ask(asking, t, svc, &asked) })
	}
	var took []time.Duration
	for i := range changes(t) {
		if i%10 == 9 {
			_, err := b.PushPolicy(t.Context(), service.ForOperator[operator.PolicyPushReq]{Operator: ada, Body: broken})
			if fault.As(err).Status != http.StatusBadRequest {
				t.Fatalf("a broken bundle was not refused: %v", err)
			}
			continue
		}
		number := int32(i%revisions + 1)
		if i%3 == 2 && len(took) > 0 {
			number = 0 // back
		}
		began := time.Now()
		made, err := b.change(t.Context(), ada, number)
		if fault.As(err).Status == http.StatusNotFound && number == 0 {
			continue // the first revision is live
		}
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprint("r", made.Revision)
		for _, svc := range running {
			eventually(t, name+" answers", func() bool { return svc.Status().Revision == name })
		}
		took = append(took, time.Since(began))
	}
	enough()
	callers.Wait()
	slices.Sort(took)
	t.Logf("%d questions over %d changes; until all %d instances answered: %s in the middle, %s at most",
		asked.Load(), len(took), instances, took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
}

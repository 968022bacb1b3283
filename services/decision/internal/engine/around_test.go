package engine

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/kept"
	"github.com/keyward/keyward/services/decision/internal/lists"
)

const someLists = `"lists": {
	"tor": {"kind": "address", "file": "tor.txt"},
	"office": {"kind": "address", "entries": ["203.0.113.0/24"]}
}`

func TestABundleWithFaultyListsIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	const rule = "\nreasons contains \"bot\" if input.request.lists.torr == true\n"
	for name, tc := range map[string]struct {
		lists, parameter, rule string
		want                   []string
	}{
		"a rule that misspells a list": {someLists, "", rule, []string{"risk/risk.rego:", "did you mean tor?"}},
		"a rule that reads one of none": {
			`"lists": {}`, "", rule, []string{"risk/risk.rego:", `there is no list "torr"`},
		},
		"a parameter that names none": {
			someLists, `"blockedLists": ["torr"]`, "", []string{"data.json:", `there is no list "torr"`, "office tor"},
		},
		"a list that fits no schema": {`"lists": {"tor": {"kind": "tor"}}`, "", "", []string{"data.json:", "keyward.lists.tor.kind"}},
		"a network that is none": {
			`"lists": {"tor": {"kind": "address", "entries": ["::1", "198.18.7.1/24"]}}`, "", "",
			[]string{"data.json:", "198.18.7.0/24"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := policiestest.Files(t)
			policiestest.Edit(t, files, "data.json", `"lists": {}`, tc.lists)
			if tc.parameter != "" {
				policiestest.Edit(t, files, "data.json", `"blockedLists": []`, tc.parameter)
			}
			files["risk/risk.rego"].Data = append(files["risk/risk.rego"].Data, tc.rule...)
			_, err := Load(t.Context(), files, Options{Admitted: true})
			for _, want := range tc.want {
				if place := (*bundle.Error)(nil); !errors.As(err, &place) || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
			}
		})
	}
}

func TestARequestIsInTheListsOfTheBundle(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	policiestest.Edit(t, files, "data.json", `"lists": {}`, someLists)
	policiestest.Edit(t, files, "data.json", `"riskyLists": []`, `"riskyLists": ["tor"]`)
	e, err := Load(t.Context(), files, Options{Admitted: true, MemoEntries: entries})
	if err != nil {
		t.Fatal(err)
	}
	q, ev := busyUser()
	q.Client.RemoteAddress = "198.18.7.9"
	if diff := cmp.Diff([]string{"tor.txt"}, e.Lists().FileNames()); diff != "" {
		t.Error(diff)
	}
	_, basis, err := e.Login(t.Context(), q, ev)
	if err != nil || cmp.Diff(facts.Labels{{Name: "office"}}, basis.Facts.Request.Lists) != "" {
		t.Errorf("without the file %v, %v", basis.Facts.Request.Lists, err)
	}
	ev.Around.Files = lists.Files{"tor.txt": lists.NewAddresses([]netip.Prefix{netip.MustParsePrefix("198.18.7.0/24")})}
	v, basis, err := e.Login(t.Context(), q, ev)
	if err != nil || cmp.Diff(facts.Labels{{Name: "office"}, {Name: "tor", Has: true}}, basis.Facts.Request.Lists) != "" {
		t.Errorf("with it %v, %v", basis.Facts.Request.Lists, err)
	}
	if !strings.Contains(string(basis.Risk.Answer), "risky-network") {
		t.Errorf("judged %+v", v.Risk)
	}

	// What is recorded is found again without the file, and a list that tells addresses of the network apart is not.
	r := &Recorded{Action: ActionLogin, Project: q.Project, Made: ev.Now, Question: kept.Keep(&q.Question, nil), Facts: &facts.Facts{}}
	r.Own = e.Knowledge(q.Project)
	if err := json.Unmarshal(basis.Facts.AppendJSON(nil), r.Facts); err != nil {
		t.Fatal(err)
	}
	again, err := e.Detect(r)
	if err != nil || cmp.Diff(basis.Facts.Request.Lists, again.Request.Lists) != "" {
		t.Errorf("again %v, %v", again, err)
	}
	other, err := e.Listing(map[string]any{"desk": map[string]any{"kind": "address", "entries": []any{"198.18.7.9"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Detect(r); !errors.Is(err, lists.ErrAddressNotKept) {
		t.Errorf("of a list of one address: %v", err)
	}
	if e.FindsAs(other, q.Project) {
		t.Error("an engine with another list finds the same")
	}
}

func TestWhoReadsTheNetworkIsToldWhatItCosts(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	load := func() []string {
		t.Helper()
		e, err := Load(t.Context(), files, Options{Admitted: true})
		if err != nil {
			t.Fatal(err)
		}
		return e.Advice()
	}
	if advice := load(); advice != nil {
		t.Errorf("of the default bundle: %v", advice)
	}
	const rule = "\nreasons contains \"bot\" if input.request.network == \"203.0.113.0/24\"\n"
	files["risk/risk.rego"].Data = append(files["risk/risk.rego"].Data, rule...)
	if advice := load(); len(advice) != 1 || !strings.Contains(advice[0], "request.network") {
		t.Errorf("of one that reads it: %v", advice)
	}
}

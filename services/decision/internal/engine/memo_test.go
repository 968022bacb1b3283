package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
	"github.com/keyward/keyward/services/decision/internal/reading"
)

// unhurried keeps a busy machine out of the answers.
const unhurried = time.Minute

// checker is what rapid.T and testing.T have in common.
type checker interface {
	Helper()
	Fatalf(format string, args ...any)
}

// agree asks one question with and without the memo and reports whether the answer was remembered.
func agree[T any](t checker, e *Engine, v *view, q question, f *facts.Facts, read func(*reading.Answer) T) bool {
	t.Helper()
	known, memoised, err := ask(context.Background(), e, v, q, nil, f, read)
	fresh, freshErr := direct(context.Background(), v, e.opts.EvalTimeout, q, f, read)
	switch {
	case (err == nil) != (freshErr == nil):
		t.Fatalf("with memo %v, without %v", err, freshErr)
	case err == nil && !bytes.Equal(known.document, fresh.document):
		t.Fatalf("memoised %t\nwith memo %s\nwithout   %s\nfacts     %s", memoised, known.document, fresh.document, f.AppendJSON(nil))
	}
	return memoised
}

// small is the default bundle without its rules, for policies that say nothing but what a test wants to know.
func small(tb testing.TB, login string) fstest.MapFS {
	tb.Helper()
	files := fstest.MapFS{
		"append/append.rego": {Data: []byte(`package keyward.append

decision := {
	"rule": "A", "allow": false, "tag": "default-deny", "kind": "", "variant": "default",
	"auto": false, "conditional": false, "manualAllowed": false,
	"isRestrictedBrowser": false, "reason": "", "attachment": "", "hints": [], "userVerification": "",
}
`)},
		"mediation/mediation.rego": {
			Data: []byte("package keyward.mediation\n\ndecision := {\"rule\": \"M\", \"allow\": false, \"tag\": \"default-deny\"}\n"),
		},
		"login/login.rego": {Data: []byte(login)},
	}
	for _, name := range []string{
		".manifest", "data.json", "aaguids.json", "schemas/login.jsonschema", "schemas/append.jsonschema", "schemas/mediation.jsonschema",
		"schemas/parameters.jsonschema",
	} {
		content, err := fs.ReadFile(policies.Bundle, name)
		if err != nil {
			tb.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: content}
	}
	return files
}

// conditions are what rows of random policies depend on: $P, $Q are paths of the facts, $G, $H groups of them, $N a number, $S a string.
var conditions = []string{
	"input.$P",
	"not input.$P",
	"input.$P > $N",
	"input.$P == $S",
	"input.$P != input.$Q",
	"_ = input.$P",
	"some key; input.$G[key] == $N",
	"some value in input.$G; value == true",
	"some key, _ in input.$G; startswith(key, \"p\")",
	"count([key | some key; input.$G[key] == false]) > $N",
	"every value in input.$G { value != $N }",
	"some name in [\"$G\", \"$H\"]; input[name].positive",
	"input[concat(\"\", [\"pa\", \"ir\"])].localStreak > $N",
	"alias := input.$G; alias == input.$H",
	"alias := input; alias.$P == $S",
	"alias := input.$G; other := alias; count(other) > $N",
	"count(json.marshal(input.$G)) > 90",
	"walk(input, [_, $N])",
	"object.get(input, [\"pair\", \"positive\"], \"none\") == $S",
	"helper(input.$G)",
	"helper(input)",
	"helping",
	"helping with input.$P as $N",
	"helping with input.pair as input.$G",
	"input.$G == input.$H",
	"input.experiments.zeal == \"treatment\"",
	"input.experiments[_] == \"control\"",
	"count(input.experiments) > $N",
	"data.keyward.parameters.streakThreshold > input.$P",
	"numbers[input.$P]",
	"input.$P in {1, true, $S}",
	"is_string(input.$P)",
	"{\"found\": found} = {\"found\": input.$P}; found",
	"[first, _] = [input.$P, input.$Q]; first == $N",
	"input.support.uvpa; found = helping with input.pair as input.support; found",
	"input.$G; input.$P",
	"alias := input.$G; input.$P; same(alias, alias)",
}

// comparisons are conditions of which the cells matter: $I is a path of a number, $T of a text.
var comparisons = []string{
	"input.$I >= $N",
	"$N < input.$I",
	"not input.$I == $N",
	"input.$I != 1.5",
	"input.$I <= 0.5",
	"input.$I in {1, 2}",
	"input.$I in [$N, 99999, $S]",
	"not input.$I in data.keyward.parameters.inAppBrowsers",
	"input.$I >= limits.streakThreshold",
	"data.keyward.parameters.streakThreshold != input.$I",
	"input.$I > data.keyward.parameters.nothing",
	"some limits in [{\"streakThreshold\": 1}, {\"streakThreshold\": 2}]; input.$I == limits.streakThreshold",
	"couple.localStreak > $N",
	"couple.localStreak == couple.cdaStreak",
	"input.$T == $S",
	"input.$T in {$S, \"windows\"}",
	"input.$T < $S",
	"not $S == input.$T",
	"input.$T != $N",
	"count([1 | input.$I > $N]) == 1",
	"x := input.$I; x > $N",
	"more(input.$I)",
	"input.$I < $N with input.$I as 7",
	"helping with input.$I as $N",
	"every n in [0, 1] { input.$I != n }",
}

// randomPolicy writes an ordered table of a few rows. A row has one condition of its own and one in a rule beside it.
func randomPolicy(t *rapid.T, conditions []string) string {
	numbers, texts := []string{}, []string{}
	for path, value := range rows()["L13"].Flat() {
		if strings.Contains(path, "-") {
			continue // a name of the bundle's
		}
		switch value.(type) {
		case int64:
			numbers = append(numbers, path)
		case string:
			texts = append(texts, path)
		}
	}
	slices.Sort(numbers)
	slices.Sort(texts)
	leaves := slices.DeleteFunc(facts.NewProjection([][]string{{}}).Paths(), func(path string) bool {
		return facts.Steps(path) != nil // rules that compare those with anything else are refused
	})
	groups := []string{
		"pair", "client", "support", "credentials", "cda", "blacklist", "flags", "nudges", "nudges.default", "experiments",
		"account",
	}
	expand := func(s string) string {
		for _, blank := range []struct {
			name  string
			among []string
		}{
			{"$P", leaves}, {"$Q", leaves}, {"$I", numbers}, {"$T", texts}, {"$G", groups}, {"$H", groups},
			{"$N", []string{"0", "1", "2"}}, {"$S", []string{`"local"`, `""`, `"windows"`}},
		} {
			s = strings.ReplaceAll(s, blank.name, rapid.SampledFrom(blank.among).Draw(t, blank.name))
		}
		return s
	}
	condition := func(label string) string { return expand(rapid.SampledFrom(conditions).Draw(t, label)) }
	var rego strings.Builder
	rego.WriteString(
		"package keyward.login\n\nimport input.pair as couple\n\nlimits := data.keyward.parameters\n\n" +
			"more(x) if x > 1\n\ncoupled if couple.positive\n\n",
	)
	fmt.Fprintf(
		&rego,
		"answer(row, hint) := {\n\t\"rule\": row, \"allow\": false, \"tag\": \"default-deny\", \"route\": \"\", \"isCDACandidate\": false,\n"+
			"\t\"preferImmediatelyAvailable\": false, \"credentials\": [], \"hints\": [sprintf(\"%%v\", [hint])],\n}\n\n",
	)
	rego.WriteString(
		"default decision := {\n\t\"rule\": \"D\", \"allow\": false, \"tag\": \"default-deny\", \"route\": \"\", \"isCDACandidate\": false,\n" +
			"\t\"preferImmediatelyAvailable\": false, \"credentials\": [], \"hints\": [],\n}\n\n",
	)
	rows := rapid.IntRange(1, 4).Draw(t, "rows")
	for i := range rows {
		head := "else"
		if i == 0 {
			head = "decision"
		}
		hint := rapid.SampledFrom([]string{"0", "0", "0", expand("input.$P"), "count(input)"}).Draw(t, "hint")
		fmt.Fprintf(&rego, "%s := answer(\"R%d\", %s) if {\n\t%s\n\tbeside%d\n}\n\n", head, i, hint, condition("condition"), i)
	}
	for i := range rows {
		fmt.Fprintf(&rego, "beside%d if {\n\t%s\n}\n\n", i, condition("condition"))
	}
	fmt.Fprintf(
		&rego, "helper(facts) if facts.positive\n\nhelper(facts) if facts.pair.positive\n\nhelping if {\n\t%s\n}\n\n",
		strings.ReplaceAll(condition("helping"), "helping", "true"),
	)
	rego.WriteString("numbers contains input.pair.localStreak\n\nsame(a, b) if a == b\n")
	return rego.String()
}

// A key that misses something the rules read would give one situation the answer to another.
func TestMemoisedAnswersOfRandomPoliciesAreTheDirectOnes(t *testing.T) {
	t.Parallel()
	memoisedAsDirect(t, conditions)
}

func TestMemoisedAnswersOfRandomComparisonsAreTheDirectOnes(t *testing.T) {
	t.Parallel()
	memoisedAsDirect(t, comparisons)
}

// neverHolds is said of comparisons that random rules have, and people are not to.
var neverHolds = regexp.MustCompile("; the policy knows |; compare with a value that the fact can have")

func memoisedAsDirect(t *testing.T, conditions []string) {
	outer := t
	var asked, hits int
	refusals := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		policy := randomPolicy(t, conditions)
		e, err := Load(context.Background(), small(outer, policy), Options{MemoEntries: entries, EvalTimeout: unhurried})
		if err != nil && neverHolds.MatchString(err.Error()) {
			t.Skip("it compares with what the fact can never be")
		}
		if err != nil {
			refusals[err.Error()+"\n"+policy]++
			return
		}
		first := factstest.Facts().Draw(t, "facts")
		for _, f := range append(rapid.SliceOfN(factstest.Like(first), 2, 20).Draw(t, "others"), first) {
			asked++
			if agree(t, e, &e.base, login, f, readLogin) {
				hits++
			}
		}
	})
	t.Logf("%d questions, %d answers remembered, %d policies refused", asked, hits, len(refusals))
	enough := asked / 10
	if testing.Short() {
		enough = 1 // of a few policies that many can be such that nothing repeats
	}
	if hits < enough || hits > asked-enough {
		t.Errorf("of %d answers %d were remembered", asked, hits)
	}
	for refusal := range refusals {
		t.Errorf("refused: %s", refusal)
	}
}

func TestMemoisedAnswersOfTheDefaultBundleAreTheDirectOnes(t *testing.T) {
	t.Parallel()
	e := defaultEngine(t, Options{MemoEntries: entries, EvalTimeout: unhurried})
	hits := 0
	rapid.Check(t, func(t *rapid.T) {
		first := factstest.Facts().Draw(t, "facts")
		for _, f := range append(rapid.SliceOfN(factstest.Like(first), 2, 20).Draw(t, "others"), first) {
			for _, memoised := range []bool{
				agree(
					t, e, &e.base, login, f, readLogin,
				), agree(t, e, &e.base, appending, f, readAppend), agree(t, e, &e.base, mediation, f, readMediation),
				agree(t, e, &e.base, rollout, f, readRollout),
			} {
				if memoised {
					hits++
				}
			}
		}
	})
	if hits == 0 {
		t.Error("no answer was remembered")
	}
}

// failing is a policy that never answers in time under maximize, and conflicts under minimize.
const failing = `package keyward.login

answer(row) := {
	"rule": row, "allow": false, "tag": "default-deny", "route": "", "isCDACandidate": false, "preferImmediatelyAvailable": false,
	"credentials": [], "hints": [],
}

decision := answer("R1") if input.strategy != "maximize"

decision := answer("R2") if input.strategy == "minimize"

decision := answer("R3") if {
	input.strategy == "maximize"
	count([1 | some i, j in numbers.range(1, 1000000); i + j == 0]) > 0
}
`

func TestAFailureIsNotRemembered(t *testing.T) {
	t.Parallel()
	e, err := Load(t.Context(), small(t, failing), Options{MemoEntries: entries, EvalTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for _, strategy := range []rest.CrossDeviceAuthenticationStrategy{"maximize", "minimize"} {
		for range 2 {
			q := service.LoginQuestion{Strategy: strategy}
			v, basis, err := e.Login(t.Context(), q, Evidence{Complete: true, Now: noon})
			if err == nil || basis.Memoised || basis.Answer != nil || basis.Facts.Strategy != string(strategy) {
				t.Errorf("%s: %+v, error %v", strategy, basis, err)
			}
			if v.Rule != "default" || v.Allow || v.AllowCredentials == nil || v.Hints == nil {
				t.Errorf("%s is answered %+v", strategy, v)
			}
		}
	}
	if n := e.MemoLen(); n != 0 {
		t.Errorf("%d failures are remembered", n)
	}
}

func TestASecondEqualQuestionIsAnsweredFromMemory(t *testing.T) {
	t.Parallel()
	q, ev := busyUser()
	remembering, forgetful := defaultEngine(t, Options{MemoEntries: entries}), defaultEngine(t, Options{})
	var want []byte
	for i := range 3 {
		v, basis, err := remembering.Login(t.Context(), q, ev)
		if err != nil || basis.Memoised != (i > 0) {
			t.Errorf("call %d: memoised %t, %v", i, basis.Memoised, err)
		}
		direct, again, err := forgetful.Login(t.Context(), q, ev)
		if diff := cmp.Diff(direct, v); diff != "" || err != nil || again.Memoised {
			t.Errorf("call %d: %v, difference\n%s", i, err, diff)
		}
		if want == nil {
			want = again.Answer
		}
		if !bytes.Equal(want, basis.Answer) || !json.Valid(basis.Answer) {
			t.Errorf("call %d: answer %s, want %s", i, basis.Answer, want)
		}
	}
	if remembering.MemoLen() != 2 || forgetful.MemoLen() != 0 {
		t.Errorf("%d and %d are remembered", remembering.MemoLen(), forgetful.MemoLen())
	}
}

func TestTheMemoIsBounded(t *testing.T) {
	t.Parallel()
	evicted := 0
	e := defaultEngine(t, Options{MemoEntries: 10, Evicted: func() { evicted++ }})
	const questions = 200
	f := rows()["L1"]
	for i := range questions {
		f.Pair.FirstWin = event.Route(strconv.Itoa(i))
		agree(t, e, &e.base, login, f, readLogin)
	}
	if n := e.MemoLen(); n > 10 || evicted < questions-2*10 {
		t.Errorf("%d are remembered, %d made room", n, evicted)
	}
}

// A modifier of a rule puts something into the input, of which evaluations at the same time share parts.
func TestEvaluationsAtOnceDoNotDisturbOneAnother(t *testing.T) {
	t.Parallel()
	modifying := strings.Replace(
		threshold, "data.keyward.parameters.default", "[name | some name, _ in input.pair with input.pair.more as 1]", 1,
	)
	e, err := Load(t.Context(), small(t, modifying), Options{EvalTimeout: unhurried})
	if err != nil {
		t.Fatal(err)
	}
	facts := rows()["L13"]
	want, err := direct(t.Context(), &e.base, unhurried, login, facts, readLogin)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for range 200 {
				got, err := direct(context.Background(), &e.base, unhurried, login, facts, readLogin)
				if err != nil || !bytes.Equal(got.document, want.document) {
					t.Errorf("%s, %v; want %s", got.document, err, want.document)
					return
				}
			}
		})
	}
	running.Wait()
}

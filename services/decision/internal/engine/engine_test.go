package engine

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/internal/bundle"
)

// threshold is a policy that answers with the parameters it sees.
const threshold = `package keyward.login

decision := {
	"rule": sprintf("T%v", [data.keyward.parameters.streakThreshold]), "allow": false, "tag": "default-deny", "route": "",
	"isCDACandidate": false,
	"preferImmediatelyAvailable": false, "credentials": [], "hints": [sprintf("%v", [data.keyward.parameters.default])],
}
`

// overriding returns the threshold policy with overrides of projects.
func overriding(t *testing.T, projects string) fstest.MapFS {
	t.Helper()
	files := small(t, threshold)
	data, found := strings.CutPrefix(string(files["data.json"].Data), "{\n  \"keyward\": {")
	if !found {
		t.Fatal("data.json begins otherwise")
	}
	before, after, found := strings.Cut(data, `"projects": {},`)
	if !found {
		t.Fatal("data.json has no projects")
	}
	files["data.json"] = &fstest.MapFile{Data: []byte("{\n  \"keyward\": {\n\"projects\": " + projects + "," + before + after)}
	return files
}

func load(t *testing.T, files fstest.MapFS, opts Options) *Engine {
	t.Helper()
	e, err := Load(t.Context(), files, opts)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// seen returns the threshold and the cooldown of default offers as the rules and the fold see them in a project.
func seen(t *testing.T, e *Engine, project ident.ProjectID) (rule string, cooldown int64) {
	t.Helper()
	q, ev := busyUser()
	q.Project = project
	v, _, err := e.Login(t.Context(), q, ev)
	if err != nil {
		t.Fatal(err)
	}
	return v.Rule, e.Knowledge(project).Parameters.Default.CooldownSeconds
}

func TestAnEvaluationIsAStepOfTheTraceWhetherItsAnswerWasKnownOrNot(t *testing.T) {
	t.Parallel()
	e := load(t, overriding(t, `{}`), Options{MemoEntries: entries})
	recorder := tracetest.NewSpanRecorder()
	ctx, call := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)).Tracer("test").Start(t.Context(), "call")
	q, ev := busyUser()
	for range 2 {
		if _, _, err := e.Login(ctx, q, ev); err != nil {
			t.Fatal(err)
		}
	}
	call.End()
	var known []bool
	for _, s := range recorder.Ended() {
		for _, about := range s.Attributes() {
			if about.Key == "keyward.policy.memoised" && s.Name() == "evaluate "+entrypoints[login] {
				known = append(known, about.Value.AsBool())
			}
		}
	}
	if len(known) != 2 || known[0] || !known[1] {
		t.Errorf("known: %v", known)
	}
}

func TestProjectsOverrideParametersForThemselves(t *testing.T) {
	t.Parallel()
	e := load(t, overriding(t, `{
  "pro-1": {"parameters": {"streakThreshold": 7}},
  "pro-2": {"parameters": {"streakThreshold": 8, "default": {"cooldownSeconds": 60}}}
}`), Options{MemoEntries: entries})
	// Twice, so that an answer remembered for one project would show in another.
	for range 2 {
		for project, want := range map[ident.ProjectID]string{"pro-1": "T7", "pro-2": "T8", "pro-3": "T2"} {
			rule, cooldown := seen(t, e, project)
			if rule != want || (cooldown == 60) != (project == "pro-2") {
				t.Errorf("%s: rule %s, cooldown %d s", project, rule, cooldown)
			}
		}
	}
	if got := e.Knowledge("pro-2").Parameters.Default.Count; got != 3 {
		t.Errorf("the rest of an object that is overridden in part: %d", got)
	}
	if _, _, err := e.Login(t.Context(), loginOf("pro-2"), Evidence{Complete: true}); err != nil {
		t.Error(err)
	}
	facts := rows()["L1"]
	answer, err := e.Evaluate(t.Context(), ActionLogin, "pro-1", facts)
	if err != nil || answer["rule"] != "T7" {
		t.Errorf("evaluated to %v, %v", answer, err)
	}
}

func TestWrongOverridesOfProjectsAreRefusedWithTheirPlace(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ projects, want string }{
		"an ID of another form": {`{"acme": {"parameters": {}}}`, `data.json:3: project ID "acme" must be of the form pro-<number>`},
		"an unknown parameter": {
			"{\"pro-1\": {\"parameters\": {\n\"streakTreshold\": 3}}}",
			"data.json:4: project pro-1: unknown parameter streakTreshold",
		},
		"an ill-typed parameter": {
			"{\"pro-1\": {\"parameters\": {\n\"streakThreshold\": \"3\"}}}",
			"data.json:4: project pro-1: parameter streakThreshold: got string, want integer",
		},
		"an unknown nested parameter": {
			"{\"pro-1\": {\"parameters\": {\n\"default\": {\"counts\": 1}}}}",
			"data.json:4: project pro-1: unknown parameter default.counts",
		},
		"an address that is none": {
			"{\"pro-1\": {\"parameters\": {\n\"blockedAddresses\": [\"nowhere\"]}}}",
			"data.json:4: project pro-1: parameter blockedAddresses",
		},
		"a member beside parameters": {`{"pro-1": {"params": {}}}`, `data.json:3: project pro-1 has the unknown member "params"`},
		"no object":                  {`{"pro-1": 3}`, "data.json:3: project pro-1 must be an object"},
		"parameters that are a list": {`{"pro-1": {"parameters": []}}`, "data.json:3: parameters of project pro-1 must be an object"},
		"projects that are a list":   {`[]`, "data.json:3: keyward.projects must be an object"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(t.Context(), overriding(t, tc.projects), Options{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want an error with %q, got %v", tc.want, err)
			}
			var place *bundle.Error
			if !errors.As(err, &place) || place.File != "data.json" || place.Line == 0 {
				t.Errorf("the error has no place: %v", err)
			}
		})
	}
}

func TestWithOverridesParametersOfEveryProject(t *testing.T) {
	t.Parallel()
	e := load(
		t,
		overriding(t, `{"pro-1": {"parameters": {"streakThreshold": 7, "default": {"cooldownSeconds": 60}}}}`),
		Options{MemoEntries: entries},
	)
	changed, err := e.With(map[string]any{"streakThreshold": 5, "default": map[string]any{"count": 9}})
	if err != nil {
		t.Fatal(err)
	}
	again, err := changed.With(map[string]any{"default": map[string]any{"cooldownSeconds": 30}})
	if err != nil {
		t.Fatal(err)
	}
	type view struct {
		rule     string
		cooldown int64
		count    int
	}
	const month = 30 * 24 * 60 * 60
	for _, tc := range []struct {
		name    string
		e       *Engine
		project ident.ProjectID
		want    view
	}{
		{"before, base", e, "pro-2", view{"T2", month, 3}},
		{"before, project", e, "pro-1", view{"T7", 60, 3}},
		{"with, base", changed, "pro-2", view{"T5", month, 9}},
		{"with, project", changed, "pro-1", view{"T5", 60, 9}},
		{"with twice, base", again, "pro-2", view{"T5", 30, 9}},
		{"with twice, project", again, "pro-1", view{"T5", 30, 9}},
	} {
		rule, cooldown := seen(t, tc.e, tc.project)
		got := view{rule, cooldown, tc.e.Knowledge(tc.project).Parameters.Default.Count}
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(view{})); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tc.name, diff)
		}
		if tc.e.Revision() != e.Revision() || tc.e.Hash() != e.Hash() {
			t.Errorf("%s: another revision", tc.name)
		}
	}
}

func TestWithRefusesWhatIsNoParameter(t *testing.T) {
	t.Parallel()
	e := defaultEngine(t, Options{})
	for name, tc := range map[string]struct {
		parameters map[string]any
		want       string
	}{
		"an unknown name":         {map[string]any{"streakTreshold": 3}, "unknown parameter streakTreshold"},
		"a value of another type": {map[string]any{"streakThreshold": "three"}, "parameter streakThreshold: got string, want integer"},
		"a value below its least": {map[string]any{"streakThreshold": 0}, "parameter streakThreshold: minimum: got 0, want 1"},
		"no value":                {map[string]any{"streakThreshold": nil}, "parameter streakThreshold: got null, want integer"},
		"an object that is none":  {map[string]any{"default": 3}, "parameter default: got number, want object"},
		"an unknown nested name":  {map[string]any{"default": map[string]any{"cuont": 3}}, "unknown parameter default.cuont"},
		"no address":              {map[string]any{"blockedAddresses": []any{"nowhere"}}, "parameter blockedAddresses: "},
		"what JSON cannot hold":   {map[string]any{"streakThreshold": func() {}}, "unsupported type"},
	} {
		if _, err := e.With(tc.parameters); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: want an error with %q, got %v", name, tc.want, err)
		}
	}
}

func TestEvaluateRefusesAnUnknownAction(t *testing.T) {
	t.Parallel()
	e := defaultEngine(t, Options{})
	if _, err := e.Evaluate(
		t.Context(), "logon", "pro-1", rows()["L1"],
	); err == nil ||
		!strings.Contains(err.Error(), "want one of login, append, mediation, rollout, risk") {
		t.Errorf("got %v", err)
	}
}

// BenchmarkWith is what a scenario with parameters of its own costs.
func BenchmarkWith(b *testing.B) {
	e := defaultEngine(b, Options{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.With(map[string]any{"streakThreshold": 3}); err != nil {
			b.Fatal(err)
		}
	}
}

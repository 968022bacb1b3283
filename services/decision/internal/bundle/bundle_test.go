package bundle_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/format"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/bundle"
)

const login = "data.keyward.login.decision"

var entrypoints = bundle.Entrypoints{
	Required: []string{login, "data.keyward.append.decision", "data.keyward.mediation.decision"},
	Optional: []string{"data.keyward.rollout.decision"},
}

func TestABadBundleIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	const inLogin = "login/login.rego"
	appended := func(rule string) func(*testing.T, fstest.MapFS) {
		return func(_ *testing.T, files fstest.MapFS) {
			files["extra/extra.rego"] = &fstest.MapFile{Data: []byte("package keyward.extra\n\n" + rule + "\n")}
		}
	}
	replaced := func(name, old, replacement string) func(*testing.T, fstest.MapFS) {
		return func(t *testing.T, files fstest.MapFS) { policiestest.Edit(t, files, name, old, replacement) }
	}
	for _, tc := range []struct {
		name   string
		change func(*testing.T, fstest.MapFS)
		want   string
	}{
		{"a syntax error", appended("decision := {"), "extra/extra.rego:4: rego_parse_error"},
		{"a failing test", appended("test_wrong if {\n\t1 == 2\n}"), "extra/extra.rego:3: test test_wrong failed"},
		{"a test that errs on missing facts", appended("test_missing if input.nothing"), "extra/extra.rego:3: test test_missing failed"},
		{
			"network access", appended(`x := http.send({"method": "get", "url": "http://127.0.0.1"})`),
			"extra/extra.rego:3: rego_type_error: undefined function http.send",
		},
		{"the clock", appended("x := time.now_ns()"), "extra/extra.rego:3: rego_type_error: undefined function time.now_ns"},
		{"randomness", appended(`x := rand.intn("a", 10)`), "undefined function rand.intn"},
		{"random identifiers", appended(`x := uuid.rfc4122("a")`), "undefined function uuid.rfc4122"},
		{"name resolution", appended(`x := net.lookup_ip_addr("localhost")`), "undefined function net.lookup_ip_addr"},
		{"the process environment", appended("x := opa.runtime()"), "undefined function opa.runtime"},
		{
			"certificates checked against the clock", appended(`x := crypto.x509.parse_and_verify_certificates("a")`),
			"undefined function crypto.x509.parse_and_verify_certificates",
		},
		{"a misspelt input", replaced(inLogin, "input.support.webauthn", "input.support.webauth"), inLogin + ":"},
		{"a misspelt parameter in a rule", replaced(inLogin, "parameters.webImmediate", "parameters.webImediate"), inLogin + ":"},
		{"an unused import, which strict mode forbids", appended("import data.keyward.login"), "extra/extra.rego:3: rego_compile_error"},
		{"a missing entrypoint", func(_ *testing.T, files fstest.MapFS) {
			delete(files, "mediation/mediation.rego")
			delete(files, "mediation/mediation_test.rego")
		}, "there is no rule data.keyward.mediation.decision"},
		{"a package without the entrypoint that it is for", func(_ *testing.T, files fstest.MapFS) {
			files["rollout/rollout.rego"] = &fstest.MapFile{Data: []byte("package keyward.rollout\n\nother := true\n")}
			delete(files, "rollout/rollout_test.rego")
		}, "there is no rule data.keyward.rollout.decision"},
		{
			"a missing input schema of a package that may lack",
			func(_ *testing.T, files fstest.MapFS) { delete(files, "schemas/rollout.jsonschema") },
			"schemas/rollout.jsonschema: the schema of the input is missing",
		},
		{
			"a missing input schema", func(_ *testing.T, files fstest.MapFS) { delete(files, "schemas/append.jsonschema") },
			"schemas/append.jsonschema: the schema of the input is missing",
		},
		{
			"a missing parameter schema", func(_ *testing.T, files fstest.MapFS) { delete(files, "schemas/parameters.jsonschema") },
			"schemas/parameters.jsonschema: the schema of the parameters is missing",
		},
		{
			"an unknown parameter", replaced("data.json", `"autoDesktop"`, `"autoDestop": true, "autoDesktop"`),
			"data.json:19: unknown parameter autoDestop",
		},
		{"a missing parameter", replaced("data.json", `"streakThreshold": 2,`, ""), "data.json:3: missing parameter streakThreshold"},
		{"a missing nested parameter", replaced("data.json", `"auto": {"count": 1, `, `"auto": {`), "data.json:7: missing parameter auto.count"},
		{
			"a parameter of the wrong type", replaced("data.json", `"autoDesktop": false`, `"autoDesktop": "no"`),
			"data.json:19: parameter autoDesktop: got string, want boolean",
		},
		{
			"a threshold of zero", replaced("data.json", `"streakThreshold": 2`, `"streakThreshold": 0`),
			"data.json:12: parameter streakThreshold: minimum: got 0, want 1",
		},
		{"data that is no JSON", replaced("data.json", `"streakThreshold": 2,`, `"streakThreshold": 2`), "data.json:13: invalid character"},
		{"data outside the roots", replaced("data.json", `{
  "keyward"`, `{
  "other": 1, "keyward"`), "manifest roots [keyward] do not permit data at path '/other'"},
		{"no files at all", func(_ *testing.T, files fstest.MapFS) { clear(files) }, "no policy, data or schema file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			files := policiestest.Tested(t)
			tc.change(t, files)
			_, err := bundle.Load(t.Context(), files, entrypoints)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("expected an error with %q, got %v", tc.want, err)
			}
			var refused *bundle.Error
			if !errors.As(err, &refused) || refused.Advice == "" || !strings.Contains(err.Error(), "; "+refused.Advice) {
				t.Errorf("the error does not say what to do: %v", err)
			}
		})
	}
}

// Bundles are older than some questions.
func TestABundleMayLackThePackageOfAnOptionalEntrypoint(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	for _, name := range []string{"rollout/rollout.rego", "schemas/rollout.jsonschema"} {
		if files[name] == nil {
			t.Fatalf("there is no %s", name)
		}
		delete(files, name)
	}
	b, err := bundle.Load(t.Context(), files, entrypoints)
	if err != nil {
		t.Fatal(err)
	}
	if b.Defines(entrypoints.Optional[0]) || !b.Defines(login) {
		t.Error("what it defines is not what it has")
	}
	if _, err := b.Eval(t.Context(), time.Minute, entrypoints.Optional[0], ast.NewObject()); err == nil {
		t.Error("it answers what it does not define")
	}
}

func TestAChangedFigureIsNoReasonToRefuseTheBundle(t *testing.T) {
	t.Parallel()
	files := policiestest.Tested(t)
	for old, changed := range map[string]string{
		`"streakThreshold": 2`:                           `"streakThreshold": 1`,
		`"webImmediate": false`:                          `"webImmediate": true`,
		`"autoDesktop": false`:                           `"autoDesktop": true`,
		`"securityKeyLogin": "allow"`:                    `"securityKeyLogin": "deny"`,
		`"appendAfterSecurityKey": false`:                `"appendAfterSecurityKey": true`,
		`"deviceLocalTreatmentShare": 0`:                 `"deviceLocalTreatmentShare": 10000`,
		`"experiments": {}`:                              `"experiments": {"green-button": 5000}`,
		`"inAppTriggers": ["after-unlock", "after-cta"]`: `"inAppTriggers": []`,
		`"default": {"count": 3`:                         `"default": {"count": 1`,
		`"killSwitch": {"login": false`:                  `"killSwitch": {"login": true`,
		`"requireAllowlistedIdentifier": false`:          `"requireAllowlistedIdentifier": true`,
		`"rules": {}`: `"rules": {"few": {"salience": 1, "verdict": "sample", "share": 1000}, "rest": ` +
			`{"salience": 0, "verdict": "block"}}`,
	} {
		policiestest.Edit(t, files, "data.json", old, changed)
	}
	if _, err := bundle.Load(t.Context(), files, entrypoints); err != nil {
		t.Error(err)
	}
}

func TestARefusalCarriesFileAndLine(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	policiestest.Edit(t, files, "login/login.rego", "input.support.webauthn", "input.support.webauth")
	_, err := bundle.Load(t.Context(), files, entrypoints)
	var place *bundle.Error
	if !errors.As(err, &place) {
		t.Fatalf("expected a place, got %v", err)
	}
	line := 1 + strings.Count(strings.Split(string(files["login/login.rego"].Data), "input.support.webauth")[0], "\n")
	if place.File != "login/login.rego" || place.Line != line {
		t.Errorf("expected login/login.rego:%d, got %s:%d", line, place.File, place.Line)
	}
}

func TestTheRevisionFollowsTheContent(t *testing.T) {
	t.Parallel()
	load := func(files fs.FS) *bundle.Bundle {
		t.Helper()
		b, err := bundle.Load(t.Context(), files, entrypoints)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	files := policiestest.Files(t)
	first, again := load(policiestest.Files(t)), load(files)
	if first.Revision != again.Revision || len(first.Revision) != 12 {
		t.Errorf("the same files are revisions %q and %q", first.Revision, again.Revision)
	}
	files["README.md"] = &fstest.MapFile{Data: []byte("not part of the bundle")}
	files[".git/data.json"] = &fstest.MapFile{Data: []byte("{")}
	if got := load(files).Revision; got != first.Revision {
		t.Errorf("files beside the bundle changed the revision to %s", got)
	}
	policiestest.Edit(t, files, "data.json", `"streakThreshold": 2`, `"streakThreshold": 4`)
	changed := load(files)
	if changed.Revision == first.Revision {
		t.Error("a changed parameter kept the revision")
	}
	policiestest.Edit(t, files, ".manifest", `"roots"`, `"revision": "2026-11-22", "roots"`)
	if got := load(files); got.Revision != "2026-11-22" || got.Hash == changed.Hash {
		t.Errorf("the manifest's revision is %q, the hash %q", got.Revision, got.Hash)
	}
}

func TestParametersMayComeFromSeveralFiles(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	policiestest.Edit(t, files, "data.json", `"streakThreshold": 2,`, "")
	files["keyward/parameters/data.json"] = &fstest.MapFile{Data: []byte("{\n\"streakThreshold\": 0}")}
	_, err := bundle.Load(t.Context(), files, entrypoints)
	if err == nil || !strings.Contains(err.Error(), "parameter streakThreshold: minimum") {
		t.Fatalf("the second file does not count: %v", err)
	}
	policiestest.Edit(t, files, "keyward/parameters/data.json", "0", "2")
	if _, err := bundle.Load(t.Context(), files, entrypoints); err != nil {
		t.Fatal(err)
	}
}

func TestAnEvaluationThatTakesTooLongStops(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	files["login/slow.rego"] = &fstest.MapFile{
		Data: []byte("package keyward.login\n\nslow if count([1 | some i, j in numbers.range(1, 1000000); i + j == 0]) > 0\n"),
	}
	policiestest.Edit(
		t, files, "login/login.rego", "default_deny if not input.complete",
		"default_deny if {\n\tinput.client.os == \"amiga\"\n\tslow\n}\n\ndefault_deny if not input.complete",
	)
	b, err := bundle.Load(t.Context(), files, entrypoints)
	if err != nil {
		t.Fatal(err)
	}
	input := ast.MustParseTerm(`{"complete": true, "client": {"os": "amiga"}}`).Value
	start := time.Now()
	_, err = b.Eval(t.Context(), 20*time.Millisecond, login, input)
	if !errors.Is(err, bundle.ErrTimeout) {
		t.Fatalf("expected a timeout, got %v", err)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("it stopped after %s", took)
	}
}

func TestEvalAnswersOnlyEntrypoints(t *testing.T) {
	t.Parallel()
	b, err := bundle.Load(t.Context(), policiestest.Files(t), entrypoints)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Eval(t.Context(), time.Second, "data.keyward.parameters", ast.NewObject()); err == nil {
		t.Error("parameters are not an entrypoint")
	}
	answer, err := b.Eval(t.Context(), time.Second, login, ast.NewObject())
	if err != nil || answer.Get(ast.StringTerm("rule")).String() != `"L0"` || answer.Get(ast.StringTerm("allow")).String() != "false" {
		t.Errorf("without facts: %v, %v", answer, err)
	}
}

func TestTheDefaultBundleIsFormatted(t *testing.T) {
	t.Parallel()
	for name, file := range policiestest.Tested(t) {
		if !strings.HasSuffix(name, ".rego") {
			continue
		}
		formatted, err := format.Source(name, file.Data)
		if err != nil {
			t.Fatal(err)
		}
		if string(formatted) != string(file.Data) {
			t.Errorf("%s is not formatted as opa fmt would", name)
		}
	}
}

func TestTheTestsOfTheDefaultBundleCoverEveryLine(t *testing.T) {
	t.Parallel()
	b, err := bundle.Load(t.Context(), policies.Bundle, entrypoints)
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string]*ast.Module{}
	for name, file := range policiestest.Tested(t) {
		if strings.HasSuffix(name, ".rego") {
			modules[name] = ast.MustParseModuleWithOpts(string(file.Data), ast.ParserOptions{ProcessAnnotation: true})
			for _, rule := range modules[name].Rules {
				rule.Location.File = name
			}
		}
	}
	covered := cover.New()
	store := inmem.NewFromObject(b.Data)
	txn, err := store.NewTransaction(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Abort(t.Context(), txn)
	results, err := tester.NewRunner().
		SetStore(store).
		SetModules(modules).
		SetCoverageQueryTracer(covered).
		SetCoverageRuns(nil).
		SetTimeout(5*time.Second).
		RunTests(t.Context(), txn)
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	for result := range results {
		if !result.Pass() {
			t.Errorf("%s: %v", result.Name, result.Error)
		}
		passed++
	}
	if passed < 50 {
		t.Errorf("only %d tests ran", passed)
	}
	report := covered.Report(modules)
	for name, file := range report.Files {
		for _, missed := range file.NotCovered {
			t.Errorf("%s:%d-%d is not covered", name, missed.Start.Row, missed.End.Row)
		}
	}
	if report.Coverage != 100 {
		t.Errorf("coverage is %.2f %%", report.Coverage)
	}
}

// BenchmarkLoad is what a start and a reload cost: read, check, compile, test, prepare.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := bundle.Load(b.Context(), policies.Bundle, entrypoints); err != nil {
			b.Fatal(err)
		}
	}
}

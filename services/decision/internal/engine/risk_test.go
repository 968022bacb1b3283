package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/backedup"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/refusal"
)

func TestAStartIsJudgedBesideWhatItAsksFor(t *testing.T) {
	t.Parallel()
	e := defaultEngine(t, Options{MemoEntries: entries})
	q, ev := busyUser()
	q.Client.UserAgent, q.Client.ParsedDeviceInfo, q.Client.JavaScriptHighEntropy = "curl/8.5.0", nil, nil
	for i := range 2 {
		v, basis, err := e.Login(t.Context(), q, ev)
		if err != nil || basis.Risk == nil || basis.Risk.Memoised != (i > 0) {
			t.Fatalf("call %d: %+v, %v", i, basis.Risk, err)
		}
		if v.Risk.Action != service.RiskReview || v.Risk.Level != service.RiskMedium || v.Risk.Rule != "R4" {
			t.Errorf("a tool is judged %+v", v.Risk)
		}
		want := service.RiskReason{Code: "bot", Severity: 2, Title: "The client says that it is a program", About: service.AboutRequest}
		if diff := cmp.Diff(want, v.Risk.Reasons[0]); diff != "" {
			t.Error(diff)
		}
		if basis.Facts.Request.Bot != "tool" || basis.Facts.User == nil || basis.Facts.Stage != "login-start" {
			t.Errorf("facts %+v", basis.Facts.RiskFacts)
		}
	}
	if v, _, _ := e.Mediation(t.Context(), q.Question, ev); v.Risk == nil || v.Risk.Action != service.RiskReview {
		t.Errorf("a mediation is judged %+v", v.Risk)
	}
	v, basis, _ := e.Append(t.Context(), service.AppendQuestion{Question: q.Question}, ev)
	if v.Risk == nil || basis.Facts.Action != "passkey-append" {
		t.Errorf("a creation is judged %+v", v.Risk)
	}
}

func TestABundleWithoutRulesOfRiskJudgesNothing(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	delete(files, "risk/risk.rego")
	e := load(t, files, Options{})
	q, ev := busyUser()
	if v, basis, err := e.Login(t.Context(), q, ev); err != nil || v.Risk != nil || basis.Risk != nil {
		t.Errorf("%+v, %+v, %v", v.Risk, basis.Risk, err)
	}
	if answer := e.Undefined(ActionRisk); answer["action"] != "allow" || answer["rule"] != "none" {
		t.Errorf("it answers %v", answer)
	}
}

func TestWhoDoesNotWantRiskJudgedHasTheSameAnswers(t *testing.T) {
	t.Parallel()
	q, ev := busyUser()
	judged, basis, err := defaultEngine(t, Options{}).Login(t.Context(), q, ev)
	if err != nil || basis.Risk == nil {
		t.Fatalf("%v, %+v", err, basis.Risk)
	}
	said, without, err := defaultEngine(t, Options{Unjudged: true}).Login(t.Context(), q, ev)
	if err != nil || without.Risk != nil {
		t.Fatalf("%v, %+v", err, without.Risk)
	}
	judged.Risk = nil
	if diff := cmp.Diff(judged, said); diff != "" {
		t.Error(diff)
	}
}

func TestRulesOfRiskThatFailLetEverythingBe(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	const broken = `decision := {"rule": "R0", "action": "allow"} if input.familiar.successes > 0

else := answer("R1"`
	policiestest.Edit(t, files, "risk/risk.rego", `decision := answer("R1"`, broken)
	e := load(t, files, Options{MemoEntries: entries})
	q, ev := busyUser()
	v, basis, err := e.Login(t.Context(), q, ev)
	if err != nil || basis.Answer == nil || v.Rule == "default" {
		t.Errorf("the login is answered %+v, %v", v, err)
	}
	if basis.Risk.Err == nil || v.Risk.Action != service.RiskAllow || v.Risk.Level != service.RiskLow || v.Risk.Rule != "default" {
		t.Errorf("and judged %+v, %v", v.Risk, basis.Risk.Err)
	}
}

func TestRulesOfRiskThatCannotBeMeantAreRefusedWithTheirPlace(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ file, old, replacement, want string }{
		"a reason that nothing describes": {
			"risk/risk.rego", `reasons contains "bot"`, `reasons contains "bto"`, `"bto": there is no such reason`,
		},
		"an action that there is not": {
			"risk/risk.rego", `answer("R4", "review"`, `answer("R4", "watch"`, `"watch": action must be allow, review, challenge or deny`,
		},
		"a level that there is not": {
			"risk/risk.rego", `"review", "medium"`, `"review", "middling"`, `"middling": level must be low, medium or high`,
		},
		"a severity that there is not": {
			"data.json", `"bot": {"severity": 2`, `"bot": {"severity": 5`, "keyward.reasons.bot.severity",
		},
		"a number between two steps": {
			"risk/risk.rego", "input.user.ageHours < data.keyward.parameters.risk.freshAccountHours", "input.user.ageHours < 36",
			"input.user.ageHours < 36: the fact moves in steps, and that means the same as 48",
		},
		"a number between two steps on the left": {
			"risk/risk.rego", "input.user.ageHours < data.keyward.parameters.risk.freshAccountHours", "36 >= input.user.ageHours",
			"input.user.ageHours <= 36: the fact moves in steps, and that means the same as 24",
		},
		"a number that is no step": {
			"risk/risk.rego", `input.familiar.network == "new"`, `{input.familiar.successes == 4} == {true}`,
			"input.familiar.successes == 4: the fact moves in steps, and is never that",
		},
		"a number that is no step in a set": {
			"risk/risk.rego", `input.familiar.network == "new"`, `input.user.ageHours in {24, 36}`,
			"input.user.ageHours in 36: the fact moves in steps, and is never that",
		},
		"a number that is no step in a list of the data": {
			"risk/risk.rego", `input.familiar.network == "new"`, `input.travel.kmh in data.keyward.parameters.risk.officeHours.days`,
			"input.travel.kmh in keyward.parameters.risk.officeHours.days, which is 1: the fact moves in steps, and is never that",
		},
		"a number between two steps by a name": {
			"risk/risk.rego", `input.familiar.network == "new"`, "{\n\thours := 36\n\tage := input.user.ageHours\n\tage < hours\n}",
			"input.user.ageHours < 36: the fact moves in steps, and that means the same as 48",
		},
		"a stage that there is not": {
			"risk/risk.rego", `input.familiar.network == "new"`, `input.stage == "login-finsh"`,
			`input.stage == "login-finsh": it is never that ... did you mean login-finish?`,
		},
		"a stage that there is not, in a set": {
			"risk/risk.rego", `input.familiar.network == "new"`, `input.stage in {"login-start", "appendstart"}`,
			`input.stage in "appendstart": it is never that ... did you mean append-start?`,
		},
		"an action that nothing declares": {
			"risk/risk.rego", `input.familiar.network == "new"`, `input.action == "paymnt"`,
			`input.action == "paymnt": it is never that ... did you mean payment?`,
		},
		"a text of a context that the schema lacks": {
			"risk/risk.rego", `input.familiar.network == "new"`, `"webb" == input.context.channel`,
			`input.context.channel == "webb": it is never that ... did you mean web?`,
		},
		"a number of a context that the schema lacks": {
			"risk/risk.rego", `input.familiar.network == "new"`, `input.context.externalScore > 100`,
			"input.context.externalScore > 100: it is never above 100",
		},
		"a state of a passkey that there is not, by a name": {
			"risk/risk.rego", `input.familiar.network == "new"`, "{\n\tpasskey := input.used\n\tpasskey.status == \"compromisd\"\n}",
			`input.used.status == "compromisd": it is never that ... did you mean compromised?`,
		},
		"an hour that no day has": {
			"risk/risk.rego", `input.familiar.network == "new"`, `input.request.hour == 24`, "input.request.hour == 24: it is 0 to 23",
		},
		"an assurance level that there is not": {
			"risk/risk.rego", `input.familiar.network == "new"`, `input.used.aal < 4`, "input.used.aal < 4: it is one of 1, 2, 3",
		},
		"a misspelt label": {
			"risk/risk.rego", `input.familiar.network == "new"`, `input.user.labels.amdin`, "did you mean admin?",
		},
		"a misspelt counter": {
			"risk/risk.rego", `input.velocity.addressUsers`, `input.velocity.adressUsers`, "did you mean addressUsers?",
		},
		"more than a set holds": {
			"risk/risk.rego", `parameters.risk.addressUsers`, `parameters.risk.addressUsers

reasons contains "address-spray" if input.velocity.addressUsers > 65`, "input.velocity.addressUsers > 65: it is never above 64",
		},
		"more than a set holds, by a name of the rule": {
			"risk/risk.rego", `input.familiar.network == "new"`, "{\n\tlimit := 100\n\tinput.velocity.userFailures >= limit\n}",
			"input.velocity.userFailures >= 100: it is never above 64",
		},
		"more than a set holds, by a name of the file": {
			"risk/risk.rego", `package keyward.risk`,
			"package keyward.risk\n\nlimit := 100\n\nreasons contains \"bot\" if input.velocity.userFailures >= limit",
			"input.velocity.userFailures >= 100: it is never above 64",
		},
		"a counter of two families": {
			"data.json", `"login-unknown", "auth-failure", "code-wrong"], "seconds": 600`, `"auth-success"], "seconds": 600`,
			`counter addressFailures: "login-refused" and "auth-success" are of two families`,
		},
		"a subject that there is not": {"data.json", `"subject": "network"`, `"subject": "country"`, "counters.networkUsers.subject"},
		"a window beyond the horizon": {"data.json", `"seconds": 86400`, `"seconds": 86400000`, "counters.userEnvironments.seconds"},
		"more sets than a decision may read": {
			"data.json", `"maxKeys": 5`, `"maxKeys": 4`, "the rules read counters of 5 sets, and a decision may read 4",
		},
		"a fact that there is not": {
			"risk/risk.rego", "input.familiar.network", "input.familiar.netwrok", "undefined ref: input.familiar.netwrok",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := policiestest.Files(t)
			policiestest.Edit(t, files, "data.json", `"labels": [],
`, `"labels": ["admin"],
`)
			policiestest.Edit(t, files, tc.file, tc.old, tc.replacement)
			_, err := Load(t.Context(), files, Options{})
			said, advised, _ := strings.Cut(tc.want, " ... ")
			if err == nil || !strings.Contains(err.Error(), said) || !strings.Contains(err.Error(), advised) ||
				!strings.Contains(err.Error(), tc.file) {
				t.Errorf("%v, want %s in %s", err, tc.want, tc.file)
			}
		})
	}
}

func TestALabelThatNobodyDeclaresIsRefusedWhereNoneIsDeclaredToo(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	policiestest.Edit(t, files, "risk/risk.rego", `input.familiar.network == "new"`, `input.user.labels.admn`)
	_, err := Load(t.Context(), files, Options{})
	if err == nil || !strings.Contains(err.Error(), `input.user.labels.admn: there is no label "admn"`) ||
		!strings.Contains(err.Error(), "risk/risk.rego:") || !strings.Contains(err.Error(), "data.keyward.parameters.labels") {
		t.Error(err)
	}
}

func TestACounterOfThePasskeyThatIsUsedIsReadWhereALoginEndsAlone(t *testing.T) {
	t.Parallel()
	const userFailures = "if input.velocity.userFailures >= data.keyward.parameters.risk.userFailures"
	with := func(condition, more string) string {
		return "if {\n\t" + condition + "\n\t" + userFailures[3:] + "\n}" + more
	}
	const refused = "input.velocity.userFailures counts for the passkey of a finished login, and is asked for where there is none"
	for name, c := range map[string]struct{ file, old, replacement, want string }{
		"at any stage":        {"risk/risk.rego", "", "", refused},
		"at the end of one":   {"risk/risk.rego", userFailures, with(`input.stage == "login-finish"`, ""), ""},
		"of the passkey used": {"risk/risk.rego", userFailures, with("input.used.uv", ""), ""},
		"at a stage, and another one": {
			"risk/risk.rego", userFailures, with(`input.stage in {"login-finish", "append-finish"}`, ""), refused,
		},
		"at the end of one, which a rule tells": {
			"risk/risk.rego", userFailures, with("ended", "\n\nended if input.stage == \"login-finish\""), "",
		},
		"in rules of logins": {
			"login/login.rego", `input.support.webauthn == false`, `[input.support.webauthn, input.velocity.userFailures > 60][0] == false`, refused,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := policiestest.Files(t)
			policiestest.Edit(t, files, "data.json", `"userFailures": {
          "subject": "user"`, `"userFailures": {
          "subject": "credential"`)
			if c.file != "login/login.rego" && c.old != "" {
				policiestest.Edit(t, files, c.file, c.old, c.replacement)
			} else if c.old != "" {
				policiestest.Edit(t, files, "risk/risk.rego", userFailures, with("input.used.uv", ""))
				policiestest.Edit(t, files, c.file, c.old, c.replacement)
			}
			_, err := Load(t.Context(), files, Options{Admitted: true})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if c.want != "" && !strings.Contains(err.Error(), c.file+":") {
				t.Errorf("it does not say where: %v", err)
			}
		})
	}
}

func TestAParameterBetweenTwoStepsIsRefusedWhereItIsReadInAProjectToo(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string][2]string{
		"of all":       {`"freshAccountHours": 24`, `"freshAccountHours": 30`},
		"of a project": {`"projects": {}`, `"projects": {"pro-7": {"parameters": {"risk": {"freshAccountHours": 30}}}}`},
	} {
		files := policiestest.Files(t)
		policiestest.Edit(t, files, "data.json", edit[0], edit[1])
		_, err := Load(t.Context(), files, Options{})
		const want = "input.user.ageHours < keyward.parameters.risk.freshAccountHours, which is 30: " +
			"the fact moves in steps, and that means the same as 48"
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "risk/risk.rego") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAZoneThatThereIsNotIsRefused(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"Europe/Berlin1", "Local", "../etc/passwd"} {
		files := policiestest.Files(t)
		policiestest.Edit(t, files, "data.json", `"timeZone": "UTC"`, `"timeZone": "`+zone+`"`)
		if _, err := Load(t.Context(), files, Options{}); err == nil || !strings.Contains(err.Error(), "is no zone of the IANA's database") {
			t.Errorf("%s: %v", zone, err)
		}
	}
}

// grave is a user whose login asks for a further proof: the browser is driven by a program.
func grave(t *testing.T, e *Engine) service.LoginVerdict {
	t.Helper()
	q, ev := busyUser()
	q.Client.Webdriver = new(true)
	v, _, err := e.Login(t.Context(), q, ev)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func with(t *testing.T, e *Engine, risk map[string]any) *Engine {
	t.Helper()
	changed, err := e.With(map[string]any{"risk": risk})
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func TestAVerdictOfRiskBindsWhereThePolicyEnforcesIt(t *testing.T) {
	t.Parallel()
	e := defaultEngine(t, Options{MemoEntries: entries})
	bar := map[string]any{"severities": map[string]any{"bot": 4}}
	barred := map[string]any{"severities": map[string]any{"bot": 4}, "mode": "enforce"}
	tool := func(e *Engine) service.LoginVerdict {
		q, ev := busyUser()
		q.Client.UserAgent, q.Client.ParsedDeviceInfo, q.Client.JavaScriptHighEntropy = "curl/8.5.0", nil, nil
		v, _, err := e.Login(t.Context(), q, ev)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	plain, told, bound := tool(e), tool(with(t, e, bar)), tool(with(t, e, barred))
	if told.Risk.Action != service.RiskDeny || told.Risk.Enforced || told.Allow != plain.Allow || told.Tag != plain.Tag {
		t.Errorf("in observe mode %+v became %+v", plain, told)
	}
	if !plain.Allow || bound.Allow || !bound.Risk.Enforced || bound.Tag != rest.DecisionTagEnvBlacklisted ||
		bound.Reason != refusal.EnvironmentBarred {
		t.Errorf("in enforce mode %+v became %+v", plain, bound)
	}
	challenged := grave(t, with(t, e, map[string]any{"mode": "enforce"}))
	if !challenged.Risk.VerifiesUser() || challenged.Risk.StepUp[0] != service.StepUpPasskeyUV {
		t.Errorf("a challenge at a start is %+v", challenged.Risk)
	}
	for _, c := range []struct{ asked, want map[string]any }{
		{map[string]any{"mode": "enforce"}, map[string]any{"stepUpSeconds": 600, "stepUpFailures": 5}},
		{
			map[string]any{"mode": "enforce", "stepUpSeconds": 120, "stepUpFailures": 2},
			map[string]any{"stepUpSeconds": 120, "stepUpFailures": 2},
		},
	} {
		if r := grave(t, with(t, e, c.asked)).Risk; r.StepUpSeconds != c.want["stepUpSeconds"] || r.StepUpFailures != c.want["stepUpFailures"] {
			t.Errorf("with %v a proof may be given for %d s, and %d may be wrong", c.asked, r.StepUpSeconds, r.StepUpFailures)
		}
	}
	if noted := grave(t, e); noted.Risk.VerifiesUser() || noted.Risk.Action != service.RiskChallenge {
		t.Errorf("in observe mode it is %+v", noted.Risk)
	}
}

func TestRulesOfRiskThatFailAllowUnlessTheParameterSaysOtherwise(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		risk  map[string]any
		allow bool
	}{
		"by default":              {map[string]any{"mode": "enforce"}, true},
		"failing closed":          {map[string]any{"mode": "enforce", "failure": "deny"}, false},
		"failing closed, unbound": {map[string]any{"failure": "deny"}, true},
	} {
		q, ev := busyUser()
		v, basis, err := naming(t, c.risk).Login(t.Context(), q, ev)
		if err != nil || basis.Risk.Err == nil || v.Risk.Rule != "default" || v.Allow != c.allow {
			t.Errorf("%s: allowed %t, %+v, %v, %v", name, v.Allow, v.Risk, basis.Risk.Err, err)
		}
	}
}

// naming returns an engine whose rules of risk name a passkey that there is not.
func naming(t *testing.T, risk map[string]any) *Engine {
	t.Helper()
	files := policiestest.Files(t)
	policiestest.Edit(t, files, "risk/risk.rego", `"exclude": excluded`, `"exclude": [9 | input.familiar.successes > 0]`)
	delete(files, "risk/risk_test.rego")
	e, err := Load(t.Context(), files, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return with(t, e, risk)
}

func TestAStepUpThatThereIsNotIsRefused(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	policiestest.Edit(t, files, "risk/risk.rego", `["other-passkey", "email-code"]`, `["other-passkey", "post-card"]`)
	_, err := Load(t.Context(), files, Options{Admitted: true})
	if err == nil || !strings.Contains(err.Error(), `"post-card": stepUp must be`) {
		t.Errorf("got %v", err)
	}
}

// BenchmarkRisk is what the judgement of risk takes by itself.
func BenchmarkRisk(b *testing.B) {
	q, ev := busyUser()
	for name, remembered := range map[string]int{"direct": 0, "memo": entries} {
		e := defaultEngine(b, Options{MemoEntries: remembered})
		v := &e.base
		d := v.login(q, ev)
		e.judge(b.Context(), v, &d)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e.judge(b.Context(), v, &d)
			}
		})
	}
}

func TestAFinishIsJudgedByWhatEndedIt(t *testing.T) {
	t.Parallel()
	e := defaultEngine(t, Options{MemoEntries: entries})
	q, ev := busyUser()
	passkey := q.Account.Credentials[0]
	passkey.CreatedMs, passkey.LastUsedMs = ev.Now.Add(-50*time.Hour).UnixMilli(), ev.Now.Add(-90*time.Minute).UnixMilli()
	passkey.AAGUID, passkey.BackupEligible, passkey.BackupState = "FBFC3007-154E-4ECC-8C0B-6E020557D7BD", true, false
	end := service.FinishQuestion{
		Question: q.Question, Passkey: passkey, UV: true,
		Login: &service.FinishedLogin{Route: event.CDA, Counter: service.CounterReset, BackupChanged: true},
	}
	v, basis := e.Finish(t.Context(), end, ev)
	used := facts.Used{
		Item: facts.Item{
			AAGUID: "fbfc3007-154e-4ecc-8c0b-6e020557d7bd", Class: basis.Facts.Used.Class, AgeHours: 48, Backup: facts.Eligible, UV: true, AAL: 2,
			Attested: &facts.Attested{By: account.TrustNone, Status: metadata.Unknown},
		},
		UsedHours: 1, Route: event.CDA, Counter: "reset", BackupChanged: backedup.State, Availability: "likely",
	}
	if diff := cmp.Diff(&used, basis.Facts.Used); diff != "" || basis.Facts.Created != nil || basis.Facts.Strategy != "" {
		t.Errorf("facts %s\n%s", basis.Facts.AppendJSON(nil), diff)
	}
	if v.Risk.Action != service.RiskReview || !v.Allow || v.Rule != v.Risk.Rule ||
		basis.Answer == nil || basis.Facts.Action != "passkey-login" {
		t.Errorf("judged %+v, %+v", v, v.Risk)
	}
	if again, basis := e.Finish(t.Context(), end, ev); !basis.Memoised || again.Risk.Rule != v.Risk.Rule {
		t.Errorf("again %+v", again)
	}

	end.Login, end.UV, end.Conditional = nil, false, true
	_, basis = e.Finish(t.Context(), end, ev)
	want := facts.Created{Item: used.Item, Conditional: true, Format: "none"}
	want.UV, want.AAL = false, 1
	if diff := cmp.Diff(&want, basis.Facts.Created); diff != "" || basis.Facts.Used != nil || basis.Facts.Action != "passkey-append" {
		t.Errorf("facts %s\n%s", basis.Facts.AppendJSON(nil), diff)
	}
}

// A passkey as a whole has hours of its own, by which hardly any two accounts are alike.
func TestOfPasskeysTheDefaultBundleReadsNamedValues(t *testing.T) {
	t.Parallel()
	read := []string{}
	for _, path := range defaultEngine(t, Options{}).MemoPaths()[ActionRisk] {
		if strings.HasPrefix(path, "credentials.items") {
			read = append(read, path)
		}
	}
	if diff := cmp.Diff([]string{"credentials.items[].aaguid", "credentials.items[].status"}, read); diff != "" {
		t.Error(diff)
	}
}

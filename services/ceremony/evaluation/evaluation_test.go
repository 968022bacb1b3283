package evaluation_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
)

const email = "ada@example.com"

func evaluate(t *testing.T, st *ceremonytest.Stack, asked service.RiskEvaluation) (service.Judged[service.Empty], error) {
	t.Helper()
	return st.EvaluateRisk(t.Context(), service.ForProject[service.RiskEvaluation]{Project: st.Project.ID, Body: asked})
}

// challenging has the policy ask a further proof.
func challenging(st *ceremonytest.Stack, enforced bool, methods ...service.StepUpMethod) {
	st.Decision.Mu.Lock()
	defer st.Decision.Mu.Unlock()
	st.Decision.OnEvaluate = func(_ service.EvaluateQuestion, v *service.Verdict) {
		v.Decision = ident.NewDecisionID(st.Clock.Now())
		v.Risk = &service.Risk{Rule: "R2", Action: service.RiskChallenge, Level: service.RiskHigh, Enforced: enforced, StepUp: methods}
	}
}

func (a *asked) last() service.EvaluateQuestion { return a.questions[len(a.questions)-1] }

type asked struct{ questions []service.EvaluateQuestion }

// listen keeps what the policy is asked.
func listen(st *ceremonytest.Stack) *asked {
	heard := &asked{}
	st.Decision.Mu.Lock()
	defer st.Decision.Mu.Unlock()
	st.Decision.OnEvaluate = func(q service.EvaluateQuestion, _ *service.Verdict) { heard.questions = append(heard.questions, q) }
	return heard
}

func TestWhatIsAskedIsJudgedOnTheAccountThatIsMeant(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	ada := st.NamedUser(t, account.IdentifierStatusPrimary)
	heard := listen(st)
	given := json.RawMessage(`{"amountMinor":4990}`)
	for name, c := range map[string]struct {
		asked service.RiskEvaluation
		known bool
	}{
		"by ID":                          {service.RiskEvaluation{User: ada}, true},
		"by a verified identifier":       {service.RiskEvaluation{Identifier: email}, true},
		"in other letters":               {service.RiskEvaluation{Identifier: "Ada@Example.COM"}, true},
		"an ID that nobody has":          {service.RiskEvaluation{User: "usr-77"}, false},
		"an identifier that nobody has":  {service.RiskEvaluation{Identifier: "grace@example.com"}, false},
		"a name that is no email either": {service.RiskEvaluation{Identifier: "nobody at all"}, false},
	} {
		c.asked.Action, c.asked.Context, c.asked.Process = "payment", given, "checkout-1"
		c.asked.Client = rest.ClientInformation{RemoteAddress: "203.0.113.10", UserAgent: "a browser"}
		answer, err := evaluate(t, st, c.asked)
		if err != nil || answer.Risk == nil || answer.Decision == "" || answer.PolicyRevision == "" {
			t.Errorf("%s: %+v, %v", name, answer, err)
			continue
		}
		q := heard.last()
		if q.Action != "payment" || string(q.Context) != string(given) || q.Process != "checkout-1" || q.Sighted == nil || q.Frontend {
			t.Errorf("%s: asked %+v", name, q)
		}
		if known := q.Account.ID == ada && len(q.Account.Identifiers) > 0; known != c.known {
			t.Errorf("%s: judged on %+v", name, q.Account)
		}
		if q.Account.ID == "" || q.Account.Status != account.StatusActive {
			t.Errorf("%s: judged on an account that cannot be: %+v", name, q.Account)
		}
	}
}

func TestAnIdentifierThatAnybodyMayHaveEnteredIsNobodys(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	ada := st.NamedUser(t, account.IdentifierStatusPending)
	heard := listen(st)
	for range 2 {
		if _, err := evaluate(t, st, service.RiskEvaluation{Identifier: email, Action: "payment"}); err != nil {
			t.Fatal(err)
		}
	}
	first, second := heard.questions[0].Account, heard.questions[1].Account
	if first.ID == ada || first.ID != second.ID || len(first.Identifiers) != 0 {
		t.Errorf("judged on %+v, then %+v", first, second)
	}
}

func TestWhatIsNotAskedRightIsRefused(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	for name, c := range map[string]struct {
		asked          service.RiskEvaluation
		field, message string
	}{
		"nobody":         {service.RiskEvaluation{}, "userID", "either userID or identifier has to be given"},
		"somebody twice": {service.RiskEvaluation{User: "usr-1", Identifier: email}, "userID", "userID and identifier cannot both be given"},
		"an address that is none": {
			service.RiskEvaluation{User: "usr-1", Client: rest.ClientInformation{RemoteAddress: "somewhere"}},
			"clientInformation.remoteAddress", "must be an IP address, with a port or without",
		},
	} {
		c.asked.Action = "payment"
		_, err := evaluate(t, st, c.asked)
		if err == nil {
			t.Errorf("%s: answered", name)
			continue
		}
		ceremonytest.WantField(t, err, http.StatusBadRequest, c.field, c.message)
	}
	if _, err := evaluate(t, st, service.RiskEvaluation{User: "me", Action: "payment"}); err == nil {
		t.Error("an ID of no form: answered")
	}
}

func TestAChallengeOpensAStepUpThatSaysWhatItWasFor(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	ada := st.NamedUser(t, account.IdentifierStatusPrimary)
	challenging(st, true, service.StepUpSecurityKey, service.StepUpCaller)
	answer, err := evaluate(t, st, service.RiskEvaluation{User: ada, Action: "payment"})
	if err != nil || answer.Risk.Opened == nil || len(answer.Risk.Opened.Methods) != 1 {
		t.Fatalf("%+v, %v", answer.Risk, err)
	}
	id := answer.Risk.Opened.ID
	redeem := func() (rest.StepUpRedeemRsp, error) {
		return st.RedeemStepUp(t.Context(), service.ForProject[ident.StepUpID]{Project: st.Project.ID, Body: id})
	}
	if _, err := redeem(); fault.As(err).Type != fault.TypeStepUpRequired {
		t.Fatalf("before the proof: %v", err)
	}
	passed := rest.StepUpOutcome{Method: "totp", Outcome: rest.StepUpOutcomeOutcomePassed}
	if _, err := st.ReportStepUp(t.Context(), service.ForProject[service.StepUpReport]{
		Project: st.Project.ID, Body: service.StepUpReport{ID: id, Outcome: passed},
	}); err != nil {
		t.Fatal(err)
	}
	rsp, err := redeem()
	if err != nil || rsp.PasskeyData != nil || rsp.SignedPasskeyData != nil || rsp.Evaluation == nil {
		t.Fatalf("%+v, %v", rsp, err)
	}
	if e := rsp.Evaluation; e.DecisionID != string(answer.Decision) || e.Action != "payment" || strings.Join(e.Amr, " ") != "totp" {
		t.Errorf("redeemed %+v", e)
	}
	if _, err := redeem(); fault.As(err).Status != http.StatusNotFound {
		t.Errorf("twice: %v", err)
	}
	if told := st.Events.OfType(event.StepUpStarted); len(told) != 1 || told[0].User != ada || told[0].Decision != answer.Decision {
		t.Errorf("told %+v", told)
	}
}

func TestAStepUpOfNobodyLooksLikeAnyAndTellsNobody(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	challenging(st, true, service.StepUpPasskeyUV, service.StepUpEmailCode)
	answer, err := evaluate(t, st, service.RiskEvaluation{Identifier: "grace@example.com", Action: "payment"})
	if err != nil || answer.Risk.Opened == nil || len(answer.Risk.Opened.Methods) != 2 || answer.Risk.Action != service.RiskChallenge {
		t.Fatalf("%+v, %v", answer.Risk, err)
	}
	if told := st.Events.OfType(event.StepUpStarted); len(told) != 0 {
		t.Errorf("told %+v", told)
	}
}

func TestWithoutAWayToProveAnythingAChallengeIsADenial(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	ada := st.NewUser(t)
	challenging(st, true, service.StepUpPasskeyUV)
	answer, err := evaluate(t, st, service.RiskEvaluation{User: ada, Action: "payment"})
	if err != nil || answer.Risk.Action != service.RiskDeny || answer.Risk.Opened != nil ||
		answer.Risk.Reasons[len(answer.Risk.Reasons)-1].Code != service.NoStepUp {
		t.Errorf("%+v, %v", answer.Risk, err)
	}
	challenging(st, false, service.StepUpPasskeyUV)
	answer, err = evaluate(t, st, service.RiskEvaluation{User: ada, Action: "payment"})
	if err != nil || answer.Risk.Action != service.RiskChallenge || answer.Risk.Opened != nil {
		t.Errorf("without binding: %+v, %v", answer.Risk, err)
	}
}

const decided ident.DecisionID = "dec-1764079200000123456789012"

// record has a decision in the records.
func record(st *ceremonytest.Stack, of service.RecordedRisk) {
	st.Decision.Mu.Lock()
	defer st.Decision.Mu.Unlock()
	st.Decision.OnRecorded = func(ident.DecisionID) (service.RecordedRisk, error) { return of, nil }
}

func tell(t *testing.T, st *ceremonytest.Stack, said rest.RiskFeedbackReq) (rest.RiskFeedbackRsp, error) {
	t.Helper()
	return st.TellRiskOutcome(t.Context(), service.ForProject[service.RiskFeedback]{
		Project: st.Project.ID, Body: service.RiskFeedback{Decision: decided, Said: said},
	})
}

func TestAnOutcomeIsKeptWithWhatTheDecisionWasMadeFrom(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	ada := st.NewUser(t)
	record(st, service.RecordedRisk{
		User: ada, Time: st.Clock.Now().Add(-time.Hour), Process: "login-1", Environment: "env-1",
		Sighted: &event.Sighted{Address: "a", Network: "n", Environment: "e"},
		Judged: event.Feedback{
			Stage: "login-start", About: "passkey-login", Action: "allow", Level: "low", Reasons: []string{"new-network"}, Policy: "p",
			Facts: json.RawMessage(`{"stage":"login-start"}`),
		},
	})
	say := func(outcome rest.RiskOutcome) {
		t.Helper()
		st.Clock.Advance(time.Minute)
		rsp, err := tell(t, st, rest.RiskFeedbackReq{Outcome: outcome})
		if err != nil || !rsp.Recorded || rsp.Outcome != outcome || rsp.DecisionID != string(decided) {
			t.Fatalf("%s: %+v, %v", outcome, rsp, err)
		}
	}
	say(rest.RiskOutcomeFraudConfirmed)
	say(rest.RiskOutcomeFraudConfirmed) // again, and nothing is told
	told := st.Events.OfType(event.RiskFeedback)
	if len(told) != 1 {
		t.Fatalf("told %+v", told)
	}
	e := told[0]
	f := e.Feedback
	if e.User != ada || e.Decision != decided || e.Process != "login-1" || e.Environment != "env-1" || f.Outcome != event.FraudConfirmed ||
		f.Action != "allow" || f.Policy != "p" || f.AtMs == 0 || string(f.Facts) != `{"stage":"login-start"}` {
		t.Errorf("told %+v of %+v", e.Feedback, e)
	}
	if s := e.Sighted; s == nil || s.User == "" || s.Address != "a" || s.Network != "n" || s.Environment != "e" {
		t.Errorf("counted for %+v", s)
	}
	say(rest.RiskOutcomeLegitimate)
	say(rest.RiskOutcomeFraudSuspected)
	say(rest.RiskOutcomeFraudConfirmed)
	told = st.Events.OfType(event.RiskFeedback)
	if len(told) != 4 || told[1].Feedback.Instead != e.ID || told[1].Sighted == nil || told[2].Sighted != nil || told[3].ID == e.ID {
		t.Errorf("told %+v", told)
	}
}

func TestOfADecisionThatIsNoLongerRecordedTheCallerSaysWhose(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	ada := st.NewUser(t)
	at := st.Clock.Now().Add(-48 * time.Hour).Format(time.RFC3339)
	if _, err := tell(t, st, rest.RiskFeedbackReq{Outcome: rest.RiskOutcomeLegitimate}); fault.As(err).Status != http.StatusNotFound {
		t.Errorf("without a word of it: %v", err)
	}
	if _, err := tell(t, st, rest.RiskFeedbackReq{Outcome: rest.RiskOutcomeLegitimate, At: &at}); fault.As(err).Status != http.StatusNotFound {
		t.Errorf("without its user: %v", err)
	}
	rsp, err := tell(t, st, rest.RiskFeedbackReq{Outcome: rest.RiskOutcomeFraudConfirmed, UserID: new(string(ada)), At: &at})
	if err != nil || rsp.Recorded {
		t.Fatalf("%+v, %v", rsp, err)
	}
	told := st.Events.OfType(event.RiskFeedback)
	if len(told) != 1 || told[0].User != ada || told[0].Feedback.Facts != nil || told[0].Feedback.Action != "" ||
		told[0].Sighted.Address != "" {
		t.Errorf("told %+v", told)
	}
}

func TestOfADecisionThatIsNotRecordedSeveralUsersAreTold(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	at := st.Clock.Now().Add(-48 * time.Hour).Format(time.RFC3339)
	users, ids := []ident.UserID{st.NewUser(t), st.NewUser(t)}, map[ident.EventID]bool{}
	for range 2 { // the second time it is known
		for _, user := range users {
			said := rest.RiskFeedbackReq{Outcome: rest.RiskOutcomeFraudConfirmed, UserID: new(string(user)), At: &at}
			if _, err := tell(t, st, said); err != nil {
				t.Fatal(err)
			}
		}
	}
	told := st.Events.OfType(event.RiskFeedback)
	for _, e := range told {
		ids[e.ID] = true
	}
	if len(told) != len(users) || len(ids) != len(users) || told[0].User == told[1].User {
		t.Errorf("told %+v", told)
	}
}

func TestAnOutcomeThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	ada := st.NewUser(t)
	grace := string(st.NewUser(t))
	ofAda := service.RecordedRisk{User: ada, Time: st.Clock.Now()}
	later := st.Clock.Now().Add(time.Hour).Format(time.RFC3339)
	for name, c := range map[string]struct {
		record         service.RecordedRisk
		said           rest.RiskFeedbackReq
		field, message string
	}{
		"no outcome": {
			ofAda, rest.RiskFeedbackReq{Outcome: "fraud"}, "outcome",
			"must be fraud-confirmed, fraud-suspected, legitimate or step-up-abandoned",
		},
		"somebody else's": {
			ofAda, rest.RiskFeedbackReq{Outcome: rest.RiskOutcomeLegitimate, UserID: &grace}, "userID", "the decision was about somebody else",
		},
		"nobody's": {
			service.RecordedRisk{Time: st.Clock.Now()}, rest.RiskFeedbackReq{Outcome: rest.RiskOutcomeLegitimate}, "userID",
			"the decision was about nobody: say whose account it turned out to be",
		},
		"no time": {
			ofAda, rest.RiskFeedbackReq{Outcome: rest.RiskOutcomeLegitimate, At: new("yesterday")}, "at", "must be a time as RFC 3339 has it",
		},
		"a time to come": {ofAda, rest.RiskFeedbackReq{Outcome: rest.RiskOutcomeLegitimate, At: &later}, "at", "is in the future"},
	} {
		record(st, c.record)
		_, err := tell(t, st, c.said)
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		ceremonytest.WantField(t, err, http.StatusBadRequest, c.field, c.message)
	}
	if told := st.Events.OfType(event.RiskFeedback); len(told) != 0 {
		t.Errorf("told %+v", told)
	}
}

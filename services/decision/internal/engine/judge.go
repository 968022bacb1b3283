package engine

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/sighting"
	"github.com/keyward/keyward/core/span"
	"github.com/keyward/keyward/services/decision/internal/binding"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/document"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/reading"
	"github.com/keyward/keyward/services/decision/internal/refusal"
	"github.com/keyward/keyward/services/decision/internal/riskfacts"
)

// Evidence is what was looked up about the user of a question. A user that does not exist has none.
type Evidence struct {
	Events   event.Set     // the user's
	Offers   []event.Event // recent login-offered and login-denied events; read by Append only
	Complete bool          // every lookup succeeded
	Now      time.Time
	Around   Around
	Seen     sighting.Seen     // of the sets that Sets names
	Found    *detect.Detection // by an engine of which FindsAs holds; then NextEligibleAt is not looked for; nil = it is to be found

	asked time.Time // when the question was asked, if Now is a moment to come: until then its process stands still
}

// or returns what was found by another engine, or what is found now.
func (ev *Evidence) or(find func() detect.Detection) detect.Detection {
	if ev.Found != nil {
		return *ev.Found
	}
	return find()
}

// Basis is what a verdict rests on.
type Basis struct {
	Facts    *facts.Facts    // the policy's input as a whole
	Answer   json.RawMessage // the policy's answer document; nil if the policy gave no usable answer
	Memoised bool            // the answer was known from equal facts before
	Found    *detect.Detection
	Risk     *Risk // nil of rollout, and of bundles without rules of risk
}

// Login judges whether to offer a passkey login. The verdict has no decision ID. If the policy gives no usable answer, the error says why
// and the verdict is the safe default, which offers nothing; the basis is complete in any case.
func (e *Engine) Login(ctx context.Context, q service.LoginQuestion, ev Evidence) (service.LoginVerdict, Basis, error) {
	v := e.view(q.Project)
	d := ev.or(func() detect.Detection { return v.login(q, ev) })
	known, memoised, err := ask(ctx, e, v, login, ev.Around.Off, &d.Facts, readLogin)
	if err != nil {
		known = &answered[loginAnswer]{answer: loginAnswer{verdict: safeDefault(), hints: []string{}}}
	}
	a := &known.answer
	reason := refusal.OfLogin(a.allow, a.tag)
	said := v.verdict(a.verdict, &d)
	said.Incomplete = !d.Facts.Complete || err != nil
	if _, ends := refusal.Cause(reason); ends {
		said.NextEligibleAt = e.loginEligible(ctx, v, q, ev, reason)
	}
	judged := e.judge(ctx, v, &d)
	otherDevice := ""
	if a.cda {
		otherDevice = v.knowledge.OtherDevice(&d)
	}
	login := service.LoginVerdict{
		Verdict: said, OtherDevice: otherDevice, Reason: reason, Route: a.route, IsCDACandidate: a.cda, PreferImmediatelyAvailable: a.immediately,
		AllowCredentials: d.Select(a.credentials), Hints: a.hints,
	}
	binding.Login(judged.told(), &login, ev.Now)
	return login, Basis{Facts: &d.Facts, Answer: known.document, Memoised: memoised, Found: &d, Risk: judged}, err
}

// loginEligible returns when a login is no longer refused for a reason.
func (e *Engine) loginEligible(ctx context.Context, v *view, q service.LoginQuestion, ev Evidence, reason string) time.Time {
	return v.eligible(q.Question, ev, reason, func(later Evidence) (string, error) {
		d := v.login(q, later)
		known, _, err := ask(ctx, e, v, login, nil, &d.Facts, readLogin)
		if err != nil {
			return "", err
		}
		return refusal.OfLogin(known.answer.allow, known.answer.tag), nil
	})
}

// Append judges whether to offer the creation of a passkey, under the same terms as Login.
func (e *Engine) Append(ctx context.Context, q service.AppendQuestion, ev Evidence) (service.AppendVerdict, Basis, error) {
	v := e.view(q.Project)
	d := ev.or(func() detect.Detection { return v.append(q, ev) })
	known, memoised, err := ask(ctx, e, v, appending, ev.Around.Off, &d.Facts, readAppend)
	if err != nil {
		known = &answered[appendAnswer]{answer: appendAnswer{verdict: safeDefault(), variant: rest.AppendVariantDefault, hints: []string{}}}
	}
	a := &known.answer
	said := v.verdict(a.verdict, &d)
	said.Incomplete = !d.Facts.Complete || err != nil
	if _, ends := refusal.Cause(a.reason); ends {
		said.NextEligibleAt = e.appendEligible(ctx, v, q, ev, a.reason)
	}
	judged := e.judge(ctx, v, &d)
	tag, withheld := said.Tag, rest.DecisionTag("")
	if binding.Verdict(judged.told(), &said, judged.asks(), ev.Now) && !judged.told().Bars() {
		withheld = tag
	}
	return service.AppendVerdict{
		Verdict: said, Withheld: withheld,
		Kind: a.kind, Variant: a.variant, Auto: a.auto, Conditional: a.conditional, ManualAllowed: a.manualAllowed,
		IsRestrictedBrowser: a.restrictedBrowser, Reason: a.reason, ExcludeCredentials: d.All(), Attachment: a.attachment, Hints: a.hints,
		UserVerification: a.userVerification, AllowedAAGUIDs: v.knowledge.Parameters.AllowedAAGUIDs,
	}, Basis{Facts: &d.Facts, Answer: known.document, Memoised: memoised, Found: &d, Risk: judged}, err
}

// appendEligible returns when a creation is no longer refused for a reason.
func (e *Engine) appendEligible(ctx context.Context, v *view, q service.AppendQuestion, ev Evidence, reason string) time.Time {
	return v.eligible(q.Question, ev, reason, func(later Evidence) (string, error) {
		d := v.append(q, later)
		known, _, err := ask(ctx, e, v, appending, nil, &d.Facts, readAppend)
		if err != nil {
			return "", err
		}
		return known.answer.reason, nil
	}, v.offerEnds(q, ev)...)
}

// Mediation judges whether to offer passkeys in autofill, under the same terms as Login. There is no user yet, so the account of the
// question does not matter.
func (e *Engine) Mediation(ctx context.Context, q service.Question, ev Evidence) (service.Verdict, Basis, error) {
	v := e.view(q.Project)
	q.Account = nil
	d := ev.or(func() detect.Detection { return v.mediation(q, ev) })
	known, memoised, err := ask(ctx, e, v, mediation, ev.Around.Off, &d.Facts, readMediation)
	if err != nil {
		known = &answered[verdict]{answer: safeDefault()}
	}
	said, judged := v.verdict(known.answer, &d), e.judge(ctx, v, &d)
	binding.Verdict(judged.told(), &said, judged.told().Bars(), ev.Now)
	return said, Basis{Facts: &d.Facts, Answer: known.document, Memoised: memoised, Found: &d, Risk: judged}, err
}

// Rollout judges whether passkeys are switched on, under the same terms as Login. A bundle without rules of rollout switches them on for
// everybody. The account of the question does not matter.
func (e *Engine) Rollout(ctx context.Context, q service.RolloutQuestion) (service.Verdict, Basis, error) {
	v := e.view(q.Project)
	q.Account = nil
	d := v.knowledge.Rollout(q)
	if !v.Defines(entrypoints[rollout]) {
		return v.verdict(unruled(), &d), Basis{Facts: &d.Facts, Answer: json.RawMessage(unruledAnswer), Found: &d}, nil
	}
	known, memoised, err := ask(ctx, e, v, rollout, nil, &d.Facts, readRollout)
	if err != nil {
		known = &answered[verdict]{answer: safeDefault()}
	}
	return v.verdict(known.answer, &d), Basis{Facts: &d.Facts, Answer: known.document, Memoised: memoised, Found: &d}, err
}

func (v *view) login(q service.LoginQuestion, ev Evidence) detect.Detection {
	in := v.input(q.Question, ev)
	in.Strategy, in.Source = q.Strategy, q.Source
	d := v.knowledge.Login(in)
	v.findRisk(riskfacts.Input{Stage: facts.LoginStart}, q.Question, ev, &d)
	return d
}

func (v *view) append(q service.AppendQuestion, ev Evidence) detect.Detection {
	d := v.knowledge.Append(v.input(q.Question, ev), q.Flags, q.Situation)
	v.findRisk(riskfacts.Input{Stage: facts.AppendStart}, q.Question, ev, &d)
	return d
}

func (v *view) mediation(q service.Question, ev Evidence) detect.Detection {
	d := v.knowledge.Mediation(q)
	v.findRisk(riskfacts.Input{Stage: facts.MediationStart}, q, Evidence{Now: ev.Now, Around: ev.Around}, &d)
	return d
}

// input folds the evidence.
func (v *view) input(q service.Question, ev Evidence) detect.Input {
	in := detect.Input{Question: q, Complete: ev.Complete && !q.LookupFailed, Now: ev.Now}
	if q.Account == nil || !in.Complete {
		return in
	}
	pair := v.evidence(q, ev)
	if !ev.asked.IsZero() {
		pair.Owner = nil // what will be is no good to those who ask next
	}
	in.History = history.Fold(pair)
	if !ev.asked.IsZero() {
		pair.Now = ev.asked
		in.History.Process = history.Fold(pair).Process
	}
	return in
}

// evidence is what the fold reads.
func (v *view) evidence(q service.Question, ev Evidence) history.Input {
	pair := history.Input{
		Events: ev.Events, Offers: ev.Offers, Credentials: q.Account.Credentials, Deleted: q.Account.Deleted,
		Process: q.Process, Now: ev.Now, Parameters: v.knowledge.Parameters.Parameters,
		Created: v.created, Owner: v.folds,
	}
	private := q.Client.PrivateMode != nil && *q.Client.PrivateMode
	if q.Environment.Known && !private {
		pair.Environment = q.Environment.ID
	}
	return pair
}

func (v *view) verdict(a verdict, d *detect.Detection) service.Verdict {
	return service.Verdict{
		Decided: service.Decided{PolicyRevision: v.Revision}, Rule: a.rule, Allow: a.allow, Tag: a.tag,
		Experiments: d.Experiments, Insights: d.Insights,
		OS: d.Client.OSName, OSVersion: d.Client.OSVersion, Browser: d.Client.BrowserName, BrowserVersion: d.Client.BrowserVersion,
		ReplacesSecondFactor: v.knowledge.Parameters.PasskeyReplacesSecondFactor,
	}
}

// answered is an answer that was read, with the document it was read from. It is shared and never changed.
type answered[T any] struct {
	answer   T
	document json.RawMessage
}

// ask answers, and tells the trace of a call how long that took.
func ask[T any](
	ctx context.Context, e *Engine, v *view, q question, off Off, f *facts.Facts, read func(*reading.Answer) T,
) (*answered[T], bool, error) {
	if e.opts.lapsed {
		return nil, false, ErrLapsed
	}
	if off != nil {
		if err := off(actions[q], f.Client.OS, f.Client.Browser); err != nil {
			return nil, false, err
		}
	}
	ctx, step := span.Policy(ctx, entrypoints[q], v.Revision)
	known, memoised, err := remember(ctx, e, v, q, f, read)
	step.Known(memoised)
	step.End(err)
	return known, memoised, err
}

// remember answers from memory what was asked before about facts that agree on everything the rules read, and evaluates the rules
// otherwise. A failure is not remembered: what took too long once may be quick the next time.
func remember[T any](
	ctx context.Context, e *Engine, v *view, q question, f *facts.Facts, read func(*reading.Answer) T,
) (known *answered[T], memoised bool, err error) {
	if e.memo == nil {
		known, err = direct(ctx, v, e.opts.EvalTimeout, q, f, read)
		return known, false, err
	}
	var room [usualKey]byte
	key := v.keys[q].Append(binary.AppendUvarint(append(room[:0], byte(q)), v.number), f)
	if known, memoised = e.memo.Get(key).(*answered[T]); memoised {
		return known, true, nil
	}
	if known, err = direct(ctx, v, e.opts.EvalTimeout, q, f, read); err == nil {
		e.memo.Put(key, known)
	}
	return known, false, err
}

// usualKey is how many bytes a key has at most without costing an allocation.
const usualKey = 256

// direct evaluates one document and reads its answer.
func direct[T any](
	ctx context.Context, v *view, timeout time.Duration, q question, f *facts.Facts, read func(*reading.Answer) T,
) (*answered[T], error) {
	object, err := v.Eval(ctx, timeout, entrypoints[q], v.inputs.Value(f))
	if err != nil {
		return nil, err
	}
	a := reading.Of(object)
	result := &answered[T]{answer: read(a)}
	if a.Err == nil {
		const usual = 256
		result.document, a.Err = document.AppendJSON(make([]byte, 0, usual), object)
	}
	if a.Err != nil {
		return nil, fmt.Errorf("answer of %s: %w", entrypoints[q], a.Err)
	}
	return result, nil
}

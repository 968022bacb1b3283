package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/detect"
)

// Evidence is what was looked up about the user of a question. A user that does not exist has none.
type Evidence struct {
	Events   []event.Event // the user's set, deletions included, in any order
	Offers   []event.Event // recent login-offered and login-denied events; read by Append only
	Complete bool          // every lookup succeeded
	Now      time.Time
}

// Basis is what a verdict rests on.
type Basis struct {
	Facts    *detect.Facts   // the policy's input as a whole
	Answer   json.RawMessage // the policy's answer document; nil if the policy gave no usable answer
	Memoised bool            // the answer was known from equal facts before
}

// Login judges whether to offer a passkey login. The verdict has no decision ID. If the policy gives no usable answer, the error says why and the verdict is the
// safe default, which offers nothing; the basis is complete in any case.
func (e *Engine) Login(ctx context.Context, q service.LoginQuestion, ev Evidence) (service.LoginVerdict, Basis, error) {
	v := e.view(q.Project)
	in := v.input(q.Question, ev)
	in.Strategy = q.Strategy
	d := v.knowledge.Login(in)
	known, err := ask(ctx, v, e.timeout, ActionLogin, &d.Facts, readLogin)
	a := known.answer
	if err != nil {
		a = loginAnswer{verdict: safeDefault(), hints: []string{}}
	}
	return service.LoginVerdict{
		Verdict: v.verdict(a.verdict, &d), Route: a.route, IsCDACandidate: a.cda, PreferImmediatelyAvailable: a.immediately,
		AllowCredentials: d.Select(a.credentials), Hints: a.hints,
	}, Basis{Facts: &d.Facts, Answer: known.document}, err
}

// Append judges whether to offer the creation of a passkey, under the same terms as Login.
func (e *Engine) Append(ctx context.Context, q service.AppendQuestion, ev Evidence) (service.AppendVerdict, Basis, error) {
	v := e.view(q.Project)
	d := v.knowledge.Append(v.input(q.Question, ev), q.Flags, q.Situation)
	known, err := ask(ctx, v, e.timeout, ActionAppend, &d.Facts, readAppend)
	a := known.answer
	if err != nil {
		a = appendAnswer{verdict: safeDefault(), variant: rest.AppendVariantDefault, hints: []string{}}
	}
	return service.AppendVerdict{
		Verdict: v.verdict(a.verdict, &d), Kind: a.kind, Variant: a.variant, Auto: a.auto, Conditional: a.conditional, ManualAllowed: a.manualAllowed,
		IsRestrictedBrowser: a.restrictedBrowser, Reason: a.reason, ExcludeCredentials: d.All(), Attachment: a.attachment, Hints: a.hints,
		UserVerification: a.userVerification, AllowedAAGUIDs: v.knowledge.Parameters.AllowedAAGUIDs,
	}, Basis{Facts: &d.Facts, Answer: known.document}, err
}

// Mediation judges whether to offer passkeys in autofill, under the same terms as Login. There is no user yet, so the account of the question does not matter.
func (e *Engine) Mediation(ctx context.Context, q service.Question) (service.Verdict, Basis, error) {
	v := e.view(q.Project)
	q.Account = nil
	d := v.knowledge.Mediation(q)
	known, err := ask(ctx, v, e.timeout, ActionMediation, &d.Facts, readMediation)
	a := known.answer
	if err != nil {
		a = safeDefault()
	}
	return v.verdict(a, &d), Basis{Facts: &d.Facts, Answer: known.document}, err
}

// input folds the evidence.
func (v *view) input(q service.Question, ev Evidence) detect.Input {
	in := detect.Input{Question: q, Complete: ev.Complete && !q.LookupFailed, Now: ev.Now}
	if q.Account == nil || !in.Complete {
		return in
	}
	pair := history.Input{
		Events: ev.Events, Offers: ev.Offers, Credentials: q.Account.Credentials, Deleted: q.Account.Deleted,
		Process: q.Process, Now: ev.Now, Parameters: v.knowledge.Parameters.Parameters,
	}
	private := q.Client.PrivateMode != nil && *q.Client.PrivateMode
	if q.Environment.Known && !private {
		pair.Environment = q.Environment.ID
	}
	in.History = history.Fold(pair)
	return in
}

func (v *view) verdict(a verdict, d *detect.Detection) service.Verdict {
	return service.Verdict{
		PolicyRevision: v.Revision, Rule: a.rule, Allow: a.allow, Tag: a.tag, Experiments: d.Experiments, Insights: d.Insights,
		OS: d.Client.OSName, OSVersion: d.Client.OSVersion, Browser: d.Client.BrowserName, BrowserVersion: d.Client.BrowserVersion,
	}
}

// answered is an answer that was read, with the document it was read from.
type answered[T any] struct {
	answer   T
	document json.RawMessage
}

// ask evaluates one document and reads its answer.
func ask[T any](ctx context.Context, v *view, timeout time.Duration, action string, facts *detect.Facts, read func(*answer) T) (answered[T], error) {
	entrypoint := entrypoints[action]
	object, err := v.Eval(ctx, timeout, entrypoint, facts.Value())
	if err != nil {
		return answered[T]{}, err
	}
	a := &answer{object: object}
	result := answered[T]{answer: read(a)}
	if a.err == nil {
		const usual = 256
		result.document, a.err = appendJSON(make([]byte, 0, usual), object)
	}
	if a.err != nil {
		return answered[T]{}, fmt.Errorf("answer of %s: %w", entrypoint, a.err)
	}
	return result, nil
}

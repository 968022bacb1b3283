// Package standing says what the history of a user comes to just now: what was counted and until when, what bars, and what would be
// offered in each environment in which the user was seen. It asks the policy as decisions do, and nothing is recorded. It is pure.
package standing

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/internal/causes"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/kept"
)

// maxEnvironments bounds for how many environments the policy is asked: those in which the user was seen last.
const maxEnvironments = 10

// Of returns the standing of the user of a question, by the evidence that was looked up for it.
func Of(ctx context.Context, by *engine.Engine, q service.Question, ev engine.Evidence) inquiry.Standing {
	found := inquiry.Standing{
		Counts: []operator.UserCount{}, Bars: []operator.UserBar{}, Environments: []operator.UserEnvironment{},
		Passkeys: []inquiry.PasskeyStanding{}, Labels: slices.Clone(by.Knowledge(q.Project).Labels),
	}
	if q.Account == nil || !ev.Complete {
		found.Lacks = "the user's history could not be read"
		return found
	}
	found.Events, found.Bars = ev.Events.Len(), bars(ev.Events, ev.Now)
	// What counts for the user as a whole counts wherever they are; so it is looked for where nothing else does.
	nowhere := asked{by: by, question: q, evidence: ev}
	nowhere.find(ctx)
	found.Counts = counts(nowhere.counted, ofUser)
	for _, r := range nowhere.reaches {
		p := explain.InWords(r)
		found.Passkeys = append(found.Passkeys, inquiry.PasskeyStanding{
			Credential: r.Credential, Class: string(r.Class), Held: p.Kind, Provider: r.Authenticator, Where: []operator.PasskeyReach{},
		})
	}
	for _, e := range latest(q.Account.Environments) {
		here := asked{by: by, question: q, evidence: ev}
		here.question.Client, here.question.Environment = clientOf(e), service.Environment{ID: e.ID, Known: true}
		here.find(ctx)
		found.Environments = append(found.Environments, here.environment(e.ID))
		reached(found.Passkeys, e.ID, here.reaches)
	}
	return found
}

// latest are the environments in which the user was seen last, the latest first.
func latest(all []account.Environment) []account.Environment {
	sorted := slices.SortedStableFunc(slices.Values(all), func(a, b account.Environment) int {
		return cmp.Compare(b.LastSeenMs, a.LastSeenMs)
	})
	return sorted[:min(len(sorted), maxEnvironments)]
}

// clientOf is what is known of a client from the environment that it was. What it can do is not kept: it is taken for one that supports
// passkeys, since it was remembered for using them.
func clientOf(e account.Environment) rest.ClientInformation {
	client := rest.ClientInformation{
		UserAgent: e.UserAgent, IsUserVerifyingPlatformAuthenticatorAvailable: new(true), IsConditionalMediationAvailable: new(true),
	}
	if e.UserAgent == "" {
		client.ParsedDeviceInfo = &rest.ParsedDeviceInfo{
			BrowserName: e.BrowserName, BrowserVersion: e.BrowserVersion, OSName: e.OSName, OSVersion: e.OSVersion,
		}
	}
	return client
}

// asked is one place from which the user could come, and what was found for it.
type asked struct {
	by       *engine.Engine
	question service.Question
	evidence engine.Evidence

	login   service.LoginVerdict
	append  service.AppendVerdict
	reaches []detect.Reach
	counted []causes.Count
}

// find asks the policy. Where it fails, the safe default is what would be answered.
func (a *asked) find(ctx context.Context) {
	login := service.LoginQuestion{Question: a.question, Strategy: rest.CrossDeviceAuthenticationStrategyStandard}
	a.login, _, _ = a.by.Login(ctx, login, a.evidence)
	said, basis, _ := a.by.Append(ctx, service.AppendQuestion{Question: a.question}, a.evidence)
	a.append = said
	a.reaches = basis.Found.Reaches(a.by.Knowledge(a.question.Project))
	k := kept.Keep(&a.question, a.evidence.Around.Standing)
	a.counted = causes.Counts(a.by, &engine.Recorded{
		Action: engine.ActionAppend, Project: a.question.Project, User: a.question.Account.ID, Made: a.evidence.Now, Question: k,
		Facts: basis.Facts, Events: a.evidence.Events.All(),
	})
}

func (a *asked) environment(id ident.EnvironmentID) operator.UserEnvironment {
	return operator.UserEnvironment{
		EnvironmentID: string(id), Counts: counts(a.counted, ofPair),
		Login:  prospect(&a.login.Verdict, a.login.Reason),
		Append: prospect(&a.append.Verdict, a.append.Reason),
	}
}

func prospect(v *service.Verdict, reason string) *operator.UserProspect {
	p := &operator.UserProspect{Offered: v.Allow, Row: v.Rule, Tag: string(v.Tag)}
	if !v.Allow {
		p.Reason, p.Until = word(reason), moment(v.NextEligibleAt)
	}
	return p
}

// reached notes whether each passkey can be used in an environment.
func reached(passkeys []inquiry.PasskeyStanding, at ident.EnvironmentID, found []detect.Reach) {
	for _, r := range found {
		i := slices.IndexFunc(passkeys, func(p inquiry.PasskeyStanding) bool { return p.Credential == r.Credential })
		if i < 0 {
			continue
		}
		p := explain.InWords(r)
		passkeys[i].Where = append(passkeys[i].Where, operator.PasskeyReach{
			EnvironmentID: string(at), Availability: string(r.Availability), Where: p.Where, Why: p.Why,
		})
	}
}

// ofPair are the parts of a history that count in one environment alone.
func ofPair(part history.Part) bool {
	return slices.Contains([]history.Part{history.FailedLocal, history.FailedCDA, history.FailedSecurityKey, history.SaidNone}, part)
}

func ofUser(part history.Part) bool { return !ofPair(part) }

func counts(found []causes.Count, wanted func(history.Part) bool) []operator.UserCount {
	all := []operator.UserCount{}
	for i := range found {
		c := &found[i]
		if !wanted(c.Of) {
			continue
		}
		one := operator.UserCount{
			Of: string(c.Of), Text: c.String(), Number: int32(c.Number), Decides: c.Number >= max(1, c.Threshold), Events: []string{},
		}
		if c.Threshold > 0 {
			one.Threshold = new(int32(c.Threshold))
		}
		if c.WindowSeconds > 0 {
			one.WindowSeconds = &c.WindowSeconds
		}
		if c.Until != nil {
			one.Until = moment(*c.Until)
		}
		for _, e := range c.Events {
			one.Events = append(one.Events, string(e.ID))
		}
		all = append(all, one)
	}
	return all
}

// bars are the events that bar now, the newest first.
func bars(events event.Set, now time.Time) []operator.UserBar {
	all := []operator.UserBar{}
	for kind, of := range map[operator.UserBarKind]event.Type{
		operator.UserBarKindLogin:             event.UserLoginBlacklisted,
		operator.UserBarKindAppendAfterHybrid: event.AppendBlacklistedAfterHybrid,
		operator.UserBarKindAppendAfterError:  event.AppendBlacklistedAfterError,
	} {
		for _, e := range events.Of(of) {
			if e.Expires != 0 && e.ExpiresMs() <= now.UnixMilli() {
				continue
			}
			bar := operator.UserBar{
				EventID: string(e.ID), Of: kind, Created: time.UnixMilli(e.CreatedMs).UTC(), EnvironmentID: word(string(e.Environment)),
			}
			if e.Expires != 0 {
				bar.Until = moment(time.UnixMilli(e.ExpiresMs()))
			}
			all = append(all, bar)
		}
	}
	slices.SortFunc(all, func(a, b operator.UserBar) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.EventID, a.EventID))
	})
	return all
}

// word is a text that is left out if it is empty, and moment a time that is if it is none.
func word(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func moment(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}

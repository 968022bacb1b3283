// Package operating binds the operations of the Operator API to the methods of the services, as package operation does those of the other
// documents. What an operator who is limited to some projects is told, it looks at where admission cannot know it from the request.
package operating

import (
	"bytes"
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/operation"
	"github.com/keyward/keyward/services/gateway/internal/sso"
)

// Services are what the operations are of.
type Services struct {
	Policies  service.Policies
	Decisions service.Decisions
	Studies   service.Studies
	Adoption  service.Adoption
	Webhooks  service.Webhooks
	Sessions  Sessions
	Desk      service.Desk
	Timelines service.Timelines
	Projects  Projects
	Staff     Staff
	Trail     Trail
	Health    Health
	// Permissions are those that API keys can have
	Permissions []string
	Now         func() time.Time
	// SessionLifetime is how long a session of the console lasts; 0 = eight hours
	SessionLifetime time.Duration
	// Passkeys sign operators in; nil = none do at this console
	Passkeys Passkeys
	// MemberPasskeys is how long a passkey of somebody whom the provider knows works after it last said who they are
	MemberPasskeys time.Duration
	// DecisionStream answers by itself
	DecisionStream fiber.Handler
	// EventStream answers by itself, of the project that is found
	EventStream func(find func(*fiber.Ctx) (project.Project, error)) fiber.Handler

	provider *sso.Provider // nil: operators are those who are stored alone
}

// Whole reports whether everything is there that those who assemble the gateway have to give.
func (s *Services) Whole() bool {
	return !slices.Contains([]any{s.Policies, s.Decisions, s.Studies, s.Adoption, s.Desk, s.Timelines, s.Staff, s.Trail, s.Health}, nil)
}

// Sessions lists sessions. service.Ceremony has it.
type Sessions interface {
	ListSessions(context.Context, service.ForProject[service.List]) (rest.SessionList, error)
}

// Table is that of the operations of the Operator API.
func Table(s Services) []operation.Row {
	s.SessionLifetime = cmp.Or(s.SessionLifetime, 8*time.Hour)
	return slices.Concat(s.backoffice(), s.staff(), s.passkeys(), []operation.Row{
		ofOperator("listPolicyRevisions", s.Policies.ListPolicies, operation.Nothing),
		ofOperator("pushPolicyRevision", s.Policies.PushPolicy, operation.Body),
		ofOperator("getPolicyRevision", s.Policies.GetPolicy, operation.Index),
		ofOperator("getPolicyBundle", s.Policies.GetPolicyBundle, operation.Index),
		ofOperator("getShippedPolicy", s.Policies.GetShippedPolicy, operation.Nothing),
		download("downloadPolicyBundle", s.Policies.GetLivePolicy),
		ofOperator("checkPolicy", s.Policies.CheckPolicy, operation.Body),
		ofOperator("replayPolicy", s.Studies.ReplayPolicy, operation.Body),
		ofSome("listPolicyChanges", s.Policies.ListPolicyChanges, operation.Nothing, withoutUsersOfChanges),
		ofOperator("changePolicy", s.Policies.ChangePolicy, operation.Body),
		ofSome("getPolicyStatus", s.Policies.GetPolicyStatus, operation.Nothing, withoutUsersOfStatus),
		ofOperator("listDecisions", s.Decisions.ListDecisions, operation.List),
		ofOperator("countDecisions", s.Decisions.CountDecisions, counted),
		ofSome("getDecision", s.Decisions.GetDecision, operation.ID, seesRecord),
		ofSome("explainDecision", s.Studies.Judge, explained, seesExplanation),
		ofSome("judgeDecision", s.Studies.Judge, operation.Change(judgedBy), seesExplanation),
		ofOperator("draftScenario", s.Studies.DraftScenario, operation.ID[ident.DecisionID]),
		operation.Plain("streamDecisions", s.DecisionStream),
		operation.Plain("streamProjectEvents", s.eventsOf()),
		lines("logDecisions", s.Decisions.LogDecisions),
		ofOperator("listOperatorLists", s.Policies.ListLists, operation.Nothing),
		ofOperator("getOperatorList", s.Policies.GetList, operation.ID[string]),
		ofOperator("changeOperatorList", s.Policies.ChangeList, operation.Change(listChange)),
		ofSome("listSwitches", s.Policies.ListSwitches, operation.Nothing, ownSwitches),
		s.turnSwitch(),
		ofSome("getPolicyCanary", s.Policies.GetCanary, operation.Nothing, withoutUsersOfCanary),
		ofOperator("steerPolicyCanary", s.Policies.SteerCanary, operation.Body),
		ofOperator("getPolicyShadow", s.Policies.GetShadow, operation.Nothing),
		ofOperator("steerPolicyShadow", s.Policies.SteerShadow, operation.Body),
		ofOperator("getAdoption", s.Adoption.GetAdoption, adoption),
	})
}

// ofOperator is an operation of the Operator API that a service answers.
func ofOperator[T, Out any](
	id string, call func(context.Context, service.ForOperator[T]) (Out, error), read func() operation.Form[T],
) operation.Row {
	return operation.Bind(id, nil, read(), func(ctx context.Context, r *operation.Request, given T) (Out, error) {
		return call(ctx, service.ForOperator[T]{Operator: caller(r), Body: given})
	})
}

// caller is who calls, as services know them.
func caller(r *operation.Request) service.Operator {
	by := r.Exchange().Operator()
	return service.Operator{ID: by.ID, Name: by.Name}
}

// explained reads which decision is to be explained.
func explained() operation.Form[inquiry.Judge] {
	return operation.Named(func(id string) inquiry.Judge { return inquiry.Judge{Decision: ident.DecisionID(id)} })()
}

// judgedBy is how a decision is to be judged again.
func judgedBy(id string, how api.DecisionJudgeReq) inquiry.Judge {
	asked := inquiry.Judge{Decision: ident.DecisionID(id)}
	if how.Revision != nil {
		asked.Revision = int(*how.Revision)
	}
	if how.Facts != nil {
		asked.Facts = *how.Facts
	}
	return asked
}

// download answers with the files alone, unless the caller has them.
func download(id string, call func(context.Context, service.ForOperator[service.Empty]) (api.PolicyBundle, error)) operation.Row {
	return operation.Answered(id, nil, func(ctx context.Context, r *operation.Request) error {
		live, err := call(ctx, service.ForOperator[service.Empty]{Operator: caller(r)})
		if err != nil {
			return err
		}
		tag := strconv.Quote(live.Revision.Digest)
		r.Fiber().Set(fiber.HeaderETag, tag)
		if known := r.Fiber().Get(fiber.HeaderIfNoneMatch); known == tag || known == "W/"+tag {
			return r.Fiber().SendStatus(fiber.StatusNotModified)
		}
		r.Fiber().Set(fiber.HeaderContentType, "application/gzip")
		return r.Fiber().Send(live.Bundle)
	})
}

// adoption reads what is asked of adoption. What the contract has checked can be read.
func adoption() operation.Form[inquiry.Adoption] {
	names := []string{"since", "until", "unit", "by", "series", "at", "filter[]"}
	return operation.Asked(names, func(r *operation.Request) (inquiry.Adoption, error) {
		query := r.Query()
		moment := func(name string) time.Time {
			at, _ := time.Parse(time.RFC3339, query.Get(name))
			return at
		}
		q := inquiry.Adoption{
			Since: moment("since"), Until: moment("until"), At: moment("at"), Unit: cmp.Or(query.Get("unit"), "hour"),
			Series: query.Get("series") == "true", Filter: query["filter[]"],
		}
		if by := query.Get("by"); by != "" {
			q.By = strings.Split(by, ",")
		}
		return q, nil
	})
}

// counted reads what is to be counted of decisions.
func counted() operation.Form[inquiry.DecisionCounts] {
	return operation.Asked([]string{"by", "unit", "filter[]"}, func(r *operation.Request) (inquiry.DecisionCounts, error) {
		query := r.Query()
		return inquiry.DecisionCounts{By: query.Get("by"), Unit: query.Get("unit"), Filter: query["filter[]"]}, nil
	})
}

// lines answers with events one a line.
func lines(
	id string, call func(context.Context, service.ForOperator[inquiry.DecisionLogAsked]) (inquiry.DecisionLog, error),
) operation.Row {
	return operation.Answered(id, []string{"since", "until", "after", "limit"}, func(ctx context.Context, r *operation.Request) error {
		asked, err := logIn(r.Query())
		if err != nil {
			return err
		}
		log, err := call(ctx, service.ForOperator[inquiry.DecisionLogAsked]{Operator: caller(r), Body: asked})
		if err != nil {
			return err
		}
		var out bytes.Buffer
		for _, event := range log.Events {
			out.Write(event)
			out.WriteByte('\n')
		}
		r.Fiber().Set(fiber.HeaderContentType, "application/x-ndjson")
		return r.Fiber().Send(out.Bytes())
	})
}

// logIn reads which part of the decision log is asked for.
func logIn(query url.Values) (asked inquiry.DecisionLogAsked, err error) {
	const usual = 100
	asked.Limit = operation.NumberIn(query, "limit", usual)
	for name, moment := range map[string]*time.Time{"since": &asked.Since, "until": &asked.Until} {
		if !query.Has(name) {
			continue
		}
		if *moment, err = time.Parse(time.RFC3339, query.Get(name)); err != nil {
			return asked, fault.Field(name, "must be a time such as 2026-11-22T12:00:00Z")
		}
	}
	if query.Has("after") {
		if asked.After, err = strconv.ParseUint(query.Get("after"), 10, 64); err != nil {
			return asked, fault.Field("after", "must be the position of a record")
		}
	}
	return asked, nil
}

func listChange(name string, how api.OperatorListChangeReq) inquiry.ListChange {
	return inquiry.ListChange{Name: name, Change: how}
}

package operation

import (
	"bytes"
	"cmp"
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
)

// Operator is the table of the operations of the Operator API.
func Operator(s Services) []Row {
	return []Row{
		bind("getOperator", nil, nothing(), whoCalls),
		ofOperator("listPolicyRevisions", s.Policies.ListPolicies, nothing),
		ofOperator("pushPolicyRevision", s.Policies.PushPolicy, body),
		ofOperator("getPolicyRevision", s.Policies.GetPolicy, index),
		ofOperator("getPolicyBundle", s.Policies.GetPolicyBundle, index),
		ofOperator("getShippedPolicy", s.Policies.GetShippedPolicy, nothing),
		download("downloadPolicyBundle", s.Policies.GetLivePolicy),
		ofOperator("checkPolicy", s.Policies.CheckPolicy, body),
		ofOperator("replayPolicy", s.Studies.ReplayPolicy, body),
		ofOperator("listPolicyChanges", s.Policies.ListPolicyChanges, nothing),
		ofOperator("changePolicy", s.Policies.ChangePolicy, body),
		ofOperator("getPolicyStatus", s.Policies.GetPolicyStatus, nothing),
		ofOperator("listDecisions", s.Decisions.ListDecisions, list),
		ofOperator("getDecision", s.Decisions.GetDecision, id),
		ofOperator("explainDecision", s.Studies.Judge, explained),
		ofOperator("judgeDecision", s.Studies.Judge, change(judgedBy)),
		Plain("streamDecisions", s.DecisionStream),
		lines("logDecisions", s.Decisions.LogDecisions),
		ofOperator("listOperatorLists", s.Policies.ListLists, nothing),
		ofOperator("getOperatorList", s.Policies.GetList, id[string]),
		ofOperator("changeOperatorList", s.Policies.ChangeList, change(func(name string, how api.OperatorListChangeReq) inquiry.ListChange {
			return inquiry.ListChange{Name: name, Change: how}
		})),
		ofOperator("listSwitches", s.Policies.ListSwitches, nothing),
		ofOperator("turnSwitch", s.Policies.TurnSwitch, change(func(name string, how api.SwitchReq) inquiry.SwitchTurn {
			return inquiry.SwitchTurn{Name: name, Turn: how}
		})),
		ofOperator("getPolicyCanary", s.Policies.GetCanary, nothing),
		ofOperator("steerPolicyCanary", s.Policies.SteerCanary, body),
		ofOperator("getPolicyShadow", s.Policies.GetShadow, nothing),
		ofOperator("steerPolicyShadow", s.Policies.SteerShadow, body),
		ofOperator("getAdoption", s.Adoption.GetAdoption, adoption),
	}
}

// ofOperator is an operation of the Operator API that a service answers.
func ofOperator[T, Out any](id string, call func(context.Context, service.ForOperator[T]) (Out, error), read func() form[T]) Row {
	return bind(id, nil, read(), func(ctx context.Context, r *request, given T) (Out, error) {
		caller := r.exchange.Operator()
		return call(ctx, service.ForOperator[T]{Operator: service.Operator{ID: caller.ID, Name: caller.Name}, Body: given})
	})
}

// explained reads which decision is to be explained.
func explained() form[inquiry.Judge] {
	return form[inquiry.Judge]{own: true, value: func(r *request) (inquiry.Judge, error) {
		return inquiry.Judge{Decision: ident.DecisionID(r.path(r.joined.own))}, nil
	}}
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
func download(id string, call func(context.Context, service.ForOperator[service.Empty]) (api.PolicyBundle, error)) Row {
	return Row{ID: id, answer: func(ctx context.Context, r *request) error {
		caller := r.exchange.Operator()
		live, err := call(ctx, service.ForOperator[service.Empty]{Operator: service.Operator{ID: caller.ID, Name: caller.Name}})
		if err != nil {
			return err
		}
		tag := strconv.Quote(live.Revision.Digest)
		r.fiber.Set(fiber.HeaderETag, tag)
		if known := r.fiber.Get(fiber.HeaderIfNoneMatch); known == tag || known == "W/"+tag {
			return r.fiber.SendStatus(fiber.StatusNotModified)
		}
		r.fiber.Set(fiber.HeaderContentType, "application/gzip")
		return r.fiber.Send(live.Bundle)
	}}
}

// adoption reads what is asked of adoption. What the contract has checked can be read.
func adoption() form[inquiry.Adoption] {
	names := []string{"since", "until", "unit", "by", "series", "at", "filter[]"}
	return form[inquiry.Adoption]{query: names, value: func(r *request) (inquiry.Adoption, error) {
		query := r.query()
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
	}}
}

// lines answers with events one a line.
func lines(
	id string, call func(context.Context, service.ForOperator[inquiry.DecisionLogAsked]) (inquiry.DecisionLog, error),
) Row {
	return Row{ID: id, query: []string{"since", "until", "after", "limit"}, answer: func(ctx context.Context, r *request) error {
		asked, err := logIn(r.query())
		if err != nil {
			return err
		}
		caller := r.exchange.Operator()
		log, err := call(ctx, service.ForOperator[inquiry.DecisionLogAsked]{
			Operator: service.Operator{ID: caller.ID, Name: caller.Name}, Body: asked,
		})
		if err != nil {
			return err
		}
		var out bytes.Buffer
		for _, event := range log.Events {
			out.Write(event)
			out.WriteByte('\n')
		}
		r.fiber.Set(fiber.HeaderContentType, "application/x-ndjson")
		return r.fiber.Send(out.Bytes())
	}}
}

// logIn reads which part of the decision log is asked for.
func logIn(query url.Values) (asked inquiry.DecisionLogAsked, err error) {
	const usual = 100
	asked.Limit = numberIn(query, "limit", usual)
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

// whoCalls answers with the operator whose token the call carries.
func whoCalls(_ context.Context, r *request, _ service.Empty) (api.Operator, error) {
	caller := r.exchange.Operator()
	return api.Operator{OperatorID: string(caller.ID), Name: caller.Name, Role: api.OperatorRole(caller.Role)}, nil
}

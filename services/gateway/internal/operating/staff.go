package operating

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/telemetry"
	"github.com/keyward/keyward/services/gateway/internal/operation"
)

// Staff is who has a token of the Operator API. operator.Store is one.
type Staff interface {
	List() []operator.Operator
	Create(context.Context, operator.Operator) error
	Revoke(context.Context, ident.OperatorID, time.Time) (operator.Operator, error)
	Open(ctx context.Context, of operator.Operator, lifetime time.Duration, now time.Time) (text string, until time.Time, _ error)
	End(ctx context.Context, text string) error
	Holders
}

// Trail is what was done to the installation. audit.Trail is one.
type Trail interface {
	Page(context.Context, audit.Wanted) ([]audit.Entry, uint64, error)
}

// Health is how the process is. telemetry.Health is one.
type Health interface {
	Report(context.Context) (telemetry.State, []telemetry.Finding)
}

// staff are the operations on operators, and on the installation.
func (s Services) staff() []operation.Row {
	return []operation.Row{
		operation.Bind("getOperator", nil, operation.Nothing(), whoCalls),
		operation.Bind("listOperators", nil, operation.Nothing(), s.listOperators),
		operation.Bind("createOperator", nil, operation.Body[api.OperatorCreateReq](), s.createOperator),
		operation.Bind("revokeOperator", nil, operation.ID[ident.OperatorID](), s.revokeOperator),
		operation.Bind("createOperatorSession", nil, operation.Nothing(), s.openSession),
		operation.Bind("endOperatorSession", nil, operation.Nothing(), s.endSession),
		operation.Bind("getSignIn", nil, operation.Nothing(), s.waysIn),
		operation.Plain("beginOperatorSignIn", s.beginSignIn),
		operation.Plain("finishOperatorSignIn", s.finishSignIn),
		operation.Bind("listAudit", nil, auditAsked(), s.listAudit),
		operation.Bind("getHealth", nil, operation.Nothing(), s.getHealth),
	}
}

// whoCalls answers with the operator whose token the call carries.
func whoCalls(_ context.Context, r *operation.Request, _ service.Empty) (api.Operator, error) {
	by := r.Exchange().Operator()
	return shownOperator(&by), nil
}

func shownOperator(by *operator.Operator) api.Operator {
	told := api.Operator{
		OperatorID: string(by.ID), Name: by.Name, Role: api.OperatorRole(by.Role), Projects: projectsOf(by),
		Expires: sometime(by.ExpiresMs), Created: sometime(by.CreatedMs),
	}
	if by.CreatedBy != "" {
		told.CreatedBy = &by.CreatedBy
	}
	return told
}

func (s Services) listOperators(context.Context, *operation.Request, service.Empty) (api.OperatorAccountList, error) {
	told := api.OperatorAccountList{Operators: []api.OperatorAccount{}}
	for _, o := range s.Staff.List() {
		told.Operators = append(told.Operators, accountOf(&o, s.Now()))
	}
	return told, nil
}

func accountOf(o *operator.Operator, now time.Time) api.OperatorAccount {
	return api.OperatorAccount{
		OperatorID: string(o.ID), Name: o.Name, Role: api.OperatorRole(o.Role), Projects: projectsOf(o),
		Created: time.UnixMilli(o.CreatedMs).UTC(), CreatedBy: o.CreatedBy, Expires: sometime(o.ExpiresMs), Expired: o.Expired(now),
		Passkeys: int32(len(o.Passkeys)), Outside: outside(o),
	}
}

func outside(o *operator.Operator) *bool {
	if !o.Outside {
		return nil
	}
	return &o.Outside
}

func projectsOf(o *operator.Operator) *[]string {
	if !o.Limited() {
		return nil
	}
	named := make([]string, len(o.Projects))
	for i, p := range o.Projects {
		named[i] = string(p)
	}
	return &named
}

// sometime is a moment that is left out if there is none.
func sometime(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	return new(time.UnixMilli(ms).UTC())
}

func (s Services) createOperator(ctx context.Context, r *operation.Request, q api.OperatorCreateReq) (api.OperatorCreated, error) {
	wanted := operator.Wanted{Name: q.Name, Role: operator.Role(q.Role), By: string(r.Exchange().Operator().ID)}
	if q.Seconds != nil {
		wanted.Lifetime = time.Duration(*q.Seconds) * time.Second
	}
	if q.Projects != nil {
		for _, one := range *q.Projects {
			if _, err := s.Projects.Find(ctx, ident.ProjectID(one)); err != nil {
				return api.OperatorCreated{}, fault.Field("projects", "there is no project %s", one).Because(err)
			}
			wanted.Projects = append(wanted.Projects, ident.ProjectID(one))
		}
	}
	made, token, err := operator.New(wanted, s.Now())
	if err == nil {
		err = s.Staff.Create(ctx, made)
	}
	if err != nil {
		return api.OperatorCreated{}, err
	}
	return api.OperatorCreated{Operator: accountOf(&made, s.Now()), Token: token}, nil
}

func (s Services) revokeOperator(ctx context.Context, r *operation.Request, id ident.OperatorID) (api.Done, error) {
	gone, err := s.Staff.Revoke(ctx, id, s.Now())
	if errors.Is(err, operator.ErrLastAdmin) {
		return api.Done{}, err
	}
	if err != nil {
		return api.Done{}, absent(r, err)
	}
	return api.Done{OperatorID: new(string(gone.ID))}, nil
}

// openSession puts a session in the place of a token. A session begins none: it would have no end.
func (s Services) openSession(ctx context.Context, r *operation.Request, _ service.Empty) (api.Operator, error) {
	if r.Fiber().Get(fiber.HeaderAuthorization) == "" {
		return api.Operator{}, fault.Login("send the token of an operator as Bearer; a session begins no other")
	}
	return s.begin(ctx, r, r.Exchange().Operator())
}

// begin begins a session, of which the answer sets the cookie.
func (s Services) begin(ctx context.Context, r *operation.Request, by operator.Operator) (api.Operator, error) {
	text, until, err := s.Staff.Open(ctx, by, s.SessionLifetime, s.Now())
	if err != nil {
		return api.Operator{}, err
	}
	r.Fiber().Response().Header.Add(fiber.HeaderSetCookie, operation.SessionCookie(text, until.Sub(s.Now())))
	by.ExpiresMs = until.UnixMilli()
	return shownOperator(&by), nil
}

func (s Services) endSession(ctx context.Context, r *operation.Request, _ service.Empty) (api.Done, error) {
	if session := operation.SessionIn(r.Fiber().Get(fiber.HeaderCookie)); session != "" {
		if err := s.Staff.End(ctx, session); err != nil {
			return api.Done{}, err
		}
	}
	r.Fiber().Response().Header.Add(fiber.HeaderSetCookie, operation.SessionCookie("", 0))
	return api.Done{}, nil
}

// auditAsked reads which part of the trail is asked for.
func auditAsked() operation.Form[audit.Wanted] {
	names := []string{"type", "actor", "projectID", "since", "before", "limit"}
	return operation.Asked(names, func(r *operation.Request) (audit.Wanted, error) {
		const usual = 50
		query := r.Query()
		w := audit.Wanted{
			Actor: query.Get("actor"), Project: ident.ProjectID(query.Get("projectID")), Limit: operation.NumberIn(query, "limit", usual),
		}
		w.Since, _ = time.Parse(time.RFC3339, query.Get("since"))
		w.Before, _ = strconv.ParseUint(query.Get("before"), 10, 64)
		if types := query.Get("type"); types != "" {
			for one := range strings.SplitSeq(types, ",") {
				w.Types = append(w.Types, audit.Type(one))
			}
		}
		if by := r.Exchange().Operator(); by.Limited() {
			w.Sees = by.Sees
		}
		return w, nil
	})
}

func (s Services) listAudit(ctx context.Context, _ *operation.Request, w audit.Wanted) (api.AuditTrail, error) {
	found, next, err := s.Trail.Page(ctx, w)
	if err != nil {
		return api.AuditTrail{}, fault.Unavailable(time.Second, "security events could not be read").Because(err)
	}
	told := api.AuditTrail{Events: []api.AuditEvent{}}
	if next > 0 {
		told.Next = new(strconv.FormatUint(next, 10))
	}
	for _, e := range found {
		one := api.AuditEvent{
			ID: string(e.ID), Type: string(e.Type), At: time.UnixMilli(e.CreatedMs).UTC(), Actor: e.Actor.Name,
			ActorKind: api.AuditEventActorKind(e.Actor.Kind),
		}
		if e.Actor.ID != "" {
			one.ActorID = new(string(e.Actor.ID))
		}
		if e.Project != "" {
			one.ProjectID = new(string(e.Project))
		}
		if err := json.Unmarshal(e.Raw, &one.Event); err != nil {
			return api.AuditTrail{}, err // it was read before
		}
		told.Events = append(told.Events, one)
	}
	return told, nil
}

func (s Services) getHealth(ctx context.Context, _ *operation.Request, _ service.Empty) (api.Health, error) {
	state, findings := s.Health.Report(ctx)
	told := api.Health{State: api.HealthState(state), Dependencies: []api.HealthOf{}}
	for _, f := range findings {
		one := api.HealthOf{Name: f.Name, State: api.HealthState(f.State)}
		if f.Detail != "" {
			one.Detail = &f.Detail
		}
		told.Dependencies = append(told.Dependencies, one)
	}
	return told, nil
}

package operation

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// Paths of AuthZEN (OpenID AuthZEN Authorization API 1.0).
const (
	accessEvaluation  = "/access/v1/evaluation"
	accessEvaluations = "/access/v1/evaluations"
)

// configurationCache is how long clients may keep where the endpoints are. Nobody keeps it for others: it names the host that was called.
const configurationCache = "private, max-age=300"

// evaluateAccess judges what AuthZEN asks.
func (s Services) evaluateAccess(
	ctx context.Context, q service.ForProject[rest.AccessEvaluationReq],
) (service.Judged[rest.AccessEvaluationRsp], error) {
	return s.access(ctx, q.Project, rest.AccessQuestion{
		Subject: &q.Body.Subject, Action: &q.Body.Action, Resource: &q.Body.Resource, Context: q.Body.Context,
	})
}

// evaluateAccesses judges several things in their order, or, if there are not several, the one that is there.
func (s Services) evaluateAccesses(
	ctx context.Context, q service.ForProject[rest.AccessEvaluationsReq],
) (answer service.Judged[rest.AccessEvaluationsRsp], err error) {
	forAll := rest.AccessQuestion{Subject: q.Body.Subject, Action: q.Body.Action, Resource: q.Body.Resource, Context: q.Body.Context}
	if q.Body.Evaluations == nil || len(*q.Body.Evaluations) == 0 {
		one, err := s.access(ctx, q.Project, forAll)
		answer.Decided, answer.Incomplete, answer.Risk = one.Decided, one.Incomplete, one.Risk
		answer.Body.Decision, answer.Body.Context = &one.Body.Decision, &one.Body.Context
		return answer, err
	}
	all := make([]rest.AccessEvaluationRsp, 0, len(*q.Body.Evaluations))
	for _, asked := range *q.Body.Evaluations {
		one, err := s.accessOfSeveral(ctx, q.Project, completed(asked, forAll))
		if err != nil {
			return answer, err
		}
		all = append(all, one)
		if ends(q.Body.Options, one.Decision) {
			break
		}
	}
	answer.Body.Evaluations = &all
	return answer, nil
}

// accessOfSeveral judges one of several: that it was asked wrongly is its answer. Where the server is to blame there is no answer to any,
// so that nobody takes its failure for a denial.
func (s Services) accessOfSeveral(
	ctx context.Context, project ident.ProjectID, asked rest.AccessQuestion,
) (rest.AccessEvaluationRsp, error) {
	said, err := s.access(ctx, project, asked)
	if err != nil && !fault.OfServer(err) {
		said.Body.Context.Error = accessError(fault.As(err))
		err = nil
	}
	return said.Body, err
}

// completed is a question with what it does not say from what is said for all. Each member counts as a whole.
func completed(asked, forAll rest.AccessQuestion) rest.AccessQuestion {
	if asked.Subject == nil {
		asked.Subject = forAll.Subject
	}
	if asked.Action == nil {
		asked.Action = forAll.Action
	}
	if asked.Resource == nil {
		asked.Resource = forAll.Resource
	}
	if asked.Context == nil {
		asked.Context = forAll.Context
	}
	return asked
}

// ends reports whether nothing more is judged after a decision.
func ends(options *rest.AccessOptions, decision bool) bool {
	if options == nil || options.EvaluationsSemantic == nil {
		return false
	}
	switch *options.EvaluationsSemantic {
	case rest.AccessSemanticDenyOnFirstDeny:
		return !decision
	case rest.AccessSemanticPermitOnFirstPermit:
		return decision
	default:
		return false
	}
}

// access judges one question. A challenge that binds is false: it goes forward when its step-up was passed, and not before.
func (s Services) access(
	ctx context.Context, project ident.ProjectID, asked rest.AccessQuestion,
) (answer service.Judged[rest.AccessEvaluationRsp], err error) {
	evaluation, err := accessAsked(asked)
	if err != nil {
		return answer, err
	}
	said, err := s.Ceremony.EvaluateRisk(ctx, service.ForProject[service.RiskEvaluation]{Project: project, Body: evaluation})
	if err != nil {
		return answer, inAccessWords(err)
	}
	if said.Risk == nil {
		return answer, fault.Internal(errUnjudged)
	}
	answer.Decided, answer.Incomplete, answer.Risk = said.Decided, said.Incomplete, said.Risk
	answer.Body.Decision = !said.Risk.Bars() && !said.Risk.Challenges()
	answer.Body.Context = rest.AccessDecisionContext{
		ID: new(string(said.Decision)), ReasonAdmin: &rest.AccessReason{En: accessReason(said.Risk)}, Keyward: risk(said.Decision, said.Risk),
	}
	return answer, nil
}

// accessAsked is a question as the service takes it.
func accessAsked(asked rest.AccessQuestion) (e service.RiskEvaluation, err error) {
	var found []fault.FieldError
	blank := func(field string, missing bool) {
		if missing {
			found = append(found, fault.FieldError{Field: field, Message: "cannot be blank"})
		}
	}
	blank("subject", asked.Subject == nil)
	blank("action", asked.Action == nil)
	blank("resource", asked.Resource == nil)
	if asked.Subject != nil && asked.Subject.Type != "user" {
		found = append(found, fault.FieldError{Field: "subject.type", Message: "must be user"})
	}
	if len(found) > 0 {
		return e, fault.Fields(found...)
	}
	e.Action = asked.Action.Name
	e.Resource = &service.Resource{Type: asked.Resource.Type, ID: asked.Resource.ID}
	if user, err := ident.ParseUserID(asked.Subject.ID); err == nil {
		e.User = user
	} else {
		e.Identifier = asked.Subject.ID
	}
	if about := asked.Context; about != nil {
		if about.ClientInformation != nil {
			e.Client = *about.ClientInformation
		}
		e.Context = about.Context
	}
	return e, nil
}

// inAccessWords names the fields of a fault as AuthZEN has them.
func inAccessWords(err error) error {
	f := *fault.As(err)
	f.Validation = slices.Clone(f.Validation)
	for i, v := range f.Validation {
		first, more, nested := strings.Cut(v.Field, ".")
		switch first {
		case "userID", "identifier":
			first = "subject.id"
		case "action":
			first = "action.name"
		case "context", "clientInformation":
			first = "context." + first
		}
		if nested {
			first += "." + more
		}
		f.Validation[i].Field = first
	}
	return &f
}

// accessReason says in a line how something was judged.
func accessReason(r *service.Risk) string {
	text := fmt.Sprintf("%s, %s", r.Action, r.Level)
	if !r.Enforced {
		text += ", only observed"
	}
	titles := make([]string, len(r.Reasons))
	for i, reason := range r.Reasons {
		titles[i] = reason.Title
	}
	if len(titles) > 0 {
		text += ": " + strings.Join(titles, "; ")
	}
	return text
}

// accessError is a fault in the place of a judgement.
func accessError(f *fault.Fault) *rest.AccessError {
	var said []string
	if f.Details != "" {
		said = append(said, f.Details)
	}
	for _, v := range f.Validation {
		said = append(said, v.Field+": "+v.Message)
	}
	if len(said) == 0 {
		said = append(said, http.StatusText(f.Status))
	}
	return &rest.AccessError{Status: int32(f.Status), Message: strings.Join(said, "; ")}
}

// accessConfiguration is GET /.well-known/authzen-configuration: where the endpoints are, at the host that was called.
func accessConfiguration(c *fiber.Ctx) error {
	host := string(c.Context().Host())
	scheme := "https" // of a proxy, if not of Keyward itself: AuthZEN knows no other
	if c.Context().TLSConnectionState() == nil && ownName(host) {
		scheme = "http"
	}
	at := scheme + "://" + host
	body, err := Encode(rest.AccessConfiguration{
		PolicyDecisionPoint: at, AccessEvaluationEndpoint: at + accessEvaluation, AccessEvaluationsEndpoint: at + accessEvaluations,
	})
	if err != nil {
		return fault.Internal(err)
	}
	c.Set(fiber.HeaderCacheControl, configurationCache)
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(http.StatusOK).Send(body)
}

// ownName reports whether a host is what a machine calls itself.
func ownName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && address.IsLoopback()
}

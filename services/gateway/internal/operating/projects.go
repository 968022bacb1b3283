package operating

import (
	"context"
	"errors"
	"github.com/gofiber/fiber/v2"
	"net/http"
	"slices"
	"strings"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/backoffice"
	"github.com/keyward/keyward/services/gateway/internal/operation"
	"github.com/keyward/keyward/services/gateway/internal/scope"
)

// Projects are those that there are. project.Store is one.
type Projects interface {
	Find(context.Context, ident.ProjectID) (project.Project, error)
	All() []project.Project
}

// backoffice are the operations on projects and their users.
func (s Services) backoffice() []operation.Row {
	return []operation.Row{
		operation.Bind("listProjects", nil, operation.Nothing(), s.listProjects),
		inProject(s, "getProject", s.getProject, operation.Nothing),
		inProject(s, "listProjectKeys", s.listKeys, operation.Nothing),
		inProject(s, "createProjectKey", s.createKey, operation.Body),
		inProject(s, "revokeProjectKey", s.revokeKey, operation.ID[string]),
		inProject(s, "listProjectWebhooks", s.listWebhooks, operation.Nothing),
		inWebhook(s, "listProjectWebhookDeliveries", s.Webhooks.ListWebhookDeliveries, operation.List),
		inWebhook(s, "listProjectWebhookDeadLetters", s.Webhooks.ListWebhookDeadLetters, operation.List),
		inWebhook(s, "pauseProjectWebhook", s.pauseWebhook, operation.Told(func(b api.WebhookPauseReq) inquiry.WebhookPause {
			return inquiry.WebhookPause{Paused: b.Paused, Reason: text(b.Reason)}
		})),
		inWebhook(s, "replayProjectWebhookDeadLetters", s.Webhooks.ReplayWebhookDeadLetters, operation.Body),
		inProject(s, "findUsers", s.Desk.ListUsersFound, usersAsked),
		inUser(s, "getUserProfile", s.Desk.GetUserProfile, operation.Nothing),
		s.timeline(),
		inUser(s, "barUser", s.Desk.ActOnUser, bar),
		inUser(s, "liftUserBar", s.Desk.ActOnUser, operation.Named(func(id string) inquiry.UserAct {
			return inquiry.UserAct{Act: api.UserActKindBarLifted, Event: ident.EventID(id)}
		})),
		inUser(s, "setUserStatus", s.Desk.ActOnUser, operation.Told(func(b api.UserStatusReq) inquiry.UserAct {
			return inquiry.UserAct{Act: api.UserActKindStatusSet, Status: string(b.Status), Reason: text(b.Reason)}
		})),
		inUser(s, "setLabelsOfUser", s.Desk.ActOnUser, operation.Told(func(b api.UserLabelsReq) inquiry.UserAct {
			return inquiry.UserAct{Act: api.UserActKindLabelled, Labels: b.Labels, Reason: text(b.Reason)}
		})),
		inUser(s, "revokeUserSessions", s.Desk.ActOnUser, operation.Told(func(b api.UserSessionsRevokeReq) inquiry.UserAct {
			return inquiry.UserAct{
				Act: api.UserActKindSessionsRevoked, Session: ident.SessionID(text(b.SessionID)), Reason: text(b.Reason),
			}
		})),
		inUser(s, "deleteUserPasskey", s.Desk.ActOnUser, operation.Named(func(id string) inquiry.UserAct {
			return inquiry.UserAct{Act: api.UserActKindPasskeyDeleted, Credential: ident.CredentialID(id)}
		})),
		inUser(s, "eraseUser", s.erase, operation.Body[api.UserEraseReq]),
	}
}

// inProject is an operation on a project that the path names, and that the operator sees.
func inProject[T, Out any](
	s Services, id string, call func(context.Context, service.ForProject[T]) (Out, error), read func() operation.Form[T],
) operation.Row {
	return operation.Bind(id, []string{scope.PathParameter}, read(), func(ctx context.Context, r *operation.Request, given T) (Out, error) {
		p, err := s.projectOf(ctx, r)
		if err != nil {
			var none Out
			return none, err
		}
		out, err := call(ctx, service.ForProject[T]{Project: p, Body: given})
		return out, absent(r, err)
	})
}

const userParameter = "userID"

// inUser is the same on a user of the project.
func inUser[T, Out any](
	s Services, id string, call func(context.Context, service.ForUser[T]) (Out, error), read func() operation.Form[T],
) operation.Row {
	scope := []string{scope.PathParameter, userParameter}
	return operation.Bind(id, scope, read(), func(ctx context.Context, r *operation.Request, given T) (Out, error) {
		p, err := s.projectOf(ctx, r)
		if err != nil {
			var none Out
			return none, err
		}
		out, err := call(ctx, service.ForUser[T]{Project: p, User: ident.UserID(r.Path(userParameter)), Body: given})
		return out, absent(r, err)
	})
}

// inWebhook is the same on a webhook endpoint of the project.
func inWebhook[T, Out any](
	s Services, id string, call func(context.Context, service.ForWebhook[T]) (Out, error), read func() operation.Form[T],
) operation.Row {
	const webhook = "webhookEndpointID"
	scope := []string{scope.PathParameter, webhook}
	return operation.Bind(id, scope, read(), func(ctx context.Context, r *operation.Request, given T) (Out, error) {
		p, err := s.projectOf(ctx, r)
		if err != nil {
			var none Out
			return none, err
		}
		out, err := call(ctx, service.ForWebhook[T]{Project: p, Webhook: ident.WebhookID(r.Path(webhook)), Body: given})
		return out, absent(r, err)
	})
}

func (s Services) projectOf(ctx context.Context, r *operation.Request) (ident.ProjectID, error) {
	p, err := s.Projects.Find(ctx, ident.ProjectID(r.Path(scope.PathParameter)))
	return p.ID, operation.ErrNoProject.Instead(err, project.ErrUnknown)
}

// eventsOf streams the events of the project that the path names.
func (s Services) eventsOf() fiber.Handler {
	if s.EventStream == nil {
		return nil
	}
	return s.EventStream(func(c *fiber.Ctx) (project.Project, error) {
		p, err := s.Projects.Find(c.UserContext(), ident.ProjectID(c.Params(scope.PathParameter)))
		return p, operation.ErrNoProject.Instead(err, project.ErrUnknown)
	})
}

// absent says of what the path names, and a service does not know, that it is not there: the path has the right form, which was checked.
func absent(r *operation.Request, err error) error {
	var f *fault.Fault
	if !errors.As(err, &f) || f.Status != http.StatusBadRequest || len(f.Validation) != 1 || errors.Is(err, errUnconfirmed) {
		return err
	}
	if field := f.Validation[0].Field; slices.Contains(r.Names(), field) {
		return fault.NotFound("%s %s", field, f.Validation[0].Message).Because(err)
	}
	return err
}

func (s Services) listProjects(_ context.Context, r *operation.Request, _ service.Empty) (api.ProjectList, error) {
	return backoffice.Projects(s.Projects.All(), r.Exchange().Operator().Sees), nil
}

func (s Services) getProject(ctx context.Context, q service.ForProject[service.Empty]) (api.Project, error) {
	p, err := s.Projects.Find(ctx, q.Project)
	if err != nil {
		return api.Project{}, err
	}
	return backoffice.Project(&p), nil
}

func (s Services) listKeys(ctx context.Context, q service.ForProject[service.Empty]) (api.ProjectKeyList, error) {
	keys, err := s.Desk.ListProjectKeys(ctx, q)
	keys.Permissions = s.Permissions
	return keys, err
}

func (s Services) createKey(ctx context.Context, q service.ForProject[api.ProjectKeyCreateReq]) (api.ProjectKeyCreated, error) {
	for _, one := range q.Body.Permissions {
		if one != project.AllPermissions && !slices.Contains(s.Permissions, one) {
			known := strings.Join(s.Permissions, ", ")
			return api.ProjectKeyCreated{}, fault.Field("permissions", "%q is none; there are %s, and *", one, known)
		}
	}
	return s.Desk.CreateProjectKey(ctx, q)
}

func (s Services) revokeKey(ctx context.Context, q service.ForProject[string]) (api.Done, error) {
	_, err := s.Desk.RevokeProjectKey(ctx, q)
	return api.Done{}, err
}

func (s Services) listWebhooks(ctx context.Context, q service.ForProject[service.Empty]) (api.ProjectWebhookList, error) {
	all, err := s.Webhooks.ListWebhooks(ctx, q)
	if err != nil {
		return api.ProjectWebhookList{}, err
	}
	return backoffice.Webhooks(all), nil
}

var errUnconfirmed = fault.Field("userID", "must be the ID of the user again, as confirmation").Named("unconfirmed")

func (s Services) erase(ctx context.Context, q service.ForUser[api.UserEraseReq]) (api.UserActed, error) {
	if q.Body.UserID != string(q.User) {
		return api.UserActed{}, errUnconfirmed
	}
	return s.Desk.ActOnUser(ctx, service.ForUser[inquiry.UserAct]{Project: q.Project, User: q.User, Body: inquiry.UserAct{
		Act: api.UserActKindErased, Reason: text(q.Body.Reason),
	}})
}

// usersAsked reads what is known of the users that are looked for.
func usersAsked() operation.Form[inquiry.Users] {
	return operation.Asked([]string{"query", "page", "pageSize"}, func(r *operation.Request) (inquiry.Users, error) {
		query := r.Query()
		return inquiry.Users{
			Query: strings.TrimSpace(query.Get("query")), Page: operation.NumberIn(query, "page", 1),
			PageSize: operation.NumberIn(query, "pageSize", 10),
		}, nil
	})
}

func bar() operation.Form[inquiry.UserAct] {
	return operation.Told(func(b api.UserBarReq) inquiry.UserAct {
		done := inquiry.UserAct{Act: api.UserActKindBarred, Bar: b.Of, Reason: text(b.Reason)}
		if b.Seconds != nil {
			done.Seconds = int(*b.Seconds)
		}
		return done
	})()
}

func text(of *string) string {
	if of == nil {
		return ""
	}
	return *of
}

// timeline is what happened to a user.
func (s Services) timeline() operation.Row {
	from := backoffice.Sources{Events: s.Timelines, Decisions: s.Decisions, Sessions: s.Sessions}
	scope := []string{scope.PathParameter, userParameter}
	call := func(ctx context.Context, r *operation.Request, q backoffice.Asked) (api.UserTimeline, error) {
		p, err := s.projectOf(ctx, r)
		if err != nil {
			return api.UserTimeline{}, err
		}
		told, err := backoffice.Timeline(ctx, from, caller(r), p, ident.UserID(r.Path(userParameter)), q)
		return told, absent(r, err)
	}
	return operation.Bind("getUserTimeline", scope, timelineAsked(), call)
}

func timelineAsked() operation.Form[backoffice.Asked] {
	return operation.Asked([]string{"kind", "before", "limit"}, func(r *operation.Request) (asked backoffice.Asked, err error) {
		const usual = 50
		query := r.Query()
		asked.Limit = operation.NumberIn(query, "limit", usual)
		if kinds := query.Get("kind"); kinds != "" {
			for one := range strings.SplitSeq(kinds, ",") {
				asked.Kinds = append(asked.Kinds, api.TimelineEntryKind(one))
			}
		}
		asked.Before, err = backoffice.ReadCursor(query.Get("before"))
		return asked, err
	})
}

func (s Services) pauseWebhook(ctx context.Context, q service.ForWebhook[inquiry.WebhookPause]) (api.Done, error) {
	_, err := s.Webhooks.PauseWebhook(ctx, q)
	return api.Done{}, err
}

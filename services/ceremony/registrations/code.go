package registrations

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"slices"
	"strings"
	"text/template/parse"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/codes"
	"github.com/keyward/keyward/services/ceremony/delivery"
	"github.com/keyward/keyward/services/ceremony/internal/code"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// registrationCodeLifetime is how long a code for a registration can be used: time to change over to the device that is to hold the
// passkey.
const registrationCodeLifetime = time.Hour

// CreatePasskeyCode implements service.Registrations. When it has returned without error, the delivery has taken the link if one was asked
// for, and the log tells of the code.
func (s *Service) CreatePasskeyCode(
	ctx context.Context, req service.ForUser[service.PasskeyCodeRequest],
) (rsp service.PasskeyCodeCreated, err error) {
	defer func() { s.codeCalls.Called("create-passkey", err) }()
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return rsp, err
	}
	a, err := s.passkeys.Active(ctx, p.ID, req.User)
	if err != nil {
		return rsp, registrationFault(err)
	}
	now := s.now()
	made := service.PasskeyCode{ID: string(ident.NewCodeID()), Code: code.Token()}
	if req.Body.Send {
		err = s.sendCode(ctx, p, a, made, req.Body.URLTemplate, now)
	} else {
		err = s.keepCode(ctx, p, a, made, now)
		rsp.Code = &made
	}
	if err != nil {
		return service.PasskeyCodeCreated{}, err
	}
	tidings := s.outbox.NewEvent(p.ID, a.ID, event.PasskeyCode)
	if _, err := s.outbox.Append(ctx, tidings); err != nil {
		return service.PasskeyCodeCreated{}, err
	}
	rsp.Change = service.Change{ChangedMs: tidings.CreatedMs, CreatedMs: tidings.CreatedMs}
	return rsp, nil
}

// keepCode stores what is kept of a code that the caller is given.
func (s *Service) keepCode(ctx context.Context, p project.Project, a account.Account, made service.PasskeyCode, now time.Time) error {
	ref := code.Ref{Project: p.ID, User: a.ID, ID: ident.CodeID(made.ID)}
	e := code.Entry{Purpose: code.Register, CreatedMs: now.UnixMilli(), ExpiresMs: now.Add(registrationCodeLifetime).UnixMilli()}
	e.Seal(p.Ring, ref, made.Code)
	return s.codes.Put(ctx, ref, e)
}

// sendCode sends a link with the code to the user's email address. It must be verified: whoever reads the message can log in as the user
// from then on.
func (s *Service) sendCode(
	ctx context.Context, p project.Project, a account.Account, made service.PasskeyCode, template string, now time.Time,
) error {
	to := a.Foremost(account.IdentifierTypeEmail)
	if to == nil || to.Status == account.IdentifierStatusPending {
		return fault.Precondition("the user has no verified email address").Named(service.ReasonUserNoEmail)
	}
	link, err := registrationLink(p, a.ID, made, template)
	if err != nil {
		return err
	}
	return s.sender.Send(ctx, p, to.ID, delivery.Message{
		Project: p.ID, User: a.ID, ID: ident.CodeID(made.ID), Type: rest.ChallengeTypeEmailLink, Purpose: string(code.Register),
		Sender: codes.SenderName(p),
		To:     to.Value, Value: made.Code, Link: link, Expires: now.Add(registrationCodeLifetime), Lifetime: registrationCodeLifetime,
	}, now)
}

// registrationLink fills in a template, which may use {{.UserID}}, {{.OrgID}}, {{.CodeID}} and {{.Code}} and nothing else of Go's
// templates. What comes out must be a URL on an origin of the project: nowhere else could a page use the code. Without a template it is the
// start page of the project's first website, with the same as parameters.
func registrationLink(p project.Project, user ident.UserID, made service.PasskeyCode, template string) (string, error) {
	values := map[string]string{"UserID": string(user), "OrgID": string(p.ID), "CodeID": made.ID, "Code": made.Code}
	if template == "" {
		i := slices.IndexFunc(p.Origins, func(origin string) bool {
			u, err := url.Parse(origin)
			return err == nil && codes.WebOrigin(u) != ""
		})
		if i < 0 {
			return "", badTemplate("cannot be blank, since the project has no origin of a website")
		}
		template = p.Origins[i] + "/?userID={{.UserID}}&orgID={{.OrgID}}&codeID={{.CodeID}}&code={{.Code}}"
	}
	text, err := fillIn(template, values)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(text)
	if err != nil || codes.WebOrigin(u) == "" || u.User != nil {
		return "", badTemplate("must make an absolute URL of http or https")
	}
	if !codes.MayLead(p, u) {
		return "", badTemplate("must make a URL on an origin of the project, or with https on one of its hosts")
	}
	return u.String(), nil
}

// fillIn replaces the placeholders of a template. The values are letters, digits and hyphens, so they need no escaping in a URL.
func fillIn(template string, values map[string]string) (string, error) {
	trees, err := parse.Parse("urlTemplate", template, "{{", "}}")
	if err != nil {
		return "", badTemplate("is not a template: check its braces")
	}
	tree := trees["urlTemplate"]
	if tree == nil || len(trees) != 1 {
		return "", badTemplate("must have nothing but {{.UserID}}, {{.OrgID}}, {{.CodeID}} and {{.Code}} in it")
	}
	var text strings.Builder
	for _, node := range tree.Root.Nodes {
		if plain, ok := node.(*parse.TextNode); ok {
			text.Write(plain.Text)
			continue
		}
		value, ok := values[fieldOf(node)]
		if !ok {
			return "", badTemplate("must have nothing but {{.UserID}}, {{.OrgID}}, {{.CodeID}} and {{.Code}} in it")
		}
		text.WriteString(value)
	}
	return text.String(), nil
}

// fieldOf returns the name in {{.Name}}, or "" for everything else.
func fieldOf(node parse.Node) string {
	action, ok := node.(*parse.ActionNode)
	if !ok || len(action.Pipe.Decl) != 0 || len(action.Pipe.Cmds) != 1 || len(action.Pipe.Cmds[0].Args) != 1 {
		return ""
	}
	field, ok := action.Pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok || len(field.Ident) != 1 {
		return ""
	}
	return field.Ident[0]
}

func badTemplate(message string) error {
	return fault.Field("urlTemplate", "%s", message).Named(service.ReasonTemplate)
}

// claimCode judges the code of a registration, if there is one, and claims it: release gives it back, complete spends it.
func (s *Service) claimCode(
	ctx context.Context, p project.Project, req service.ForUser[service.PasskeyRegistration],
) (release func(context.Context), complete func(context.Context) error, err error) {
	given := req.Body.Code
	if given == nil {
		return func(context.Context) {}, func(context.Context) error { return nil }, nil
	}
	id, err := ident.ParseCodeID(given.ID)
	if err != nil {
		return nil, nil, codeInvalid()
	}
	ref := code.Ref{Project: p.ID, User: req.User, ID: id}
	by := rand.Text()
	err = s.codes.Change(ctx, ref, func(e *code.Entry) error {
		return e.Try(ref, code.Attempt{Purpose: code.Register, Keys: p.Ring, Value: given.Code, Now: s.now(), By: by, Hold: codes.VerifyHold})
	})
	if err != nil {
		return nil, nil, codeRefused(err)
	}
	release = func(ctx context.Context) {
		codes.Undo(ctx, s.log, "give back a code whose registration was not begun", func(ctx context.Context) error {
			return s.codes.Change(ctx, ref, func(e *code.Entry) error { return e.Release(by) })
		})
	}
	complete = func(ctx context.Context) error {
		return codeRefused(s.codes.Change(ctx, ref, func(e *code.Entry) error { return e.Complete(by) }))
	}
	return release, complete, nil
}

// codeRefused says of whatever was wrong with a code that it is invalid, and not what: who guesses is to learn nothing. Other errors pass.
func codeRefused(err error) error {
	var refusal *fault.Refusal
	if errors.As(err, &refusal) {
		return codeInvalid()
	}
	return err
}

func codeInvalid() error {
	return fault.Field("code", "is wrong, has been used or has expired").Named(service.ReasonCodeInvalid)
}

// Package evaluation is the room of what is no ceremony: a caller asks how risky it is to let a user do something. It promises that nothing
// is refused or counted for it, that an answer does not tell whether there is such a user, and that what the policy asks a further proof of
// has a step-up when the answer has left, where the policy binds. It touches the bucket of accounts, and that of step-ups by the room of
// these; it asks the decision service.
package evaluation

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/risk"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/stepups"
)

// Fields of requests.
const (
	fieldUser    = "userID"
	fieldAddress = "clientInformation.remoteAddress"
)

// Decision judges. The decision service is one.
type Decision interface {
	Evaluate(context.Context, service.EvaluateQuestion) (service.Verdict, error)
}

// Directory knows who has an identifier. The room directory is one.
type Directory interface {
	Owner(ctx context.Context, project ident.ProjectID, kind account.IdentifierType, value string) (ident.UserID, error)
}

// StepUps opens step-ups. The room stepups is one.
type StepUps interface {
	Open(context.Context, stepups.Evaluation) (service.StepUp, error)
}

// Deps is what the room works with. All fields are required.
type Deps struct {
	Projects     tenant.Projects
	Accounts     *account.Store
	Directory    Directory
	Environments *environments.Service
	Decision     Decision
	StepUps      StepUps
	Records      Records
	Log          Log
	Told         Told
	Now          func() time.Time
}

// Service is the room.
type Service struct{ deps Deps }

// New returns the room.
func New(d Deps) *Service { return &Service{d} }

// EvaluateRisk implements service.Evaluations.
func (s *Service) EvaluateRisk(
	ctx context.Context, req service.ForProject[service.RiskEvaluation],
) (answer service.Judged[service.Empty], err error) {
	p, err := tenant.Of(ctx, s.deps.Projects, req.Project)
	if err != nil {
		return answer, err
	}
	asked := req.Body
	if err := check(&asked); err != nil {
		return answer, err
	}
	a, known, err := s.find(ctx, p, &asked)
	if err != nil {
		return answer, err
	}
	q := service.EvaluateQuestion{Question: service.Question{
		Project: p.ID, Account: &a, Client: asked.Client, Environment: s.deps.Environments.Recall(p, asked.Client), Process: asked.Process,
		RequestID: reqctx.RequestID(ctx), Context: asked.Context,
	}, Action: asked.Action, Resource: asked.Resource}
	q.Sighted = environments.Sighted(&p, "", q.Environment, asked.Client)
	said, err := s.deps.Decision.Evaluate(ctx, q)
	if err != nil {
		return answer, err
	}
	if said.Risk, err = s.open(ctx, stepups.Evaluation{
		Project: p.ID, Account: &a, Nobody: !known, Process: asked.Process, Action: asked.Action, Verdict: said,
		Sighted: environments.Sighted(&p, string(a.ID), q.Environment, asked.Client),
	}); err != nil {
		return answer, err
	}
	if known {
		environment := q.Environment.ID
		if !q.Environment.Known {
			environment = ""
		}
		s.deps.Told.Observe(ctx, risk.Tidings(ctx, risk.Judgement{Stage: risk.Evaluate, Verdict: said, Event: event.Event{
			Project: p.ID, User: a.ID, CreatedMs: s.deps.Now().UnixMilli(), Process: asked.Process, Environment: environment,
		}})...)
	}
	return service.Judged[service.Empty]{
		Decided: said.Decided, Incomplete: said.Incomplete, Risk: said.Risk,
	}, nil
}

// open returns what was judged, with the step-up that it waits for, if the policy asks for one and binds.
func (s *Service) open(ctx context.Context, e stepups.Evaluation) (*service.Risk, error) {
	if !e.Verdict.Risk.Challenges() {
		return e.Verdict.Risk, nil
	}
	opened, err := s.deps.StepUps.Open(ctx, e)
	if errors.Is(err, risk.ErrNoStepUp) {
		return risk.WithoutStepUp(e.Verdict.Risk), nil
	}
	if err != nil {
		return nil, err
	}
	told := *e.Verdict.Risk
	told.Opened = &opened
	return &told, nil
}

func check(asked *service.RiskEvaluation) error {
	if (asked.User == "") == (asked.Identifier == "") {
		if asked.User != "" {
			return fault.Field(fieldUser, "userID and identifier cannot both be given")
		}
		return fault.Field(fieldUser, "either userID or identifier has to be given")
	}
	if asked.User != "" {
		if _, err := ident.ParseUserID(string(asked.User)); err != nil {
			return fault.Field(fieldUser, "%s", err)
		}
	}
	if _, read := address.Client(asked.Client.RemoteAddress); !read && asked.Client.RemoteAddress != "" {
		return fault.Field(fieldAddress, "must be an IP address, with a port or without")
	}
	return nil
}

// kinds are what an identifier without a type may be, in the order in which they are tried.
var kinds = [...]account.IdentifierType{account.IdentifierTypeEmail, account.IdentifierTypePhone, account.IdentifierTypeUsername}

// find returns the account that is asked about, or one without a history where there is none. As much is read in either case.
func (s *Service) find(ctx context.Context, p project.Project, asked *service.RiskEvaluation) (a account.Account, known bool, err error) {
	user, kind := asked.User, account.IdentifierType("")
	if user == "" {
		user = nobody(p, asked.Identifier)
		for _, each := range kinds {
			owner, err := s.deps.Directory.Owner(ctx, p.ID, each, asked.Identifier)
			if err != nil {
				return a, false, err
			}
			if owner != "" && kind == "" {
				user, kind = owner, each
			}
		}
	}
	a, _, err = s.deps.Accounts.Get(ctx, p.ID, user)
	switch {
	case errors.Is(err, account.ErrUnknown):
	case err != nil:
		return a, false, err
	case kind == "" && asked.User == "": // nobody has the identifier, and somebody the ID that stands for it
	case kind == "" || verified(&a, kind, asked.Identifier):
		return a, true, nil
	default:
		user = nobody(p, asked.Identifier)
	}
	return account.Account{Project: p.ID, ID: user, Status: account.StatusActive}, false, nil
}

// verified reports whether the user has shown that the identifier is theirs: anybody may have entered it.
func verified(a *account.Account, kind account.IdentifierType, value string) bool {
	id := a.Identifier(kind, value)
	return id != nil && id.Status != account.IdentifierStatusPending
}

// nobody is the user that an identifier stands for which no user has.
func nobody(p project.Project, identifier string) ident.UserID {
	mac := hmac.New(sha256.New, p.Ring.Newest(keyring.DecoyUser).Secret)
	mac.Write([]byte("decoy of " + account.IdentifierKey(account.IdentifierTypeEmail, identifier)))
	return ident.Seed(hex.EncodeToString(mac.Sum(nil))).UserID()
}

package operating

import (
	"context"
	"net/http"
	"slices"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/operation"
)

// errNoDecision is what is told of a decision of another project: the same as of one that there is not.
var errNoDecision = fault.NotFound("no such decision is recorded (yet)").Named("decision-unseen")

// ofSome is an operation whose answer is looked at before an operator gets it who is limited to some projects: look takes out what is not
// for the operator, or refuses the whole.
func ofSome[T, Out any](
	id string, call func(context.Context, service.ForOperator[T]) (Out, error), read func() operation.Form[T],
	look func(*operator.Operator, *Out) error,
) operation.Row {
	return operation.Bind(id, nil, read(), func(ctx context.Context, r *operation.Request, given T) (Out, error) {
		out, err := call(ctx, service.ForOperator[T]{Operator: caller(r), Body: given})
		by := r.Exchange().Operator()
		if err == nil && by.Limited() {
			err = look(&by, &out)
		}
		if err != nil {
			var none Out
			return none, err
		}
		return out, nil
	})
}

func seesRecord(caller *operator.Operator, d *api.Decision) error {
	project, _ := d.Record["project"].(string)
	return seesDecision(caller, project)
}

func seesExplanation(caller *operator.Operator, e *api.DecisionExplanation) error {
	return seesDecision(caller, e.ProjectID)
}

func seesDecision(caller *operator.Operator, project string) error {
	if !caller.Sees(ident.ProjectID(project)) {
		return errNoDecision
	}
	return nil
}

// Whom a canary names is a user of whatever project.
func withoutUsers(d *api.PolicyDivision) {
	if d != nil {
		d.Users = nil
	}
}

func withoutUsersOfChanges(_ *operator.Operator, list *api.PolicyChangeList) error {
	for i := range list.Changes {
		withoutUsers(list.Changes[i].Canary)
	}
	return nil
}

func withoutUsersOfStatus(_ *operator.Operator, status *api.PolicyStatus) error {
	if status.Live != nil {
		withoutUsers(status.Live.Canary)
	}
	return nil
}

func withoutUsersOfCanary(_ *operator.Operator, canary *api.PolicyCanary) error {
	withoutUsers(&canary.Division)
	return nil
}

// ownSwitches leaves those that count in a project of the operator: its own, and those of all.
func ownSwitches(caller *operator.Operator, list *api.SwitchList) error {
	list.Switches = slices.DeleteFunc(list.Switches, func(s api.Switch) bool {
		return s.About.ProjectID != nil && !caller.Sees(ident.ProjectID(*s.About.ProjectID))
	})
	return nil
}

// turnSwitch turns a switch. A limited operator turns one that is about a project of its own, and that was about none other before.
func (s Services) turnSwitch() operation.Row {
	read := operation.Change(func(name string, how api.SwitchReq) inquiry.SwitchTurn {
		return inquiry.SwitchTurn{Name: name, Turn: how}
	})
	turn := func(ctx context.Context, r *operation.Request, given inquiry.SwitchTurn) (api.Switch, error) {
		by := caller(r)
		if limited := r.Exchange().Operator(); limited.Limited() {
			before, err := s.Policies.ListSwitches(ctx, service.ForOperator[service.Empty]{Operator: by})
			if err != nil {
				return api.Switch{}, err
			}
			if !mayTurn(&limited, &before, &given) {
				return api.Switch{}, &fault.Fault{
					Type: fault.TypeLoginError, Status: http.StatusForbidden,
					Details: "the operator is limited to some projects, and turns switches that are about one of them: about.projectID",
				}
			}
		}
		return s.Policies.TurnSwitch(ctx, service.ForOperator[inquiry.SwitchTurn]{Operator: by, Body: given})
	}
	return operation.Bind("turnSwitch", nil, read(), turn)
}

func mayTurn(caller *operator.Operator, before *api.SwitchList, turn *inquiry.SwitchTurn) bool {
	own := func(about *api.SwitchAbout) bool {
		return about != nil && about.ProjectID != nil && caller.Sees(ident.ProjectID(*about.ProjectID))
	}
	for i := range before.Switches {
		if one := &before.Switches[i]; one.Name == turn.Name && !own(&one.About) {
			return false
		}
	}
	return own(turn.Turn.About) || !turn.Turn.On && turn.Turn.About == nil
}

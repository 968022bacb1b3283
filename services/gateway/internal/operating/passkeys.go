package operating

import (
	"context"
	"errors"
	"time"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/operation"
)

// Passkeys are the ceremonies by which operators add passkeys and sign in with them.
type Passkeys interface {
	SignInOptions(context.Context) (operator.PasskeyOptions, error)
	SignIn(ctx context.Context, answer string) (operator.Operator, error)
	AddOptions(ctx context.Context, of operator.Operator) (operator.PasskeyOptions, error)
	Add(ctx context.Context, of operator.Operator, name, answer string) (operator.Passkey, error)
}

// Holders keeps the passkeys of operators. operator.Store does.
type Holders interface {
	Find(context.Context, ident.OperatorID) (operator.Operator, error)
	RemovePasskey(ctx context.Context, of ident.OperatorID, passkey ident.CredentialID) error
	// Remember takes up what an identity provider says of somebody.
	Remember(context.Context, operator.Operator) error
}

// passkeys are the operations on passkeys of operators.
func (s Services) passkeys() []operation.Row {
	own := func(r *operation.Request) ident.OperatorID { return r.Exchange().Operator().ID }
	named := func(r *operation.Request) ident.OperatorID { return ident.OperatorID(r.Path("operatorID")) }
	scope := []string{"operatorID"}
	return []operation.Row{
		operation.Bind("beginPasskeySignIn", nil, operation.Nothing(), s.beginPasskeySignIn),
		operation.Bind("finishPasskeySignIn", nil, operation.Body[api.PasskeySignInReq](), s.finishPasskeySignIn),
		operation.Bind("beginOwnPasskey", nil, operation.Nothing(), s.beginOwnPasskey),
		operation.Bind("addOwnPasskey", nil, operation.Body[api.OperatorPasskeyReq](), s.addOwnPasskey),
		operation.Bind("listOwnPasskeys", nil, operation.Nothing(), s.listPasskeys(own, true)),
		operation.Bind("removeOwnPasskey", nil, operation.ID[ident.CredentialID](), s.removePasskey(own)),
		operation.Bind("listOperatorPasskeys", scope, operation.Nothing(), s.listPasskeys(named, false)),
		operation.Bind("removeOperatorPasskey", scope, operation.ID[ident.CredentialID](), s.removePasskey(named)),
	}
}

var errNoPasskeys = fault.NotFound("no passkeys are used at this console: console_url is at an address, or without TLS")

func (s Services) beginPasskeySignIn(ctx context.Context, _ *operation.Request, _ service.Empty) (api.PasskeyOptions, error) {
	if s.Passkeys == nil {
		return api.PasskeyOptions{}, errNoPasskeys
	}
	options, err := s.Passkeys.SignInOptions(ctx)
	return api.PasskeyOptions{Options: options.JSON, Expires: options.Expires.UTC()}, err
}

func (s Services) finishPasskeySignIn(ctx context.Context, r *operation.Request, q api.PasskeySignInReq) (api.Operator, error) {
	if s.Passkeys == nil {
		return api.Operator{}, errNoPasskeys
	}
	by, err := s.Passkeys.SignIn(ctx, q.Answer)
	if err == nil && by.Member != nil {
		err = s.stillMember(&by)
	}
	if err != nil {
		return api.Operator{}, err
	}
	return s.begin(ctx, r, by)
}

// stillMember makes somebody what their group is worth now, or refuses, if the provider has not said for too long that they are in it.
func (s Services) stillMember(by *operator.Operator) error {
	if s.provider == nil {
		return fault.Login("no identity provider signs operators in here any more, and it is one that knows you")
	}
	if until := time.UnixMilli(by.Member.SaidMs).Add(s.MemberPasskeys); !s.Now().Before(until) {
		return fault.Login("the identity provider has not said for %s who you are; sign in by it, and the passkey works again", s.MemberPasskeys)
	}
	group, ok := s.provider.Worth(by.Member)
	if !ok {
		return fault.Login("the group by which the identity provider made you an operator is none of operators any more")
	}
	by.Role, by.Projects = group.Role, group.Projects
	return nil
}

func (s Services) beginOwnPasskey(ctx context.Context, r *operation.Request, _ service.Empty) (api.PasskeyOptions, error) {
	if s.Passkeys == nil {
		return api.PasskeyOptions{}, errNoPasskeys
	}
	options, err := s.Passkeys.AddOptions(ctx, r.Exchange().Operator())
	return api.PasskeyOptions{Options: options.JSON, Expires: options.Expires.UTC()}, err
}

func (s Services) addOwnPasskey(ctx context.Context, r *operation.Request, q api.OperatorPasskeyReq) (api.OperatorPasskey, error) {
	if s.Passkeys == nil {
		return api.OperatorPasskey{}, errNoPasskeys
	}
	made, err := s.Passkeys.Add(ctx, r.Exchange().Operator(), q.Name, q.Answer)
	return shownPasskey(&made), err
}

// listPasskeys lists those of an operator. Whom an identity provider knows, and who has none, is not stored.
func (s Services) listPasskeys(
	of func(*operation.Request) ident.OperatorID, absentIsNone bool,
) func(context.Context, *operation.Request, service.Empty) (api.OperatorPasskeyList, error) {
	return func(ctx context.Context, r *operation.Request, _ service.Empty) (api.OperatorPasskeyList, error) {
		told := api.OperatorPasskeyList{Passkeys: []api.OperatorPasskey{}}
		found, err := s.Staff.Find(ctx, of(r))
		if err != nil && absentIsNone && errors.Is(err, operator.ErrUnknown) {
			return told, nil
		}
		for i := range found.Passkeys {
			told.Passkeys = append(told.Passkeys, shownPasskey(&found.Passkeys[i]))
		}
		return told, absent(r, err)
	}
}

func shownPasskey(p *operator.Passkey) api.OperatorPasskey {
	return api.OperatorPasskey{
		CredentialID: string(p.ID), Name: p.Name, Created: time.UnixMilli(p.CreatedMs).UTC(), LastUsed: sometime(p.LastUsedMs),
		Synced: p.BackupState, Copied: p.CopiedMs != 0,
	}
}

func (s Services) removePasskey(
	of func(*operation.Request) ident.OperatorID,
) func(context.Context, *operation.Request, ident.CredentialID) (api.Done, error) {
	return func(ctx context.Context, r *operation.Request, id ident.CredentialID) (api.Done, error) {
		err := s.Staff.RemovePasskey(ctx, of(r), id)
		if errors.Is(err, operator.ErrUnknown) {
			err = operator.ErrNoPasskey.Because(err)
		}
		return api.Done{}, absent(r, err)
	}
}

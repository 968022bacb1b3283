package operatorcmd

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/spf13/cobra"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/operatorclient"
	"github.com/keyward/keyward/core/operator"
)

// keeper changes operators: the store of a server, or its Operator API for who is an admin.
type keeper interface {
	create(context.Context, operator.Wanted) (shownOperator, error)
	list(context.Context) ([]shownOperator, error)
	revoke(ctx context.Context, id string, force bool) (name string, _ error)
	passkeys(ctx context.Context, id string) ([]shownPasskey, error)
	removePasskey(ctx context.Context, id, passkey string) error
}

// withKeeper runs do with the operators of the server that the command's flags name: by the Operator API if they name that.
func withKeeper(cmd *cobra.Command, terminal command.Terminal, do func(context.Context, keeper) error) error {
	if !command.OperatorURLGiven(cmd, terminal) {
		return withOperators(cmd, terminal, func(ctx context.Context, o *admin.Operators) error { return do(ctx, stored{o}) })
	}
	client, err := command.FindOperatorAPI(cmd, terminal)
	if err != nil {
		return err
	}
	return do(cmd.Context(), called{client})
}

// stored are the operators in the bucket of a server.
type stored struct{ *admin.Operators }

func (s stored) create(ctx context.Context, w operator.Wanted) (shownOperator, error) {
	made, token, err := s.Create(ctx, w, time.Now())
	return shown(made, token), err
}

func (s stored) list(context.Context) ([]shownOperator, error) {
	all := []shownOperator{}
	for _, o := range s.List() {
		all = append(all, shown(o, ""))
	}
	return all, nil
}

func (s stored) revoke(ctx context.Context, id string, force bool) (string, error) {
	gone, err := s.Revoke(ctx, id, force, time.Now())
	return gone.Name, err
}

func (s stored) passkeys(ctx context.Context, id string) ([]shownPasskey, error) {
	found, err := s.Passkeys(ctx, id)
	all := []shownPasskey{}
	for i := range found {
		all = append(all, passkey(&found[i]))
	}
	return all, err
}

func (s stored) removePasskey(ctx context.Context, id, passkey string) error {
	return s.RemovePasskey(ctx, id, passkey)
}

// called are the operators that the Operator API tells of.
type called struct{ *operatorclient.Client }

func (c called) create(ctx context.Context, w operator.Wanted) (shownOperator, error) {
	asked := api.OperatorCreateReq{Name: w.Name, Role: api.OperatorRole(w.Role)}
	if w.Lifetime > 0 {
		asked.Seconds = new(int32(min(math.Ceil(w.Lifetime.Seconds()), math.MaxInt32)))
	}
	if len(w.Projects) > 0 {
		named := make([]string, len(w.Projects))
		for i, p := range w.Projects {
			named[i] = string(p)
		}
		asked.Projects = &named
	}
	made, err := c.CreateOperator(ctx, asked)
	told := account(&made.Operator)
	told.Token = made.Token
	return told, err
}

func (c called) list(ctx context.Context) ([]shownOperator, error) {
	found, err := c.ListOperators(ctx)
	all := []shownOperator{}
	for i := range found.Operators {
		all = append(all, account(&found.Operators[i]))
	}
	return all, err
}

func account(o *api.OperatorAccount) shownOperator {
	told := shownOperator{
		ID: o.OperatorID, Name: o.Name, Role: string(o.Role), Created: command.Timestamp(o.Created.UnixMilli()), CreatedBy: o.CreatedBy,
	}
	if o.Projects != nil {
		told.Projects = *o.Projects
	}
	if o.Expires != nil {
		told.Expires = command.Timestamp(o.Expires.UnixMilli())
	}
	return told
}

func (c called) revoke(ctx context.Context, id string, force bool) (string, error) {
	if force {
		return "", errOnlyHere
	}
	all, err := c.list(ctx)
	if err != nil {
		return "", err
	}
	name := ""
	for _, o := range all {
		if o.ID == id {
			name = o.Name
		}
	}
	return name, c.RevokeOperator(ctx, id)
}

// errOnlyHere is of what takes the machine itself.
var errOnlyHere = command.Usage(errors.New(
	"--force: works with the --data-dir of a server on this machine alone, and neither with --nats-url nor with --operator-url",
))

func (c called) passkeys(ctx context.Context, id string) ([]shownPasskey, error) {
	found, err := c.ListOperatorPasskeys(ctx, id)
	all := []shownPasskey{}
	for _, p := range found.Passkeys {
		one := shownPasskey{ID: p.CredentialID, Name: p.Name, Created: command.Timestamp(p.Created.UnixMilli()), Copied: p.Copied}
		if p.LastUsed != nil {
			one.LastUsed = command.Timestamp(p.LastUsed.UnixMilli())
		}
		all = append(all, one)
	}
	return all, err
}

func (c called) removePasskey(ctx context.Context, id, passkey string) error {
	return c.RemoveOperatorPasskey(ctx, id, passkey)
}

package projectcmd

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/operatorclient"
	"github.com/keyward/keyward/core/ident"
)

// keeper tells of projects, and changes their keys: the store of a server, or its Operator API.
type keeper interface {
	list(context.Context) ([]shownProject, error)
	keys(ctx context.Context, project string) ([]shownKey, error)
	createKey(ctx context.Context, project, name string, permissions []string, lifetime time.Duration) (shownKey, error)
	revokeKey(ctx context.Context, project, key string) error
}

// byAPI gives a command the flag by which it calls the Operator API instead of the store.
func byAPI(cmd *cobra.Command) {
	command.OperatorURLFlag(cmd.Flags())
	cmd.Long = strings.TrimSpace(cmd.Long + "\n\n" + byAPIHelp)
}

const byAPIHelp = `With --operator-url it calls the Operator API of a server, with the token of an operator in
KEYWARD_OPERATOR_TOKEN, and needs nothing else of it.`

// withKeeper runs do with the projects of the server that the command's flags name: by the Operator API if they name that.
func withKeeper(cmd *cobra.Command, terminal command.Terminal, do func(context.Context, keeper) error) error {
	if !command.OperatorURLGiven(cmd, terminal) {
		return command.WithProjects(cmd, terminal, func(ctx context.Context, p *admin.Projects) error { return do(ctx, stored{p}) })
	}
	client, err := command.FindOperatorAPI(cmd, terminal)
	if err != nil {
		return err
	}
	return do(cmd.Context(), called{client})
}

// stored are the projects in the bucket of a server.
type stored struct{ *admin.Projects }

func (s stored) list(context.Context) ([]shownProject, error) {
	all := []shownProject{}
	for _, p := range s.List() {
		all = append(all, shown(p, ""))
	}
	return all, nil
}

func (s stored) keys(_ context.Context, project string) ([]shownKey, error) {
	found, err := s.Keys(project)
	all := []shownKey{}
	for _, k := range found {
		all = append(all, showKey(k, ""))
	}
	return all, err
}

func (s stored) createKey(
	ctx context.Context, project, name string, permissions []string, lifetime time.Duration,
) (shownKey, error) {
	made, text, err := s.CreateKey(ctx, project, name, permissions, lifetime, time.Now())
	return showKey(made, text), err
}

func (s stored) revokeKey(ctx context.Context, project, key string) error {
	return s.RevokeKey(ctx, project, key)
}

// called are the projects that the Operator API tells of.
type called struct{ *operatorclient.Client }

func (c called) list(ctx context.Context) ([]shownProject, error) {
	found, err := c.ListProjects(ctx)
	all := []shownProject{}
	for i := range found.Projects {
		p := &found.Projects[i]
		one := shownProject{
			ID: ident.ProjectID(p.ProjectID), Name: p.Name, RPID: p.RpID, RPName: p.RpName, Origins: p.Origins, Hosts: p.Hosts,
			Created: p.Created.UTC().Format(time.RFC3339),
		}
		if p.Cname != nil {
			one.CNAME = *p.Cname
		}
		if p.UserVerification != nil {
			one.Verify = *p.UserVerification
		}
		all = append(all, one)
	}
	return all, err
}

func (c called) keys(ctx context.Context, project string) ([]shownKey, error) {
	found, err := c.ListKeys(ctx, project)
	all := []shownKey{}
	for i := range found.Keys {
		all = append(all, keyTold(&found.Keys[i]))
	}
	return all, err
}

func keyTold(k *api.ProjectKey) shownKey {
	told := shownKey{ID: k.KeyID, Name: k.Name, Permissions: k.Permissions, Created: command.Timestamp(k.Created.UnixMilli())}
	if k.Expires != nil {
		told.Expires = command.Timestamp(k.Expires.UnixMilli())
	}
	return told
}

func (c called) createKey(
	ctx context.Context, project, name string, permissions []string, lifetime time.Duration,
) (shownKey, error) {
	asked := api.ProjectKeyCreateReq{Name: name, Permissions: permissions}
	if lifetime > 0 {
		asked.Seconds = new(int32(min(math.Ceil(lifetime.Seconds()), math.MaxInt32)))
	}
	made, err := c.CreateKey(ctx, project, asked)
	told := keyTold(&made.Key)
	told.Key = made.Text
	return told, err
}

func (c called) revokeKey(ctx context.Context, project, key string) error {
	return c.RevokeKey(ctx, project, key)
}

package operatorclient

import (
	"context"
	"fmt"
	"net/url"

	"github.com/keyward/keyward/api/operator"
)

const (
	revisions = "/policy/revisions"
	changes   = "/policy/changes"
	canary    = "/policy/canary"
	shadow    = "/policy/shadow"
)

// Me returns who calls.
func (c *Client) Me(ctx context.Context) (operator.Operator, error) {
	return get[operator.Operator](ctx, c, "/me")
}

// ListRevisions returns every revision of the policy, the newest first.
func (c *Client) ListRevisions(ctx context.Context) (operator.PolicyRevisionList, error) {
	return get[operator.PolicyRevisionList](ctx, c, revisions)
}

// PushRevision pushes a bundle.
func (c *Client) PushRevision(ctx context.Context, body operator.PolicyPushReq) (operator.PolicyRevision, error) {
	return post[operator.PolicyRevision](ctx, c, revisions, body)
}

// GetRevision returns a revision.
func (c *Client) GetRevision(ctx context.Context, number int32) (operator.PolicyRevision, error) {
	return get[operator.PolicyRevision](ctx, c, fmt.Sprintf("%s/%d", revisions, number))
}

// GetBundle returns a revision with its files.
func (c *Client) GetBundle(ctx context.Context, number int32) (operator.PolicyBundle, error) {
	return get[operator.PolicyBundle](ctx, c, fmt.Sprintf("%s/%d/bundle", revisions, number))
}

// ListChanges returns which revision was live when, the newest first.
func (c *Client) ListChanges(ctx context.Context) (operator.PolicyChangeList, error) {
	return get[operator.PolicyChangeList](ctx, c, changes)
}

// Change makes a revision live.
func (c *Client) Change(ctx context.Context, body operator.PolicyChangeReq) (operator.PolicyChange, error) {
	return post[operator.PolicyChange](ctx, c, changes, body)
}

// SteerCanary begins, raises, holds, promotes or ends a canary.
func (c *Client) SteerCanary(ctx context.Context, body operator.PolicyCanaryReq) (operator.PolicyChange, error) {
	return post[operator.PolicyChange](ctx, c, canary, body)
}

// GetCanary returns it, with what has become of both sides.
func (c *Client) GetCanary(ctx context.Context) (operator.PolicyCanary, error) {
	return get[operator.PolicyCanary](ctx, c, canary)
}

// SteerShadow begins or ends a shadow.
func (c *Client) SteerShadow(ctx context.Context, body operator.PolicyShadowReq) (operator.PolicyChange, error) {
	return post[operator.PolicyChange](ctx, c, shadow, body)
}

// GetShadow returns what it has seen.
func (c *Client) GetShadow(ctx context.Context) (operator.PolicyShadow, error) {
	return get[operator.PolicyShadow](ctx, c, shadow)
}

// Status returns by which revision every instance answers.
func (c *Client) Status(ctx context.Context) (operator.PolicyStatus, error) {
	return get[operator.PolicyStatus](ctx, c, "/policy/status")
}

// ListLists returns what operators have added to lists, without history.
func (c *Client) ListLists(ctx context.Context) (operator.OperatorListList, error) {
	return get[operator.OperatorListList](ctx, c, "/lists")
}

// GetList returns what operators have added to a list, and what they did.
func (c *Client) GetList(ctx context.Context, name string) (operator.OperatorList, error) {
	return get[operator.OperatorList](ctx, c, "/lists/"+url.PathEscape(name))
}

// ChangeList adds entries to a list, and removes such.
func (c *Client) ChangeList(ctx context.Context, name string, body operator.OperatorListChangeReq) (operator.OperatorList, error) {
	return post[operator.OperatorList](ctx, c, "/lists/"+url.PathEscape(name), body)
}

// ListSwitches returns the switches.
func (c *Client) ListSwitches(ctx context.Context) (operator.SwitchList, error) {
	return get[operator.SwitchList](ctx, c, "/switches")
}

// TurnSwitch turns a switch on or off.
func (c *Client) TurnSwitch(ctx context.Context, name string, body operator.SwitchReq) (operator.Switch, error) {
	return post[operator.Switch](ctx, c, "/switches/"+url.PathEscape(name), body)
}

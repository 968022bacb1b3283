package operatorclient

import (
	"context"
	"net/http"
	"net/url"

	"github.com/keyward/keyward/api/operator"
)

const (
	operators = "/operators"
	projects  = "/projects"
)

func remove(ctx context.Context, c *Client, path string) error {
	_, err := call[operator.Done](ctx, c, http.MethodDelete, path, nil)
	return err
}

// ListOperators returns those who have a token, or a passkey, the oldest first.
func (c *Client) ListOperators(ctx context.Context) (operator.OperatorAccountList, error) {
	return get[operator.OperatorAccountList](ctx, c, operators)
}

// CreateOperator makes an operator; the token is in this answer alone.
func (c *Client) CreateOperator(ctx context.Context, body operator.OperatorCreateReq) (operator.OperatorCreated, error) {
	return post[operator.OperatorCreated](ctx, c, operators, body)
}

// RevokeOperator revokes an operator.
func (c *Client) RevokeOperator(ctx context.Context, id string) error {
	return remove(ctx, c, operators+"/"+url.PathEscape(id))
}

// ListOperatorPasskeys returns the passkeys of an operator.
func (c *Client) ListOperatorPasskeys(ctx context.Context, id string) (operator.OperatorPasskeyList, error) {
	return get[operator.OperatorPasskeyList](ctx, c, operators+"/"+url.PathEscape(id)+"/passkeys")
}

// RemoveOperatorPasskey removes one.
func (c *Client) RemoveOperatorPasskey(ctx context.Context, id, passkey string) error {
	return remove(ctx, c, operators+"/"+url.PathEscape(id)+"/passkeys/"+url.PathEscape(passkey))
}

// ListProjects returns the projects that the operator sees.
func (c *Client) ListProjects(ctx context.Context) (operator.ProjectList, error) {
	return get[operator.ProjectList](ctx, c, projects)
}

// ListKeys returns the API keys of a project.
func (c *Client) ListKeys(ctx context.Context, project string) (operator.ProjectKeyList, error) {
	return get[operator.ProjectKeyList](ctx, c, projects+"/"+url.PathEscape(project)+"/keys")
}

// CreateKey makes an API key; its text is in this answer alone.
func (c *Client) CreateKey(ctx context.Context, project string, body operator.ProjectKeyCreateReq) (operator.ProjectKeyCreated, error) {
	return post[operator.ProjectKeyCreated](ctx, c, projects+"/"+url.PathEscape(project)+"/keys", body)
}

// RevokeKey revokes an API key.
func (c *Client) RevokeKey(ctx context.Context, project, key string) error {
	return remove(ctx, c, projects+"/"+url.PathEscape(project)+"/keys/"+url.PathEscape(key))
}

// ListWebhooks returns the webhook endpoints of a project.
func (c *Client) ListWebhooks(ctx context.Context, project string) (operator.ProjectWebhookList, error) {
	return get[operator.ProjectWebhookList](ctx, c, projects+"/"+url.PathEscape(project)+"/webhooks")
}

// PauseWebhook has deliveries to an endpoint wait, or go on.
func (c *Client) PauseWebhook(ctx context.Context, project, webhook string, body operator.WebhookPauseReq) error {
	path := projects + "/" + url.PathEscape(project) + "/webhooks/" + url.PathEscape(webhook) + "/pause"
	_, err := post[operator.Done](ctx, c, path, body)
	return err
}

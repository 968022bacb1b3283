package events

import (
	"context"
	"errors"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/core/service"
)

var _ service.Webhooks = (*Client)(nil)

// ServeWebhooks adds the calls of service.Webhooks to the events service's server.
func ServeWebhooks(server *rpc.Server, svc service.Webhooks) error {
	return errors.Join(
		rpc.Handle(server, "create-webhook", svc.CreateWebhook),
		rpc.Handle(server, "list-webhooks", svc.ListWebhooks),
		rpc.Handle(server, "update-webhook", svc.UpdateWebhook),
		rpc.Handle(server, "delete-webhook", svc.DeleteWebhook),
		rpc.Handle(server, "create-webhook-secret", svc.CreateWebhookSecret),
		rpc.Handle(server, "list-webhook-secrets", svc.ListWebhookSecrets),
		rpc.Handle(server, "delete-webhook-secret", svc.DeleteWebhookSecret),
		rpc.Handle(server, "list-webhook-deliveries", svc.ListWebhookDeliveries),
		rpc.Handle(server, "list-webhook-dead-letters", svc.ListWebhookDeadLetters),
		rpc.Handle(server, "replay-webhook-dead-letters", svc.ReplayWebhookDeadLetters),
	)
}

// CreateWebhook implements service.Webhooks.
func (c *Client) CreateWebhook(ctx context.Context, req service.ForProject[rest.WebhookEndpointCreateReq]) (rest.WebhookEndpoint, error) {
	return rpc.Call[rest.WebhookEndpoint](ctx, c.calls, "create-webhook", req)
}

// ListWebhooks implements service.Webhooks.
func (c *Client) ListWebhooks(ctx context.Context, req service.ForProject[service.Empty]) (rest.WebhookEndpointList, error) {
	return rpc.Call[rest.WebhookEndpointList](ctx, c.calls, "list-webhooks", req)
}

// UpdateWebhook implements service.Webhooks.
func (c *Client) UpdateWebhook(ctx context.Context, req service.ForProject[service.WebhookPatch]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "update-webhook", req)
}

// DeleteWebhook implements service.Webhooks.
func (c *Client) DeleteWebhook(ctx context.Context, req service.ForProject[ident.WebhookID]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "delete-webhook", req)
}

// CreateWebhookSecret implements service.Webhooks.
func (c *Client) CreateWebhookSecret(ctx context.Context, req service.ForWebhook[rest.WebhookSecretCreateReq]) (rest.WebhookSecret, error) {
	return rpc.Call[rest.WebhookSecret](ctx, c.calls, "create-webhook-secret", req)
}

// ListWebhookSecrets implements service.Webhooks.
func (c *Client) ListWebhookSecrets(ctx context.Context, req service.ForWebhook[service.Empty]) (rest.WebhookSecretList, error) {
	return rpc.Call[rest.WebhookSecretList](ctx, c.calls, "list-webhook-secrets", req)
}

// DeleteWebhookSecret implements service.Webhooks.
func (c *Client) DeleteWebhookSecret(ctx context.Context, req service.ForWebhook[string]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "delete-webhook-secret", req)
}

// ListWebhookDeliveries implements service.Webhooks.
func (c *Client) ListWebhookDeliveries(ctx context.Context, req service.ForWebhook[service.List]) (rest.WebhookDeliveryList, error) {
	return rpc.Call[rest.WebhookDeliveryList](ctx, c.calls, "list-webhook-deliveries", req)
}

// ListWebhookDeadLetters implements service.Webhooks.
func (c *Client) ListWebhookDeadLetters(ctx context.Context, req service.ForWebhook[service.List]) (rest.WebhookDeadLetterList, error) {
	return rpc.Call[rest.WebhookDeadLetterList](ctx, c.calls, "list-webhook-dead-letters", req)
}

// ReplayWebhookDeadLetters implements service.Webhooks.
func (c *Client) ReplayWebhookDeadLetters(ctx context.Context, req service.ForWebhook[rest.WebhookReplayReq]) (rest.WebhookReplayRsp, error) {
	return rpc.Call[rest.WebhookReplayRsp](ctx, c.calls, "replay-webhook-dead-letters", req)
}

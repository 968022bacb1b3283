package gateway

import (
	"context"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/route"
)

func forWebhook[T any](ctx context.Context, webhook string, body T) service.ForWebhook[T] {
	return service.ForWebhook[T]{Project: exchangeOf(ctx).project, Webhook: ident.WebhookID(webhook), Body: body}
}

// CreateWebhookEndpoint is POST /v2/webhookEndpoints.
func (h handlers) CreateWebhookEndpoint(ctx context.Context, r route.CreateWebhookEndpointRequestObject) (route.CreateWebhookEndpointResponseObject, error) {
	answer, err := h.webhooks.CreateWebhook(ctx, forProject(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.CreateWebhookEndpoint200JSONResponse(answer), nil
}

// ListWebhookEndpoints is GET /v2/webhookEndpoints.
func (h handlers) ListWebhookEndpoints(ctx context.Context, _ route.ListWebhookEndpointsRequestObject) (route.ListWebhookEndpointsResponseObject, error) {
	answer, err := h.webhooks.ListWebhooks(ctx, forProject(ctx, service.Empty{}))
	if err != nil {
		return nil, err
	}
	return route.ListWebhookEndpoints200JSONResponse(answer), nil
}

// UpdateWebhookEndpoint is PUT /v2/webhookEndpoints/{webhookEndpointID}.
func (h handlers) UpdateWebhookEndpoint(ctx context.Context, r route.UpdateWebhookEndpointRequestObject) (route.UpdateWebhookEndpointResponseObject, error) {
	if _, err := h.webhooks.UpdateWebhook(ctx, forProject(ctx, service.WebhookPatch{ID: ident.WebhookID(r.WebhookEndpointID), Changes: *r.Body})); err != nil {
		return nil, err
	}
	return route.UpdateWebhookEndpoint200JSONResponse{GenericJSONResponse: route.GenericJSONResponse(h.done(exchangeOf(ctx)))}, nil
}

// DeleteWebhookEndpoint is DELETE /v2/webhookEndpoints/{webhookEndpointID}.
func (h handlers) DeleteWebhookEndpoint(ctx context.Context, r route.DeleteWebhookEndpointRequestObject) (route.DeleteWebhookEndpointResponseObject, error) {
	if _, err := h.webhooks.DeleteWebhook(ctx, forProject(ctx, ident.WebhookID(r.WebhookEndpointID))); err != nil {
		return nil, err
	}
	return route.DeleteWebhookEndpoint200JSONResponse{GenericJSONResponse: route.GenericJSONResponse(h.done(exchangeOf(ctx)))}, nil
}

// CreateWebhookSecret is POST /v2/webhookEndpoints/{webhookEndpointID}/secrets.
func (h handlers) CreateWebhookSecret(ctx context.Context, r route.CreateWebhookSecretRequestObject) (route.CreateWebhookSecretResponseObject, error) {
	answer, err := h.webhooks.CreateWebhookSecret(ctx, forWebhook(ctx, r.WebhookEndpointID, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.CreateWebhookSecret200JSONResponse(answer), nil
}

// ListWebhookSecrets is GET /v2/webhookEndpoints/{webhookEndpointID}/secrets.
func (h handlers) ListWebhookSecrets(ctx context.Context, r route.ListWebhookSecretsRequestObject) (route.ListWebhookSecretsResponseObject, error) {
	answer, err := h.webhooks.ListWebhookSecrets(ctx, forWebhook(ctx, r.WebhookEndpointID, service.Empty{}))
	if err != nil {
		return nil, err
	}
	return route.ListWebhookSecrets200JSONResponse(answer), nil
}

// DeleteWebhookSecret is DELETE /v2/webhookEndpoints/{webhookEndpointID}/secrets/{secretID}.
func (h handlers) DeleteWebhookSecret(ctx context.Context, r route.DeleteWebhookSecretRequestObject) (route.DeleteWebhookSecretResponseObject, error) {
	if _, err := h.webhooks.DeleteWebhookSecret(ctx, forWebhook(ctx, r.WebhookEndpointID, r.SecretID)); err != nil {
		return nil, err
	}
	return route.DeleteWebhookSecret200JSONResponse{GenericJSONResponse: route.GenericJSONResponse(h.done(exchangeOf(ctx)))}, nil
}

// ListWebhookDeliveries is GET /v2/webhookEndpoints/{webhookEndpointID}/deliveries.
func (h handlers) ListWebhookDeliveries(ctx context.Context, r route.ListWebhookDeliveriesRequestObject) (route.ListWebhookDeliveriesResponseObject, error) {
	answer, err := h.webhooks.ListWebhookDeliveries(ctx, forWebhook(ctx, r.WebhookEndpointID, page(r.Params.Sort, r.Params.Filter, r.Params.Page, r.Params.PageSize)))
	if err != nil {
		return nil, err
	}
	return route.ListWebhookDeliveries200JSONResponse(answer), nil
}

// ListWebhookDeadLetters is GET /v2/webhookEndpoints/{webhookEndpointID}/deadLetters.
func (h handlers) ListWebhookDeadLetters(ctx context.Context, r route.ListWebhookDeadLettersRequestObject) (route.ListWebhookDeadLettersResponseObject, error) {
	answer, err := h.webhooks.ListWebhookDeadLetters(ctx, forWebhook(ctx, r.WebhookEndpointID, page(r.Params.Sort, r.Params.Filter, r.Params.Page, r.Params.PageSize)))
	if err != nil {
		return nil, err
	}
	return route.ListWebhookDeadLetters200JSONResponse(answer), nil
}

// ReplayWebhookDeadLetters is POST /v2/webhookEndpoints/{webhookEndpointID}/deadLetters/replay.
func (h handlers) ReplayWebhookDeadLetters(ctx context.Context, r route.ReplayWebhookDeadLettersRequestObject) (route.ReplayWebhookDeadLettersResponseObject, error) {
	answer, err := h.webhooks.ReplayWebhookDeadLetters(ctx, forWebhook(ctx, r.WebhookEndpointID, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.ReplayWebhookDeadLetters200JSONResponse(answer), nil
}

package events

import (
	"context"
	"slices"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/events/internal/webhook"
)

// maxSecrets bounds the secrets of an endpoint, and so the signatures of a delivery.
const maxSecrets = 10

// CreateWebhookSecret implements service.Webhooks. Secrets that have expired go.
func (w *Webhooks) CreateWebhookSecret(
	ctx context.Context, req service.ForWebhook[rest.WebhookSecretCreateReq],
) (rest.WebhookSecret, error) {
	now := w.deps.Clock()
	made := webhook.NewSecret(now)
	seconds := req.Body.ExpireOthersInSeconds
	if seconds != nil && (*seconds < 0 || *seconds > maxOverlap) {
		return rest.WebhookSecret{}, fault.Field("expireOthersInSeconds", "must be from 0 to %d", maxOverlap)
	}
	_, err := w.update(ctx, req.Project, req.Webhook, func(e *webhook.Endpoint) error {
		e.Secrets = slices.DeleteFunc(e.Secrets, func(s webhook.Secret) bool { return !s.Active(now) })
		if seconds != nil {
			expireAt(e.Secrets, now.Add(time.Duration(*seconds)*time.Second).UnixMilli())
		}
		if len(e.Secrets) >= maxSecrets {
			return fault.Field(webhookField, "has %d secrets already: delete one first", maxSecrets)
		}
		e.Secrets = append(e.Secrets, made)
		return nil
	})
	if err != nil {
		return rest.WebhookSecret{}, err
	}
	w.tell(ctx, audit.WebhookUpdated, req.Project, req.Webhook, "secrets")
	answer := secretOnWire(made)
	answer.Secret = new(made.Value.Reveal())
	return answer, nil
}

const maxOverlap = 30 * 24 * 60 * 60 // s

// expireAt lets secrets end at a time, unless they end sooner.
func expireAt(secrets []webhook.Secret, ms int64) {
	for i := range secrets {
		if secrets[i].ExpiresMs == 0 || secrets[i].ExpiresMs > ms {
			secrets[i].ExpiresMs = ms
		}
	}
}

// ListWebhookSecrets implements service.Webhooks: those that deliveries are signed with, oldest first.
func (w *Webhooks) ListWebhookSecrets(ctx context.Context, req service.ForWebhook[service.Empty]) (rest.WebhookSecretList, error) {
	e, err := w.get(ctx, req.Project, req.Webhook)
	if err != nil {
		return rest.WebhookSecretList{}, err
	}
	answer := rest.WebhookSecretList{Secrets: []rest.WebhookSecret{}}
	for _, s := range e.Secrets {
		if s.Active(w.deps.Clock()) {
			answer.Secrets = append(answer.Secrets, secretOnWire(s))
		}
	}
	return answer, nil
}

// DeleteWebhookSecret implements service.Webhooks. One secret that does not expire has to remain: a delivery that nobody signed
// would be worse than none.
func (w *Webhooks) DeleteWebhookSecret(ctx context.Context, req service.ForWebhook[string]) (service.Empty, error) {
	now := w.deps.Clock()
	_, err := w.update(ctx, req.Project, req.Webhook, func(e *webhook.Endpoint) error {
		at := slices.IndexFunc(e.Secrets, func(s webhook.Secret) bool { return s.ID == req.Body && s.Active(now) })
		if at < 0 {
			return fault.Unknown("secretID")
		}
		e.Secrets = slices.Delete(e.Secrets, at, at+1)
		if !slices.ContainsFunc(e.Secrets, func(s webhook.Secret) bool { return s.ExpiresMs == 0 }) {
			return fault.Field("secretID", "is the last one that does not expire and cannot be removed: add another first")
		}
		return nil
	})
	if err == nil {
		w.tell(ctx, audit.WebhookUpdated, req.Project, req.Webhook, "secrets")
	}
	return service.Empty{}, err
}

func secretOnWire(s webhook.Secret) rest.WebhookSecret {
	return rest.WebhookSecret{ID: s.ID, CreatedMs: s.CreatedMs, ExpiresMs: present(s.ExpiresMs)}
}

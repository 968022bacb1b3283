package settings

import "github.com/keyward/keyward/cmd/keyward/app/settings/value"

func (c *Config) webhookSettings() []Setting {
	w := &c.Webhooks
	return []Setting{
		{
			Section: "Webhooks", Key: "webhooks_allow_http", Value: value.Bool{P: &w.AllowHTTP},
			Doc:  "Whether webhook endpoints may be http: true or false.",
			Note: "Over http whoever is on the way reads the events. Signatures still show whether one was changed.",
		},
		{
			Section: "Webhooks",
			Key:     "webhooks_allow_private",
			Value:   value.Bool{P: &w.AllowPrivate},
			Doc:     "Whether webhook endpoints may be on private, loopback and link-local addresses: true or false.",
			Note: "Then whoever may create endpoints can make Keyward send requests to machines that are reached from its network only. " +
				"Addresses are judged after names were resolved.",
		},
		{
			Section: "Webhooks", Key: "webhooks_allow_cidrs", Value: value.List{P: &w.AllowCIDRs},
			Doc: "Private address ranges that webhook endpoints may be on all the same, such as 10.1.0.0/16.",
		},
		{
			Section: "Webhooks", Key: "webhooks_per_project", Value: value.Int{P: &w.PerProject},
			Doc: "How many webhook endpoints a project may have.",
		},
		{
			Section: "Webhooks", Key: "webhooks_timeout", Value: value.Duration{P: &w.Timeout},
			Doc: "How long one delivery may take, from dialling to the end of the answer; then it has failed.",
		},
		{
			Section: "Webhooks", Key: "webhooks_concurrency", Value: value.Int{P: &w.Concurrency},
			Doc:  "How many deliveries to one endpoint are under way at once, each of another user.",
			Note: "Eight times as many events are held in memory for an endpoint.",
		},
		{
			Section: "Webhooks", Key: "webhooks_max_attempts", Value: value.Int{P: &w.MaxAttempts},
			Doc:  "How often an event is tried before it becomes a dead letter.",
			Note: "With the default intervals 22 attempts take about a day. Until then the user's later events wait.",
		},
		{
			Section: "Webhooks", Key: "webhooks_retry_min", Value: value.Duration{P: &w.RetryMin},
			Doc: "The first retry comes within this time, the second within twice of it, and so on; when exactly is drawn.",
		},
		{
			Section: "Webhooks", Key: "webhooks_retry_max", Value: value.Duration{P: &w.RetryMax},
			Doc: "The longest interval between two attempts, unless the endpoint asks for a longer one with Retry-After.",
		},
		{
			Section: "Webhooks", Key: "webhooks_lease", Value: value.Duration{P: &w.Lease},
			Doc:  "After how long without a sign of life others take over the endpoints of an instance; the same in all of them.",
			Note: "With the embedded NATS a restarted process goes on at once.",
		},
		{
			Section: "Webhooks", Key: "webhooks_deliveries_max_age", Value: value.Duration{P: &c.NATS.WebhookDeliveriesMaxAge, Zero: "forever"},
			Doc: "How long the delivery log is kept.",
		},
		{
			Section: "Webhooks", Key: "webhooks_deliveries_max_bytes", Value: value.Bytes[int64]{P: &c.NATS.WebhookDeliveriesMaxBytes},
			Doc: "How much disk the delivery log may take; the oldest go first.",
		},
		{
			Section: "Webhooks", Key: "webhooks_dead_max_age", Value: value.Duration{P: &c.NATS.WebhookDeadMaxAge, Zero: "forever"},
			Doc: "How long dead letters are kept; forever keeps them until they are delivered or their endpoint is deleted.",
		},
	}
}

package remote

// repeatable returns the methods of a service that may be called twice to the same effect as once: they read, or decide, and a decision
// that nobody heard of is a record more.
func repeatable(service string) []string {
	return map[string][]string{
		"ceremony": {
			"list-users", "get-user", "list-credentials", "list-challenges", "list-identifiers", "list-user-social-accounts",
			"list-social-accounts", "list-password-managers", "list-sessions", "get-user-long-session", "get-long-session", "keys",
			"list-connect-tokens", "get-session-config", "get-process-config", "get-user-details-config",
		},
		"decision": {"login", "append", "mediation", "rollout", "explain-decision"},
		"events":   {"list", "list-webhooks", "list-webhook-secrets", "list-webhook-deliveries", "list-webhook-dead-letters"},
	}[service]
}

// seeded returns the methods of a service that may be called twice to the same effect as once with one seed. An event has an ID, its own or
// the seed's, by which the log knows it. A start is a decision, and of two offers in one process one is answered.
func seeded(service string) []string {
	return map[string][]string{
		"ceremony": {"login-start", "mediation-start"},
		"events":   {"create", "append"},
	}[service]
}

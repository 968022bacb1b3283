package settings

import (
	"slices"

	"github.com/keyward/keyward/cmd/keyward/app/settings/signin"
	"github.com/keyward/keyward/cmd/keyward/app/settings/value"
	"github.com/keyward/keyward/cmd/keyward/app/settings/workbench"
)

// EnvPrefix starts the name of every environment variable that Keyward reads.
const EnvPrefix = value.EnvPrefix

// Setting is the public side of one configuration value.
type Setting = value.Setting

// Settings returns every setting, bound to c: setting a value changes c.
func (c *Config) Settings() []Setting {
	return slices.Concat(
		c.processSettings(), c.callSettings(), c.edgeSettings(), c.httpSettings(), c.limitSettings(), c.operatorSettings(),
		c.grpcSettings(), c.ceremonySettings(), c.sessionSettings(), c.decisionSettings(), c.codeSettings(),
		c.natsSettings(), c.retentionSettings(), c.redisSettings(), c.webhookSettings(), c.bootstrapSettings(),
	)
}

func (c *Config) processSettings() []Setting {
	return []Setting{
		{
			Section: "Process", Key: "services", Value: value.List{P: &c.Services},
			Doc:  "The services that this process runs: all, or some of gateway, ceremony, decision, events.",
			Note: "Services that run elsewhere are called over NATS, so anything but all needs nats_url.",
		},
		{
			Section: "Process", Key: "data_dir", Value: value.Text{P: &c.NATS.DataDir},
			Doc:  "The directory of the embedded NATS server: everything that is stored, and the credentials of its listener.",
			Note: "Unused with nats_url. One process at a time can use it.",
		},
		{
			Section: "Process", Key: "log_level", Value: value.Level{P: &c.LogLevel},
			Doc: "The least important level that is logged: debug, info, warn or error.",
		},
		{
			Section: "Process",
			Key:     "shutdown_delay",
			Value:   value.Duration{P: &c.ShutdownDelay},
			Doc: "How long after SIGTERM a gateway goes on taking calls while /readyz says down and each answer closes its connection, 0s to " +
				"5m.",
			Note: "Behind a load balancer set it to what the balancer takes to notice: then a rolling restart loses no call. shutdown_grace " +
				"begins after it.",
		},
		{
			Section: "Process", Key: "shutdown_grace", Value: value.Duration{P: &c.ShutdownGrace},
			Doc: "How long calls under way may take to finish after SIGTERM.",
		},
		{
			Section: "Process",
			Key:     "memory_limit",
			Value:   value.Bound{P: &c.MemoryLimit, None: "auto"},
			Doc: "How much memory the process is to take before it collects what it needs no more, at least 64MiB. auto is 220MiB with all " +
				"services and 128MiB with some, but at most three quarters of what its control group may take.",
			Note: "What is in use may need more, and then gets it. The program itself and SQLite come on top, some 60 MiB. GOMEMLIMIT and " +
				"GOGC, if one of them is set, take its place.",
		},
		{
			Section: "Process",
			Key:     "integrity_interval",
			Value:   value.Duration{P: &c.MarkInterval},
			Doc: "How often the ceremony service compares how far each stream is with how far it was, and notes it. 0s = never, not at the " +
				"start either.",
			Note: "It costs one small write. What a crash leaves unnoted is not missed: what was stored since the last note and is lost again.",
		},
	}
}

func (c *Config) edgeSettings() []Setting {
	return []Setting{
		{
			Section: "Listeners", Key: "http_addr", Value: value.Text{P: &c.HTTP.Addr},
			Doc: "Where the Backend API and the user service listen, with HTTP/1.1.",
		},
		{
			Section: "Listeners",
			Key:     "grpc_addr",
			Value:   value.Text{P: &c.HTTP.GRPCAddr},
			Doc:     "Where the user service listens for gRPC, or off.",
			Note: "It speaks HTTP/2, without TLS by prior knowledge, and HTTP/1.1 for JSON, Connect and gRPC-web. Reflection and health are " +
				"here too, without credentials.",
		},
		{
			Section: "Listeners", Key: "admin_addr", Value: value.Text{P: &c.AdminAddr},
			Doc: "Where metrics, health and version are served; it asks for no credentials, so keep it private.",
		},
		{
			Section: "Listeners", Key: "admin_profiles", Value: value.Bool{P: &c.AdminProfiles},
			Doc: "Whether the admin port has Go's profiles below /debug/pprof/, which cost work and tell what the process does.",
		},
		{
			Section: "Listeners", Key: "nats_addr", Value: value.Text{P: &c.NATS.Addr},
			Doc:  "Where the embedded NATS server listens for NATS tools and keyward commands, or off.",
			Note: "Its URL with credentials is in nats-url in the data directory, readable by the owner only.",
		},
		{
			Section: "Listeners",
			Key:     "tls_cert",
			Value:   value.Text{P: &c.HTTP.TLSCert},
			Doc:     "A PEM file with the certificate of this server and its chain; empty serves without TLS.",
			Note: "A changed file is used within two seconds, without a restart; if it cannot be used, the certificate before it stays and " +
				"keyward_tls_reload_failures_total counts. TLS is 1.2 or later.",
		},
		{
			Section: "Listeners", Key: "tls_key", Value: value.Text{P: &c.HTTP.TLSKey},
			Doc: "A PEM file with the key of tls_cert.",
		},
		{
			Section: "Listeners",
			Key:     "tls_dev",
			Value:   value.Bool{P: &c.TLSDev},
			Doc:     "Whether to serve with a certificate of a local authority, for development with clients that call https alone: true or false.",
			Note: "Both are made in a directory beside data_dir, with -tls behind its name, which only its owner reads. The authority can speak " +
				"for localhost and the host of " +
				"frontend_url alone. docs/sdks.md says how clients come to trust it.",
		},
		{
			Section: "Listeners", Key: "tls_ports", Value: value.Text{P: &c.HTTP.TLSPorts},
			Doc:  "Which ports use the certificate: both, http (http_addr) or grpc (grpc_addr).",
			Note: "The admin port and the embedded NATS never do.",
		},
	}
}

func (c *Config) httpSettings() []Setting {
	return []Setting{
		{
			Section: "HTTP", Key: "body_limit", Value: value.Bytes[int]{P: &c.HTTP.BodyLimit},
			Doc: "The largest request body that is read, except of calls of the user service (see grpc_max_message) and of a policy that " +
				"an operator pushes (3.5MiB).",
		},
		{
			Section: "HTTP", Key: "header_limit", Value: value.Bytes[int]{P: &c.HTTP.HeaderLimit},
			Doc: "The largest request line with headers that is read.",
		},
		{
			Section: "HTTP", Key: "read_timeout", Value: value.Duration{P: &c.HTTP.ReadTimeout},
			Doc: "How long a client may take to send a request.",
		},
		{
			Section: "HTTP", Key: "idle_timeout", Value: value.Duration{P: &c.HTTP.IdleTimeout},
			Doc: "How long an idle connection is kept open.",
		},
		{
			Section: "HTTP", Key: "request_timeout", Value: value.Duration{P: &c.HTTP.RequestTimeout},
			Doc: "How long one request may take; then it is answered 503.",
		},
		{
			Section: "HTTP", Key: "concurrency", Value: value.Int{P: &c.HTTP.MaxInFlight},
			Doc: "How many requests are worked on at once, of both ports together; more are answered 503.",
		},
	}
}

func (c *Config) limitSettings() []Setting {
	return []Setting{
		{
			Section: "HTTP", Key: "max_connections", Value: value.Int{P: &c.HTTP.MaxConnections},
			Doc:  "How many connections may be open at once, of both ports together; more are closed at once.",
			Note: "0 is three quarters of the files that the process may open.",
		},
		{
			Section: "HTTP", Key: "max_connections_address", Value: value.Int{P: &c.HTTP.MaxConnectionsAddr},
			Doc:  "The same from one address, of IPv6 from one network of 64 bits.",
			Note: "trusted_proxies, which stand for many, may have all.",
		},
		{
			Section: "HTTP", Key: "rate_limit_project", Value: value.Limit{P: &c.HTTP.RateProject},
			Doc:  "How many calls of one project are answered in how long; more are answered 429. off has no limit.",
			Note: "Counted in memory; gateways that share a Redis learn of one another's calls about ten times a second.",
		},
		{
			Section: "HTTP", Key: "rate_limit_address", Value: value.Limit{P: &c.HTTP.RateAddress},
			Doc: "The same for calls from one address, of IPv6 from one network of 64 bits.",
		},
		{
			Section: "HTTP", Key: "rate_limit_failures", Value: value.Limit{P: &c.HTTP.RateFailures},
			Doc:  "How many wrong credentials one address may send in how long; then it is answered 429 for a while whatever else it guesses.",
			Note: "The right API secret, API keys and access tokens are taken from that address all the same.",
		},
		{
			Section: "HTTP", Key: "trusted_proxies", Value: value.Networks{P: &c.HTTP.TrustedProxies},
			Doc: "Networks of proxies whose X-Forwarded-For is believed, for limits by address; empty believes none.",
		},
		{
			Section: "HTTP", Key: "log_addresses", Value: value.Text{P: &c.HTTP.LogAddresses},
			Doc:  "How much of a client's address is in the request log: whole, network (the first 24 bits of IPv4, 48 of IPv6) or none.",
			Note: "Behind proxies it is the proxy's, unless trusted_proxies names it.",
		},
		{
			Section: "HTTP", Key: "rate_limit_processes", Value: value.Limit{P: &c.HTTP.RateProcesses},
			Doc:  "How many processes of the Frontend API visitors of one project begin from one address in how long; more are answered 429.",
			Note: "A process is begun by each visit to a sign-in page and needs no credentials. Behind proxies, set trusted_proxies.",
		},
		{
			Section: "HTTP", Key: "rate_limit_sign_ups", Value: value.Limit{P: &c.HTTP.RateSignUps},
			Doc: "The same for users who sign up, each of whom is kept.",
		},
		{
			Section: "HTTP", Key: "rate_limit_lookups", Value: value.Limit{P: &c.HTTP.RateLookups},
			Doc:  "The same for logins that begin with an identifier, whose answers tell who has a passkey.",
			Note: "One a second goes on for an office behind one address; to try a list of a million takes that address twelve days.",
		},
		{
			Section: "HTTP", Key: "sse_max_streams", Value: value.Int{P: &c.HTTP.MaxStreams},
			Doc:  "How many clients may follow GET /v2/events/stream at once; more are answered 503.",
			Note: "Streams do not count as requests that are worked on. One takes about 20 kB and a file descriptor.",
		},
		{
			Section: "HTTP", Key: "sse_max_streams_project", Value: value.Int{P: &c.HTTP.MaxStreamsProject},
			Doc:  "How many of them one project may have.",
			Note: "0 is a quarter of sse_max_streams, so that no project can take the streams of all others.",
		},
		{
			Section: "HTTP",
			Key:     "hsts_max_age",
			Value:   value.Duration{P: &c.HTTP.HSTSMaxAge},
			Doc: "How long browsers are told to use https alone for a host that was answered with the certificate of tls_cert; 0s = they are " +
				"not told.",
			Note: "Hosts named localhost are never told: all that runs there would be meant. Behind a proxy that ends TLS, the proxy says it.",
		},
		{
			Section: "HTTP", Key: "development_over_https", Value: value.Bool{P: &c.DevOverHTTPS},
			Doc:  "Whether trying_page, and codes printed to the terminal, may be on although frontend_url is https at another name than localhost.",
			Note: "Without it such a process does not start: others sign in there.",
		},
		{
			Section: "HTTP",
			Key:     "trying_page",
			Value:   value.Bool{P: &c.HTTP.TryingPage},
			Doc:     "Whether / is a page to sign up and sign in with passkeys that shows what was decided and why; without it, / leads to /docs.",
			Note: "Turn it off in production: it lets anybody sign up who reaches it, and its calls below /v2/trial tell whoever has the ID of " +
				"a decision why it was made.",
		},
	}
}

func (c *Config) operatorSettings() []Setting {
	return append(signin.Settings(&c.OperatorOIDC, &c.Console), []Setting{
		{
			Section: "HTTP", Key: "operator_api", Value: value.Bool{P: &c.HTTP.OperatorAPI},
			Doc:  "Whether the Operator API is served below /operator/v1, by which operators push the policy and make it live.",
			Note: "Without it, nobody changes the policy of the store over HTTP. Operators are made with keyward operator create.",
		},
		{
			Section: "HTTP", Key: "operator_session", Value: value.Duration{P: &c.OperatorSession},
			Doc: "How long somebody who has signed in to the console stays signed in.",
		},
		{
			Section: "HTTP", Key: "console", Value: value.Bool{P: &c.HTTP.Console},
			Doc:  "Whether the console is at /console: what is decided and why, what becomes of it, and how the policy changes.",
			Note: "It asks the Operator API alone, with the token of whoever signs in, and is not there without it.",
		},
	}...)
}

func (c *Config) grpcSettings() []Setting {
	return []Setting{
		{
			Section: "User service", Key: "grpc_max_message", Value: value.Bytes[int]{P: &c.HTTP.GRPCMaxMessage},
			Doc:  "The largest message of the user service that is read, on both ports and in every protocol: 64KiB to 64MiB.",
			Note: "A publicKeyCredential may have 1,048,576 characters.",
		},
		{
			Section: "User service", Key: "grpc_max_streams", Value: value.Int{P: &c.HTTP.GRPCMaxStreams},
			Doc: "How many calls one HTTP/2 connection may have under way at once; more wait in the client.",
		},
		{
			Section: "User service", Key: "grpc_keepalive", Value: value.Duration{P: &c.HTTP.GRPCKeepalive},
			Doc:  "How long an HTTP/2 connection may be silent before it is pinged, at least 1s; one that does not answer within 15s is closed.",
			Note: "A connection without calls is closed after idle_timeout.",
		},
	}
}

func (c *Config) ceremonySettings() []Setting {
	return []Setting{
		{
			Section: "Ceremonies", Key: "challenge_ttl", Value: value.Duration{P: &c.Ceremony.ChallengeTTL},
			Doc: "How long after a start call its finish call is accepted: 30s to 1h, and no longer than challenge_max_age.",
		},
		{
			Section: "Ceremonies", Key: "handle_max_age", Value: value.Duration{P: &c.Ceremony.HandleMaxAge},
			Doc: "How long the handle of a client environment is recognised after it was issued.",
		},
		{
			Section: "Ceremonies", Key: "user_verification", Value: value.Text{P: &c.Ceremony.UserVerification},
			Doc: "WebAuthn user verification that logins ask for: required or preferred.",
		},
		{
			Section: "Ceremonies", Key: "max_passkeys", Value: value.Int{P: &c.Ceremony.MaxPasskeys},
			Doc:  "How many passkeys a user may have: 1 to 1000; who has as many is offered no other.",
			Note: "People have a handful. Passkeys that are there already, or imported, stay.",
		},
		{
			Section: "Ceremonies", Key: "address_storage", Value: value.Text{P: &c.Ceremony.AddressStorage},
			Doc: "How much of a client's address events and records of decisions keep: truncated (of events the first address of its network, " +
				"which is the first 24 bits of IPv4, 48 of IPv6; of records the network), token (tokens of it and of its network, by the " +
				"project's key, and never its text) or full (of events all of it).",
			Note: "What was written before keeps what it has. All processes are to have the same.",
		},
	}
}

func (c *Config) sessionSettings() []Setting {
	return []Setting{
		{
			Section: "Sessions", Key: "session_lifetime", Value: value.Duration{P: &c.Ceremony.SessionLifetime},
			Doc:  "How long a session lasts at most: 1m to 9600h.",
			Note: "Sessions that exist keep what they were created with.",
		},
		{
			Section: "Sessions", Key: "session_inactivity", Value: value.Duration{P: &c.Ceremony.SessionInactivity},
			Doc: "How long a session lasts without being used: 1m to session_lifetime.",
		},
		{
			Section: "Sessions", Key: "sessions_max_age", Value: value.Duration{P: &c.NATS.SessionsMaxAge},
			Doc:  "How long a session is kept after its last change; at least session_lifetime.",
			Note: "It is listed for that long after it has ended. The sessions of a user who is deleted are removed at once.",
		},
		{
			Section: "Sessions", Key: "short_session_lifetime", Value: value.Duration{P: &c.Ceremony.ShortSessionLifetime},
			Doc:  "How long a token of a session is valid: 1m to 24h.",
			Note: "A token is verified without asking Keyward, so a revoked session, or a disabled user, ends for others after that long.",
		},
		{
			Section: "Sessions",
			Key:     "frontend_url",
			Value:   value.Text{P: &c.Ceremony.FrontendURL},
			Doc:     "The issuer (iss) of the session tokens of projects without a CNAME; verifiers compare it exactly.",
			Note: "If it is not set, it follows http_addr: the name localhost with its port. The tokens of a project with a CNAME are issued " +
				"by https:// and the CNAME.",
		},
		{
			Section: "Sessions", Key: "host_proof", Value: value.Text{P: &c.Ceremony.HostProof},
			Doc: "What a project shows before it gets a CNAME over the API: dns or none.",
			Note: "dns asks for the TXT record _keyward.<host> with keyward-project=<project ID> as soon as there is more than one project. " +
				"keyward project frontend set asks for nothing: it is the operator's word.",
		},
		{
			Section: "Sessions",
			Key:     "signing_key_max_age",
			Value:   value.Duration{P: &c.Ceremony.SigningKeyMaxAge},
			Doc:     "How long a key signs sessions and signed passkey data before the next one does; at least 24h.",
			Note: "The next key is published an hour before it signs, and an old one a day after it last signed. keyward project signing-keys " +
				"rotate does it now.",
		},
	}
}

func (c *Config) decisionSettings() []Setting {
	return slices.Concat([]Setting{
		{
			Section: "Decisions",
			Key:     "policies",
			Value:   value.Text{P: &c.Decision.PoliciesDir},
			Doc:     "A directory with the Rego bundle; empty uses the bundle inside the binary.",
			Note: "A change of its files is picked up while running. A bundle that does not compile or fails its own tests is refused and the " +
				"last good one stays.",
		},
	}, c.sourceSettings(), c.fileSettings(), []Setting{
		{
			Section: "Decisions", Key: "lookup_timeout", Value: value.Duration{P: &c.Decision.LookupTimeout},
			Doc:  "How long reading a user's account and history may take, and storing what a login start offers; then the safe default answers.",
			Note: "It takes milliseconds, but while the log changes its leader nobody answers. Less than call_timeout, or the caller has left.",
		},
		{
			Section: "Decisions", Key: "policy_timeout", Value: value.Duration{P: &c.Decision.EvalTimeout},
			Doc: "How long the evaluation of a policy may take; then the safe default answers.",
		},
		{
			Section: "Decisions", Key: "policy_poll", Value: value.Duration{P: &c.Decision.Poll},
			Doc:  "How often the files of policies are compared with what answers, beside the notices that the system sends of changes.",
			Note: "Not every change sends one: a link above the directory that is swapped, a file behind a link, a file system of the network.",
		},
		{
			Section: "Decisions", Key: "policy_check_timeout", Value: value.Duration{P: &c.Decision.CheckTimeout},
			Doc: "How long the check of a changed bundle may take, all its tests included; at least 1s.",
		},
		{
			Section: "Decisions", Key: "policy_retry_longest", Value: value.Duration{P: &c.Decision.RetryLongest},
			Doc:  "The longest wait before a bundle is checked again whose check ran out of time or memory; at least 1s.",
			Note: "What the check lacked may be there later. Waits begin at policy_poll and double. A bundle that is refused waits for a change.",
		},
		{
			Section: "Decisions", Key: "policy_check_memory", Value: value.Bytes[int64]{P: &c.Decision.CheckMemory},
			Doc:  "How much memory the process that checks a changed bundle may take; at least 256MiB.",
			Note: "A check runs as keyward policy check, beside the server, which goes on with the last good bundle whatever the rules do.",
		},
		{
			Section: "Decisions", Key: "policy_max_age", Value: value.Duration{P: &c.Decision.MaxAge},
			Doc: "How long a process may answer by another revision than what is live in the store, or without knowing which is; at least 1m, " +
				"0s = for ever. Beyond it the safe defaults answer, which offer nothing, and readiness is down.",
			Note: "It concerns processes without policies_dir. They switch within a second; one that cannot says so at once, in readiness and in " +
				"keyward policy status.",
		},
		{
			Section: "Decisions", Key: "policy_four_eyes", Value: value.Bool{P: &c.FourEyes},
			Doc:  "Whether a revision of the policy is made live by another operator than the one who pushed it.",
			Note: "Going back to what was live before takes one.",
		},
		{
			Section: "Decisions", Key: "policy_memo", Value: value.Int{P: &c.Decision.MemoEntries},
			Doc:  "How many answers of the policy are remembered, for facts that agree on everything its rules read; 0 turns it off.",
			Note: "An entry takes about 1 kB. A changed bundle starts with none. The metrics keyward_policy_memo_* show what it brings.",
		},
		{
			Section: "Decisions", Key: "decisions_queue", Value: value.Int{P: &c.Decision.RecordQueue},
			Doc:  "How many decisions may wait in memory to be recorded; more are lost and counted.",
			Note: "What waits when the process is killed is lost: SIGTERM records it first.",
		},
	}, workbench.Settings(&c.Index, &c.IndexDir), workbench.Counting(&c.Adoption, &c.AdoptionDir))
}

// fileSettings are of what decisions are made from beside the policy.
func (c *Config) fileSettings() []Setting {
	return []Setting{
		{
			Section: "Decisions", Key: "lists_dir", Value: value.Text{P: &c.Decision.Files.ListsDir},
			Doc: "The directory of the files that lists of the policy name; empty = there are none.",
			Note: "A file has one network or address a line, at most 5 million, and comments behind #. Looked at every 2s by size, time and " +
				"content; if a change cannot be read, what was read before stays and readiness says degraded. Replace files by renaming.",
		},
		{
			Section: "Decisions", Key: "geo_country_db", Value: value.Text{P: &c.Decision.Files.CountryDB},
			Doc: "A database of the countries that addresses are in, in the MaxMind DB format; empty = the one of cities, if there is one.",
			Note: "None is shipped. It is copied into memory and looked through, and a changed file is taken up within seconds; what cannot be " +
				"used, readiness tells, and what was read before stays. The same holds for the other two.",
		},
		{
			Section: "Decisions", Key: "geo_city_db", Value: value.Text{P: &c.Decision.Files.CityDB},
			Doc:  "The same with latitude and longitude, which travel rests on; empty = nobody is located.",
			Note: "Events keep both to half a degree.",
		},
		{
			Section: "Decisions", Key: "geo_asn_db", Value: value.Text{P: &c.Decision.Files.ASNDB},
			Doc: "The same with numbers of autonomous systems; empty = none is known.",
		},
		{
			Section: "Decisions", Key: "geo_max_age", Value: value.Duration{P: &c.Decision.Files.MaxAge},
			Doc: "How old a database of locations may be before readiness says degraded; it is used all the same. 0s = any age.",
		},
		{
			Section: "Decisions", Key: "mds_source", Value: value.Text{P: &c.Decision.Metadata.Source},
			Doc: "What models of authenticators are known by: off, the path of a blob of FIDO's metadata service (MDS, version 3), or the " +
				"address to get it from, https://mds3.fidoalliance.org/.",
			Note: "It is verified before it counts, and never replaced by an older one; what was good last stays, in the store, for all " +
				"processes. A file is looked at every policy_poll, the address asked once a day. Set it, mds_root and mds_name alike for the " +
				"decision and the ceremony service. FIDO's terms hold for what it says.",
		},
		{
			Section: "Decisions", Key: "mds_root", Value: value.Text{P: &c.Decision.Metadata.Root},
			Doc: "A PEM file with the root certificates that what has signed the blob must lead to; empty = GlobalSign's Root CA, FIDO's.",
		},
		{
			Section: "Decisions", Key: "mds_name", Value: value.Text{P: &c.Decision.Metadata.Name},
			Doc: "The host name that the certificate is for that has signed the blob.",
		},
		{
			Section: "Decisions", Key: "mds_grace", Value: value.Duration{P: &c.Decision.Metadata.Grace},
			Doc: "How long a blob may be overdue, by the day on which it says that there is another one, before readiness says degraded; it is " +
				"used all the same.",
		},
	}
}

func (c *Config) codeSettings() []Setting {
	return []Setting{
		{
			Section: "Codes",
			Key:     "delivery",
			Value:   value.Text{P: &c.Delivery.Kind},
			Doc: "How one-time codes and links reach users: outbox (printed, for development), smtp, webhook or off; empty is outbox with the " +
				"embedded NATS, otherwise off.",
			Note: "When a challenge has been created, the delivery has taken it. With off, challenges are answered 503.",
		},
		{
			Section: "Codes", Key: "delivery_timeout", Value: value.Duration{P: &c.Delivery.Timeout},
			Doc: "How long a delivery may take, with what is tried again: 100ms to 1m; less than request_timeout and call_timeout.",
		},
		{
			Section: "Codes",
			Key:     "smtp_url",
			Value:   value.URL{P: &c.Delivery.SMTPURL},
			Secret:  true,
			Doc: "The mail server of the delivery smtp: smtp://user:password@host:587 requires STARTTLS, smtps://user:password@host:465 " +
				"begins with TLS.",
			Note: "smtp+plain://host:25 does without TLS, for a server on the same machine. Text messages cannot be sent by email and are " +
				"refused.",
		},
		{
			Section: "Codes", Key: "smtp_from", Value: value.Text{P: &c.Delivery.SMTPFrom},
			Doc: "The sender of emails, such as Shop <no-reply@example.com>.",
		},
		{
			Section: "Codes", Key: "delivery_webhook_url", Value: value.Secret{P: &c.Delivery.WebhookURL}, Secret: true,
			Doc:  "Where the delivery webhook posts codes and links to, as JSON; a 2xx means that it takes them.",
			Note: "The webhook-id is the challengeID, so a repeat can be told. Redirects are not followed.",
		},
		{
			Section: "Codes", Key: "delivery_webhook_secret", Value: value.Secret{P: &c.Delivery.WebhookSecret}, Secret: true,
			Doc: "What these posts are signed with, as Standard Webhooks has it: whsec_ and the base64 form of 24 to 64 bytes.",
		},
		{
			Section: "Codes",
			Key:     "code_sends",
			Value:   value.Limit{P: &c.Ceremony.CodeSends},
			Doc:     "How many codes and links are sent to one identifier in how long, or off; more are answered 429.",
			Note: "Of sign-ups and logins: how many one address may ask for, of IPv6 a network of 64 bits. Counted for all instances together, " +
				"in the store.",
		},
		{
			Section: "Codes", Key: "code_sends_total", Value: value.Limit{P: &c.Ceremony.CodeSendsTotal},
			Doc:  "How many codes and links of sign-ups and logins are sent to one identifier in how long, whoever asks for them, or off.",
			Note: "More than code_sends, so that a stranger who asks for codes leaves room for whom the identifier belongs to.",
		},
		{
			Section: "Codes",
			Key:     "code_guesses",
			Value:   value.Limit{P: &c.Ceremony.CodeGuesses},
			Doc:     "How many wrong codes in a row are taken for one account before the next one has to wait, and the first wait; or off.",
			Note: "Each further wait is twice as long, up to code_guesses_wait; they outlive processes. Ten are two codes mistyped five times. " +
				"A right one ends the count.",
		},
		{
			Section: "Codes", Key: "code_guesses_from", Value: value.Limit{P: &c.Ceremony.CodeGuessesFrom},
			Doc:  "The same for one address, for whichever accounts of a project; or off.",
			Note: "More than code_guesses, since several people may share an address.",
		},
		{
			Section: "Codes",
			Key:     "code_guesses_wait",
			Value:   value.Duration{P: &c.Ceremony.CodeGuessesWait},
			Doc:     "The longest wait after wrong codes: 1m to 24h.",
			Note: "With 1h, whoever guesses all day gets 40 guesses at one in a million. The count begins anew after 24 of them without a " +
				"wrong code.",
		},
		{
			Section: "Codes", Key: "code_guesses_stop", Value: value.Int{P: &c.Ceremony.CodeGuessesStop},
			Doc: "After how many wrong codes in a row none is taken for an account any more, until the user has signed in with a passkey or the " +
				"backend has set the user's status to active; at most 100, or 0 for never.",
			Note: "100 is the most that NIST SP 800-63B-4 section 3.2.2 allows. Waits of code_guesses do not end this count: it is kept with the " +
				"account.",
		},
	}
}

func (c *Config) bootstrapSettings() []Setting {
	return []Setting{
		{
			Section: "First start", Key: "bootstrap_project_id", Value: value.Text{P: &c.Bootstrap.ProjectID},
			Doc: "ID of the project that is created when the store holds none.",
		},
		{
			Section: "First start", Key: "bootstrap_api_secret", Value: value.Secret{P: &c.Bootstrap.APISecret}, Secret: true,
			Doc: "API secret of that project, beginning with corbado1_; empty draws one and prints it once.",
		},
		{
			Section: "First start", Key: "bootstrap_rp_id", Value: value.Text{P: &c.Bootstrap.RPID},
			Doc:  "WebAuthn relying party ID of that project: the domain its passkeys belong to.",
			Note: "A passkey is bound to it for good.",
		},
		{
			Section: "First start", Key: "bootstrap_origins", Value: value.List{P: &c.Bootstrap.Origins},
			Doc:  "Origins that ceremonies and CORS accept, on the relying party ID or its subdomains.",
			Note: "If they are not set, they follow frontend_url.",
		},
		{
			Section: "First start", Key: "bootstrap_related_origins", Value: value.List{P: &c.Bootstrap.Related},
			Doc: "Origins on other domains that may use the relying party ID, of at most five registrable labels.",
			Note: "Browsers fetch https://<relying party ID>/.well-known/webauthn to see that they are named (WebAuthn Level 3, related origins), " +
				"so that host must be answered by Keyward.",
		},
	}
}

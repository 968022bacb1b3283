package settings

import (
	"github.com/keyward/keyward/cmd/keyward/app/settings/value"
	"github.com/keyward/keyward/core/account"
)

func (c *Config) natsSettings() []Setting {
	return []Setting{
		{
			Section: "Storage",
			Key:     "nats_url",
			Value:   value.URL{P: &c.NATS.URL},
			Secret:  true,
			Doc:     "URL of an external NATS server or cluster with JetStream, several servers separated by commas; empty starts the embedded one.",
			Note: "What survives a power cut is then the server's configuration: with sync_interval: always in its jetstream block every " +
				"acknowledged write does.",
		},
		{
			Section: "Storage", Key: "nats_credentials", Value: value.Text{P: &c.NATS.CredentialsFile},
			Doc: "A NATS .creds file for the external server; empty uses what the URL holds.",
		},
		{
			Section: "Storage",
			Key:     "encryption_key",
			Value:   value.Secret{P: &c.EncryptionKey},
			Secret:  true,
			Doc: "What secrets are stored under: the base64 form of 32 bytes, as openssl rand -base64 32 makes it; empty is the file " +
				"encryption-key in data_dir, with nats_url none.",
			Note: "Read by processes that run ceremony or events, and by keyward project. Of several keys, separated by commas, the first " +
				"encrypts and all decrypt; a start encrypts anew what is not under the first. Lost keys cannot be replaced: without them everybody " +
				"has to log in again, and webhook secrets have to be made anew.",
		},
		{
			Section: "Storage",
			Key:     "nats_replicas",
			Value:   value.Int{P: &c.NATS.Replicas},
			Doc:     "How many servers of the external cluster keep each stream and bucket: 1 to 5.",
			Note: "1 survives the restart of the server, and the loss of no disk. 3 survives the loss of one server or disk, 5 of two; each " +
				"write then waits for a majority. What has more keeps it, so that nobody takes from it what it survives a disk with by leaving this " +
				"out: keyward provision --lower-replicas does.",
		},
		{
			Section: "Storage", Key: "nats_provisioned", Value: value.Bool{P: &c.NATS.Provisioned},
			Doc:  "Whether streams and buckets are created and changed by keyward provision alone: services wait for them.",
			Note: "Then no service needs the permission to create a stream, with which it could copy and erase all others.",
		},
		{
			Section: "Storage", Key: "nats_start_timeout", Value: value.Duration{P: &c.NATS.StartTimeout},
			Doc: "How long a start waits for NATS to be reachable and its streams to exist.",
		},
		{
			Section: "Storage",
			Key:     "nats_ping_interval",
			Value:   value.Duration{P: &c.NATS.PingInterval},
			Doc:     "How often a silent NATS server is pinged, 100ms to 1m; one that leaves three unanswered is left for another.",
			Note: "Of several servers in nats_url one that hangs is noticed after four intervals at most. Shorter ones take a server under " +
				"load for one that hangs.",
		},
		{
			Section: "Storage",
			Key:     "disk_reserve",
			Value:   value.Bytes[int64]{P: &c.NATS.DiskReserve},
			Doc: "How much of the volume of data_dir stays free, at least 16MiB: with less, writes are answered 503 at once and /readyz says " +
				"so, until there is a quarter more.",
			Note: "Reads go on. The logs that are bounded in bytes, except that of events, take half of the volume at most, whatever they are " +
				"bounded to.",
		},
		{
			Section: "Storage",
			Key:     "sync_interval",
			Value:   value.Duration{P: &c.NATS.SyncInterval, Zero: "always"},
			Doc:     "How often the embedded NATS flushes events, accounts and projects to disk; always flushes before each acknowledgement.",
			Note: "always survives a power cut with every acknowledged write, at 234 µs a write in process and about 5,000 writes a second in " +
				"all; passkey events that come together share their flushes, so that several times as many are stored. With an interval such as 2s " +
				"the death of the process loses nothing, a power cut the writes of the last interval; a write takes about 20 µs.",
		},
	}
}

func (c *Config) retentionSettings() []Setting {
	return []Setting{
		{
			Section: "Storage",
			Key:     "events_max_age",
			Value:   value.Duration{P: &c.NATS.EventsMaxAge, Zero: "forever"},
			Doc:     "How long passkey events are kept; forever keeps them until they are deleted.",
			Note: "At least 1h. Decisions see only events that are kept, so a shorter age also shortens cooldowns and blacklists. An event " +
				"that a cache holds may be seen for events_cache_ttl longer. A subscriber that was away for longer than the age misses what went " +
				"meanwhile.",
		},
		{
			Section: "Storage",
			Key:     "events_max_bytes",
			Value:   value.Bound{P: &c.NATS.EventsMaxBytes, None: "unlimited"},
			Doc:     "How much disk passkey events may take; the oldest go first, whoever's they are.",
			Note: "At least 64MiB; an event takes about 600 bytes. A guard against a full disk rather than a way to forget: who is seldom seen " +
				"is forgotten first, with the cooldowns and blacklists that came of the events, and so are the events that a subscriber has not " +
				"read. The disk space is reserved when the stream is made.",
		},
		{
			Section: "Storage",
			Key:     "offers_max_age",
			Value:   value.Duration{P: &c.NATS.OffersMaxAge},
			Doc:     "How long login offers are kept: at least 1h, the time a login start speaks for its process.",
			Note: "They are flushed in the background: they survive the death of the process, and a power cut may lose the last moments. No " +
				"acknowledged event and no login under way depends on them. The last 64 of a user are kept, and listed as the user's challenges.",
		},
		{
			Section: "Storage", Key: "offers_max_bytes", Value: value.Bound{P: &c.NATS.OffersMaxBytes, None: "unlimited"},
			Doc:  "How much disk login offers may take; the oldest go first.",
			Note: "At least 64MiB; an offer takes about 1 kB.",
		},
		{
			Section: "Storage", Key: "unproven_events", Value: value.Limit{P: &c.Unproven},
			Doc: "How many refused logins of a user are recorded in how long, and how many events that clients tell without a proof, or off.",
			Note: "Whoever knows a user's name can cause them without end. What comes beyond is answered alike and counted in a metric, and one " +
				"login-events-limited tells subscribers; nobody's login is refused for it. A process may have a quarter. Events without a proof are " +
				"counted by themselves for each environment that the user has signed in from. At most 1000 in 1s to 24h.",
		},
		{
			Section: "Storage",
			Key:     "challenge_max_age",
			Value:   value.Duration{P: &c.NATS.ChallengeMaxAge},
			Doc:     "How long a challenge is shown, finished or not.",
			Note: "Those of creations are flushed in the background: a power cut may lose the ceremonies of its last moments, whose users " +
				"then start again. That a challenge has been finished is on disk before the finish call returns.",
		},
		{
			Section: "Storage", Key: "decisions_max_age", Value: value.Duration{P: &c.NATS.DecisionsMaxAge},
			Doc:  "How long recorded decisions are kept.",
			Note: "Flushed in the background and never on the caller's path: 60,000 to 80,000 records a second.",
		},
		{
			Section: "Storage", Key: "decisions_max_bytes", Value: value.Bytes[int64]{P: &c.NATS.DecisionsMaxBytes},
			Doc: "How much disk recorded decisions may take; the oldest go first.",
		},
		{
			Section: "Storage", Key: "audit_max_age", Value: value.Duration{P: &c.NATS.AuditMaxAge, Zero: "forever"},
			Doc:  "How long security events are kept; forever keeps them all.",
			Note: "At least 1h. The year that PCI DSS 10.5.1 asks for and a month to collect them; they are few, and cannot be deleted before.",
		},
	}
}

func (c *Config) redisSettings() []Setting {
	return []Setting{
		{
			Section: "Storage",
			Key:     "redis_url",
			Value:   value.URL{P: &c.Redis.URL},
			Secret:  true,
			Doc: "URL of a Redis (redis://, rediss://, unix://, redis+sentinel://user:password@host:port,host:port/master/database, or " +
				"redis+cluster://user:password@host:port,host:port); empty uses a cache inside the process with the embedded NATS, and none with " +
				"nats_url.",
			Note: "Redis holds no only copy: losing it, or its content, loses nothing and makes the next reads slower. While it is away, and " +
				"without one, reads go to the log and each event and each change of an account takes about 0.1 s longer to acknowledge.",
		},
		{
			Section: "Storage", Key: "redis_timeout", Value: value.Duration{P: &c.Redis.Timeout},
			Doc: "How long dialling, reading and writing Redis may each take before the log answers instead; together at most a third of the " +
				"time that the caller has left, and 1.7s.",
		},
		{
			Section: "Storage", Key: "redis_pool_size", Value: value.Int{P: &c.Redis.PoolSize},
			Doc: "How many connections to Redis are kept; 0 is ten for each processor.",
		},
		{
			Section: "Storage", Key: "embedded_cache_max_bytes", Value: value.Bytes[int64]{P: &c.Events.Memory},
			Doc: "How much memory the cache inside the process may take, without redis_url, at least 1MiB: what was asked for least lately " +
				"goes first, and a history that takes more than a sixteenth is not kept.",
			Note: "An event takes about 700 bytes. The history of a user who is not in it is read from the log.",
		},
		{
			Section: "Storage", Key: "events_cache_ttl", Value: value.Duration{P: &c.Events.TTL},
			Doc: "How long a user's events stay in Redis, or in the cache inside the process, after they were read from the log.",
		},
		{
			Section: "Storage", Key: "events_near_cache", Value: value.Int{P: &c.Events.Near},
			Doc: "How many events a process that decides keeps decoded beside Redis, of all users together, of one at most a sixteenth; 0 is " +
				"none.",
			Note: "They are used after Redis has confirmed that they are all there is. 100,000 take about 40 MB.",
		},
		{
			Section: "Storage", Key: "accounts_near_cache", Value: value.Count{P: &c.AccountsNear, None: account.Auto, Word: "auto"},
			Doc: "How many accounts a process that runs ceremonies keeps decoded, counted as ones with three passkeys, of 2 KiB: larger ones " +
				"count for more, and smaller for less. 0 is none; auto is an eleventh of memory_limit, 10,240 of 220MiB.",
			Note: "They are used after Redis has confirmed that they are up to date. A start of a user who is not among them reads the account.",
		},
		{
			Section: "Storage",
			Key:     "read_model_dir",
			Value:   value.Text{P: &c.ReadModelDir},
			Doc: "A directory for the file that answers lists of users, identifiers, sessions and tokens, of this process only; empty is " +
				"readmodel in data_dir, with nats_url a temporary directory.",
			Note: "It holds no only copy: a file that is missing, damaged or old is made again from the stored entries while the service runs, " +
				"and lists are answered 503 until it is. A file that survives a restart saves that.",
		},
	}
}

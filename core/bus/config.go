package bus

import (
	"errors"
	"fmt"
	"time"
)

// Config says which NATS to use and how durable it is.
type Config struct {
	URL             string // external NATS; empty = embedded server
	CredentialsFile string // NATS .creds file for the external server; empty = what the URL holds
	Addr            string // where the embedded server listens for NATS tools; "off" = in-process only
	DataDir         string // directory of the embedded server; unused with URL
	// Embedded server: 0 = every acknowledged write is on disk first; otherwise the longest that a power cut may lose
	SyncInterval time.Duration
	Replicas     int // of streams and buckets; more than 1 needs an external cluster
	// Lowers says that streams and buckets that have more replicas lose some. Without it they keep what they have: a setting that is missing
	// on one machine must not take from all what their data survives a disk with.
	Lowers bool

	OffersMaxAge      time.Duration
	DecisionsMaxAge   time.Duration
	DecisionsMaxBytes int64         // bytes; the oldest decisions go first
	AuditMaxAge       time.Duration // of security events; 0 = for ever
	EventsMaxAge      time.Duration // 0 = for ever
	EventsMaxBytes    int64         // bytes; the oldest events of all users go first; 0 = unlimited
	OffersMaxBytes    int64         // bytes; the oldest login offers go first; 0 = unlimited
	ChallengeMaxAge   time.Duration // how long a challenge is kept, finished or not
	CodesMaxAge       time.Duration // how long a one-time code or link is kept, used or not
	SessionsMaxAge    time.Duration // how long a session is kept after its last change; at least as long as one lasts
	IdempotencyMaxAge time.Duration // how long the answer to a call with an Idempotency-Key is kept

	WebhookDeadMaxAge         time.Duration // how long an event that a webhook endpoint did not take is kept; 0 = for ever
	WebhookDeliveriesMaxAge   time.Duration // of the delivery log
	WebhookDeliveriesMaxBytes int64         // bytes; the oldest deliveries go first

	StartTimeout time.Duration // for connecting and creating streams
	PingInterval time.Duration // how often a silent server is pinged; one that does not answer three times is left
	DiskReserve  int64         // embedded server: bytes of its volume that stay free; below that nothing is written

	// Provided says that another process creates the streams and buckets, and changes them: this one waits until they are there.
	Provided bool

	// Sees says that this process may look at every stream, so that it need not take the last one that is made for all of them.
	Sees bool
}

// minLogBytes is the least that a log is bounded to: what is being worked on at the moment must not be pushed out by what comes meanwhile.
const minLogBytes = 64 << 20

// minReserve is what the server may need for itself while writes are refused: indexes, state of consumers, deletions.
const minReserve = 16 << 20

// DefaultConfig returns the configuration of a laptop: embedded, durable.
func DefaultConfig() Config {
	return Config{
		Addr:              "off",
		DataDir:           "data",
		Replicas:          1,
		OffersMaxAge:      6 * time.Hour,
		DecisionsMaxAge:   30 * 24 * time.Hour,
		DecisionsMaxBytes: 4 << 30,
		AuditMaxAge:       400 * 24 * time.Hour,
		ChallengeMaxAge:   15 * time.Minute,
		CodesMaxAge:       25 * time.Hour,
		SessionsMaxAge:    90 * 24 * time.Hour,
		IdempotencyMaxAge: 24 * time.Hour,
		StartTimeout:      time.Minute,
		PingInterval:      time.Second,
		DiskReserve:       64 << 20,

		WebhookDeliveriesMaxAge:   7 * 24 * time.Hour,
		WebhookDeliveriesMaxBytes: 1 << 30,
	}
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	if c.URL == "" && c.DataDir == "" {
		errs = append(errs, errors.New("data_dir: cannot be blank without a NATS URL"))
	}
	if c.URL == "" && c.Replicas > 1 {
		errs = append(errs, fmt.Errorf("nats_replicas: must be 1 with the embedded NATS, not %d", c.Replicas))
	}
	if c.Replicas < 1 || c.Replicas > 5 {
		errs = append(errs, fmt.Errorf("nats_replicas: must be between 1 and 5, not %d", c.Replicas))
	}
	if c.ChallengeMaxAge < time.Minute {
		errs = append(errs, errors.New("challenge_max_age: must be at least one minute"))
	}
	if c.CodesMaxAge < 25*time.Hour {
		errs = append(errs, errors.New("codes_max_age: must be at least 25h, an hour more than the longest lifetime of a code"))
	}
	if c.SessionsMaxAge < time.Hour {
		errs = append(errs, errors.New("sessions_max_age: must be at least one hour"))
	}
	if c.IdempotencyMaxAge < time.Minute {
		errs = append(errs, errors.New("idempotency_max_age: must be at least one minute"))
	}
	for name, bytes := range map[string]int64{"events_max_bytes": c.EventsMaxBytes, "offers_max_bytes": c.OffersMaxBytes} {
		if bytes != 0 && bytes < minLogBytes {
			errs = append(errs, fmt.Errorf("%s: must be at least 64MiB, or unlimited, not %d bytes", name, bytes))
		}
	}
	if c.PingInterval < 100*time.Millisecond || c.PingInterval > time.Minute {
		errs = append(errs, errors.New("nats_ping_interval: must be between 100ms and 1m"))
	}
	if c.DiskReserve < minReserve {
		errs = append(errs, errors.New("disk_reserve: must be at least 16MiB"))
	}
	if c.EventsMaxAge != 0 && c.EventsMaxAge < time.Hour {
		errs = append(errs, errors.New("events_max_age: must be at least one hour, or forever"))
	}
	if c.AuditMaxAge != 0 && c.AuditMaxAge < time.Hour {
		errs = append(errs, errors.New("audit_max_age: must be at least one hour, or forever"))
	}
	if c.OffersMaxAge < time.Hour {
		errs = append(errs, errors.New("offers_max_age: must be at least one hour, the time a login start speaks for its process"))
	}
	return errors.Join(errs...)
}

package bus

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Streams. Subjects are <prefix>.<project>.<user>.<type or action>.
const (
	EventsStream    = "PASSKEY_EVENTS"
	OffersStream    = "PASSKEY_OFFERS"
	DecisionsStream = "PASSKEY_DECISIONS"
	AuditStream     = "PASSKEY_AUDIT" // what was done to the installation; subjects are <prefix>.<project or _>.<type>

	// What the delivery of events to webhook endpoints keeps. Subjects are <prefix>.<project>.<endpoint>.<user>, and of all but the heads a
	// last token: of retries and dead letters the event ID, of deliveries the outcome. All that they hold of a user is purged by these
	// subjects.
	WebhookRetriesStream    = "WEBHOOK_RETRIES"    // events that wait to be delivered again, and how far each user's first one is
	WebhookDeadStream       = "WEBHOOK_DEAD"       // events that were given up
	WebhookDeliveriesStream = "WEBHOOK_DELIVERIES" // what became of each attempt

	EventsPrefix    = "passkey.events"
	OffersPrefix    = "passkey.offers"
	DecisionsPrefix = "passkey.decisions"
	AuditPrefix     = "passkey.audit"

	WebhookRetriesPrefix    = "webhook.retries"
	WebhookHeadsPrefix      = "webhook.heads"     // in the stream of retries
	WebhookPositionsPrefix  = "webhook.positions" // there, too: up to where each endpoint has got, <prefix>.<project>.<endpoint>
	WebhookDeadPrefix       = "webhook.dead"
	WebhookDeliveriesPrefix = "webhook.deliveries"
)

// ErasureConsumer is the durable consumer of the stream of events that all instances share to hear of deleted users. It is made with the
// stream: who reads with it needs no permission to make consumers, which deliver wherever they are told to.
const ErasureConsumer = "erasure"

// maxErased is how many deletions may await their time; later ones wait to be read.
const maxErased = 10_000

func erasure() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       ErasureConsumer,
		FilterSubject: EventsPrefix + ".*.*.user-deleted",
		AckPolicy:     jetstream.AckExplicitPolicy,
		MaxAckPending: maxErased, // each waits for its time
	}
}

// PoliciesBucket is the object store that keeps the files of every policy revision that answered lately, under the hash of their content.
const PoliciesBucket = "policy-bundles"

// Buckets of the policy's revisions.
const (
	// Revision.<number>: a revision that was pushed, whose files are in PoliciesBucket; change.<number>: which was made live, by whom
	ReleasesBucket  = "policy-releases"
	TrialsBucket    = "policy-trials"    // <change>.<instance>: what it has counted of a canary, or seen by a shadow
	InstancesBucket = "policy-instances" // <instance>: by which revision an instance of the decision service answers
)

// OperatorsBucket keeps who runs the installation and writes its policy: <operator>.
const OperatorsBucket = "operators"

// InstancesMaxAge is how long an instance counts that says nothing more: three times as long as it is ever silent.
const InstancesMaxAge = 15 * time.Second

// trialsMaxAge is for how long what was counted of a canary can be looked at.
const trialsMaxAge = 90 * 24 * time.Hour

// MetadataBucket is the object store that keeps what FIDO's metadata service says of authenticators, as it was signed.
const MetadataBucket = "authenticator-metadata"

// Key-value buckets.
const (
	AccountsBucket     = "accounts"          // <project>.<user>: one document an account
	CredentialsBucket  = "credential-index"  // <project>.<hash of the WebAuthn credential ID>: whose it is
	ProjectsBucket     = "projects"          // <project>
	ChallengesBucket   = "challenges"        // <project>.<user or _>.<challenge>: creations under way
	MarksBucket        = "challenge-marks"   // <project>.<user or _>.<challenge, or ceremony>: what became of one no longer pending
	EpochsBucket       = "cache-epochs"      // which cache entries may still be trusted
	IdentifiersBucket  = "identifier-index"  // <project>.<type>.<hash of the value>: whose identifier or social account it is
	KeysBucket         = "signing-keys"      // <project>: the keys that tokens are signed with
	ProjectKeysBucket  = "project-keys"      // <project>: the root secrets that tokens, handles and codes are made with
	SessionsBucket     = "sessions"          // <project>.<session>
	SessionIndexBucket = "session-index"     // <project>.<user>.<session>, without a value: which sessions a user has
	TokensBucket       = "connect-tokens"    // <project>.<connect token>
	CodesBucket        = "codes"             // <project>.<user>.<challenge>: one-time codes and links under way
	NobodiesBucket     = "wrong-codes"       // <project>.<hash of an identifier that is nobody's>: how many wrong codes were given for it
	SpentBucket        = "spent-tokens"      // <project>.<token ID>: signed passkey data that was used
	WebhooksBucket     = "webhook-endpoints" // <project>.<endpoint>
	// Instance.<name>, owner.<project>.<endpoint>, wake.<project>.<endpoint>: who delivers to which endpoint
	WebhookWorkBucket  = "webhook-work"
	ProcessesBucket    = "processes"       // <project>.<process>: sign-ups, logins and Connect processes under way
	StepUpsBucket      = "stepups"         // <project>.<step-up>: further proofs that are waited for, with what was withheld
	AttestationsBucket = "attestations"    // <project>.<user>.<passkey>: what authenticators said of themselves when they made passkeys
	IdempotencyBucket  = "idempotency"     // <project>.<hash of the key>: what a call with an Idempotency-Key was answered
	IntegrityBucket    = "store-integrity" // how far the store had come, and what was found missing since
)

// OffersPerSubject bounds the login offers that are kept of one user and type.
const OffersPerSubject = 64

// The server remembers the ID of every message for this long, in memory. Observations are many, and nobody publishes one again but the
// client, at once.
const (
	duplicateWindow            = 2 * time.Minute
	observationDuplicateWindow = 5 * time.Second
)

// maxNobodies bounds what strangers may fill by giving wrong codes for names that they invent, of some 200 bytes each. Of more the oldest
// go.
const maxNobodies = 1_000_000

// spentMaxAge is how long a spent token is remembered: longer than any is valid.
const spentMaxAge = 15 * time.Minute

// processesMaxAge is how long a process is kept after its last change: longer than any lasts.
const processesMaxAge = 2 * time.Hour

// stepUpsMaxAge is how long a step-up is kept after its last change: longer than a policy can have any be valid.
const stepUpsMaxAge = 65 * time.Minute

// tokensMaxAge is how long a connect token is kept after its last change: a day longer than any is valid.
const tokensMaxAge = 48 * time.Hour

// clockMargin is how far the clocks of two instances may be apart.
const clockMargin = time.Minute

// unlimited is what JetStream calls a limit that there is not.
const unlimited int64 = -1

func (b *Bus) streams(cfg Config) []jetstream.StreamConfig {
	events := b.log(EventsStream, EventsPrefix)
	events.MaxAge, events.MaxBytes = cfg.EventsMaxAge, cmp.Or(cfg.EventsMaxBytes, unlimited)
	// Appends that come together are stored as one (core/eventlog).
	events.AllowAtomicPublish = true

	offers := b.observations(b.log(OffersStream, OffersPrefix))
	offers.MaxAge, offers.MaxBytes = cfg.OffersMaxAge, cmp.Or(cfg.OffersMaxBytes, unlimited)
	offers.MaxMsgsPerSubject = OffersPerSubject
	offers.AllowBatchPublish = b.Conn != nil && takesBatches(b.Conn.ConnectedServerVersion())

	decisions := b.observations(b.log(DecisionsStream, DecisionsPrefix))
	decisions.MaxAge = cfg.DecisionsMaxAge
	decisions.MaxBytes = cfg.DecisionsMaxBytes
	decisions.AllowBatchPublish = offers.AllowBatchPublish

	// What is told of those who run the installation is not theirs to take back.
	audit := b.log(AuditStream, AuditPrefix)
	audit.MaxAge, audit.DenyDelete, audit.DenyPurge = cfg.AuditMaxAge, true, true

	challenges := b.observations(b.bucket(ChallengesBucket))
	challenges.MaxAge = cfg.ChallengeMaxAge

	// Of the same age as the challenges would be too young by what the clocks of two instances differ.
	marks := b.bucket(MarksBucket)
	marks.MaxAge = cfg.ChallengeMaxAge + clockMargin

	// What a bucket with an age forgets is of no more use: it has expired by what its entries say.
	codes, spent, idempotency := b.bucket(CodesBucket), b.bucket(SpentBucket), b.bucket(IdempotencyBucket)
	codes.MaxAge, spent.MaxAge, idempotency.MaxAge = cfg.CodesMaxAge, spentMaxAge, cfg.IdempotencyMaxAge

	// Without an age: what accounts count in themselves has none, and by a difference one could tell who exists.
	nobodies := b.bucket(NobodiesBucket)
	nobodies.MaxMsgs, nobodies.Discard = maxNobodies, jetstream.DiscardOld

	processes := b.observations(b.bucket(ProcessesBucket))
	processes.MaxAge = processesMaxAge

	// Flushed: what was redeemed is not to be had once more.
	stepUps := b.bucket(StepUpsBucket)
	stepUps.MaxAge = stepUpsMaxAge

	retries := b.log(WebhookRetriesStream, WebhookRetriesPrefix)
	retries.Subjects = append(retries.Subjects, WebhookHeadsPrefix+".>", WebhookPositionsPrefix+".>")
	retries.MaxMsgsPerSubject = 1
	// Who takes over an endpoint must see what the one before wrote last, so with replicas it is read from the leader.
	retries.AllowDirect = b.replicas == 1
	dead := b.log(WebhookDeadStream, WebhookDeadPrefix)
	dead.MaxMsgsPerSubject = 1
	dead.MaxAge = cfg.WebhookDeadMaxAge
	deliveries := b.observations(b.log(WebhookDeliveriesStream, WebhookDeliveriesPrefix))
	deliveries.MaxAge, deliveries.MaxBytes = cfg.WebhookDeliveriesMaxAge, cfg.WebhookDeliveriesMaxBytes

	instances := b.observations(b.bucket(InstancesBucket))
	instances.MaxAge = InstancesMaxAge
	trials := b.observations(b.bucket(TrialsBucket))
	trials.MaxAge = trialsMaxAge

	sessions, sessionIndex, tokens := b.bucket(SessionsBucket), b.bucket(SessionIndexBucket), b.bucket(TokensBucket)
	// An entry of the index is never written again, and its session may be until that has expired.
	sessions.MaxAge, sessionIndex.MaxAge, tokens.MaxAge = cfg.SessionsMaxAge, 2*cfg.SessionsMaxAge, tokensMaxAge
	return []jetstream.StreamConfig{
		offers, decisions, audit, retries, dead, deliveries, challenges, marks,
		b.bucket(AccountsBucket), b.bucket(CredentialsBucket), b.bucket(ProjectsBucket), b.bucket(EpochsBucket),
		b.bucket(IdentifiersBucket), b.bucket(KeysBucket), b.bucket(ProjectKeysBucket), b.bucket(WebhooksBucket), b.bucket(WebhookWorkBucket),
		codes, nobodies, spent, processes, stepUps, idempotency, sessions, sessionIndex, tokens,
		b.bucket(ReleasesBucket), instances, trials, b.bucket(OperatorsBucket),
		b.objects(PoliciesBucket), b.objects(MetadataBucket), b.bucket(AttestationsBucket), b.bucket(IntegrityBucket), b.probes(),
		events, // last: who waits for all waits for it
	}
}

// takesBatches reports whether a server knows batches that are not atomic, in which observations are sent (core/flow). An older one refuses
// streams that take them.
func takesBatches(version string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 2 || major == 2 && minor >= 14
}

func (b *Bus) log(name, prefix string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:       name,
		Subjects:   []string{prefix + ".>"},
		Storage:    jetstream.FileStorage,
		Replicas:   b.replicas,
		Discard:    jetstream.DiscardOld,
		Duplicates: duplicateWindow,
		// Batch reads need direct access.
		AllowDirect: true,
	}
}

// bucket returns the stream behind a key-value bucket. It is spelled out because the client's own bucket configuration lacks the persist
// mode, and always allows direct reads, which a follower may answer with what was true a moment ago; on several replicas reads go to the
// leader instead.
func (b *Bus) bucket(name string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              "KV_" + name,
		Subjects:          []string{"$KV." + name + ".>"},
		Storage:           jetstream.FileStorage,
		Replicas:          b.replicas,
		MaxMsgsPerSubject: 1,
		Discard:           jetstream.DiscardNew,
		AllowRollup:       true,
		DenyDelete:        true,
		AllowDirect:       b.replicas == 1,
		Duplicates:        duplicateWindow,
	}
}

// objects returns the stream behind an object store, as the client's own configuration would have it.
func (b *Bus) objects(name string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        "OBJ_" + name,
		Subjects:    []string{"$O." + name + ".C.>", "$O." + name + ".M.>"},
		Storage:     jetstream.FileStorage,
		Replicas:    b.replicas,
		Discard:     jetstream.DiscardNew,
		AllowRollup: true,
		AllowDirect: true,
	}
}

// observations makes a stream's writes asynchronous and its memory of duplicates short. The server offers that on one replica only;
// replicated streams flush as the cluster is configured.
func (b *Bus) observations(cfg jetstream.StreamConfig) jetstream.StreamConfig {
	cfg.Duplicates = observationDuplicateWindow
	if b.replicas == 1 {
		cfg.PersistMode = jetstream.AsyncPersistMode
	}
	return cfg
}

// Bucket returns one of the key-value buckets.
func (b *Bus) Bucket(ctx context.Context, name string) (jetstream.KeyValue, error) {
	kv, err := b.JS.KeyValue(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	return kv, nil
}

// Stream returns one of the streams.
func (b *Bus) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	stream, err := b.JS.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", name, err)
	}
	return stream, nil
}

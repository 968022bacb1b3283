// Package ceremony runs WebAuthn ceremonies (append, login, mediation) and keeps what they are about: users, credentials, challenges and
// sessions. It asks the decision service what to offer and tells the events service what came of it. It touches the buckets "accounts",
// "challenges", "challenge-marks", "credential-index", "identifier-index", "projects", "project-keys", "codes", "wrong-codes",
// "signing-keys", "spent-tokens", "sessions", "session-index", "processes", "stepups", "attestations", "connect-tokens" and
// "store-integrity", and the stream of login offers, and reads the object store "authenticator-metadata". Changes of accounts are announced
// through the event log; while Redis is gone that takes about 0.1 s, and nothing else of a ceremony notices.
//
// A challenge is finished at most once, and a failed verification spends it. When a finish call has returned, the event is on disk, and
// the account unless the event says all of it. What is signed of a login is accepted once, and a failed verification leaves it as it was.
package ceremony

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/origin"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/challenges"
	"github.com/keyward/keyward/services/ceremony/codes"
	"github.com/keyward/keyward/services/ceremony/connect"
	"github.com/keyward/keyward/services/ceremony/desk"
	"github.com/keyward/keyward/services/ceremony/directory"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/evaluation"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/code"
	"github.com/keyward/keyward/services/ceremony/internal/folding"
	"github.com/keyward/keyward/services/ceremony/internal/metrics"
	"github.com/keyward/keyward/services/ceremony/internal/outbox"
	"github.com/keyward/keyward/services/ceremony/internal/recheck"
	"github.com/keyward/keyward/services/ceremony/labelling"
	"github.com/keyward/keyward/services/ceremony/me"
	"github.com/keyward/keyward/services/ceremony/passkeys"
	"github.com/keyward/keyward/services/ceremony/registrations"
	"github.com/keyward/keyward/services/ceremony/sessions"
	"github.com/keyward/keyward/services/ceremony/signin"
	"github.com/keyward/keyward/services/ceremony/signing"
	"github.com/keyward/keyward/services/ceremony/stepups"
)

// Config is what an operator can set.
type Config struct {
	ChallengeTTL     time.Duration   // how long a challenge can be finished; at most as long as its record is kept
	HandleMaxAge     time.Duration   // how long a client environment handle is recognised
	UserVerification string          // W3C WebAuthn userVerification of assertions: required or preferred
	MaxPasskeys      int             // of one user; those that are there already, or imported, stay
	LookupTimeout    time.Duration   // how long a login start waits at most for what it can be answered without
	CodeSends        ratelimit.Limit // one-time codes and links to one identifier; of sign-ups and logins those that one address asks for
	CodeSendsTotal   ratelimit.Limit // one-time codes and links of sign-ups and logins to one identifier
	CodeGuesses      ratelimit.Limit // wrong codes for one account without a wait, and the first wait
	CodeGuessesFrom  ratelimit.Limit // the same for one address
	CodeGuessesWait  time.Duration   // the longest wait; 24 of them after the last wrong code the count begins anew
	CodeGuessesStop  int             // wrong codes for one account in a row after which none is taken; 0 = never

	AddressStorage string // an address.Form: how much of clients' addresses events keep

	SessionLifetime      time.Duration // how long a session lasts at most
	SessionInactivity    time.Duration // how long a session lasts without being used
	ShortSessionLifetime time.Duration // how long a token of a session is valid; at most signing.MaxLifetime
	SigningKeyMaxAge     time.Duration // how long a key signs before the next one does
	FrontendURL          string        // issuer of the sessions of projects without a CNAME
	HostProof            string        // what a project shows before it gets a CNAME over the API: directory.ProofDNS or directory.ProofNone
}

// DefaultConfig returns five minutes, 400 days (the longest that browsers keep a cookie) and required.
func DefaultConfig() Config {
	return Config{
		ChallengeTTL: 5 * time.Minute, HandleMaxAge: 400 * day, UserVerification: "required", MaxPasskeys: 100, LookupTimeout: time.Second,
		CodeSends:       ratelimit.Limit{Requests: 5, Per: 10 * time.Minute},
		CodeSendsTotal:  ratelimit.Limit{Requests: 15, Per: 10 * time.Minute},
		CodeGuesses:     ratelimit.Limit{Requests: 10, Per: 30 * time.Second},
		CodeGuessesFrom: ratelimit.Limit{Requests: 20, Per: 30 * time.Second},
		CodeGuessesWait: time.Hour, CodeGuessesStop: maxGuesses, AddressStorage: string(address.Truncated),
		SessionLifetime: 30 * day, SessionInactivity: 7 * day, ShortSessionLifetime: 15 * time.Minute, SigningKeyMaxAge: 90 * day,
		FrontendURL: "http://localhost:8080", HostProof: directory.ProofDNS,
	}
}

const day = 24 * time.Hour

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	if c.ChallengeTTL < 30*time.Second || c.ChallengeTTL > time.Hour {
		errs = append(errs, fmt.Errorf("challenge_ttl: must be between 30s and 1h, not %s", c.ChallengeTTL))
	}
	if c.HandleMaxAge < 24*time.Hour {
		errs = append(errs, fmt.Errorf("handle_max_age: must be at least 24h, not %s", c.HandleMaxAge))
	}
	if c.UserVerification != "required" && c.UserVerification != "preferred" {
		errs = append(errs, fmt.Errorf("user_verification: must be required or preferred, not %q", c.UserVerification))
	}
	if !address.Form(c.AddressStorage).Known() {
		errs = append(errs, fmt.Errorf(
			"address_storage: must be %s, %s or %s, not %q", address.Truncated, address.Token, address.Full, c.AddressStorage,
		))
	}
	if c.MaxPasskeys < 1 || c.MaxPasskeys > 1000 {
		errs = append(errs, fmt.Errorf("max_passkeys: must be between 1 and 1000, not %d", c.MaxPasskeys))
	}
	if err := c.CodeSends.Validate(); err != nil || c.CodeSends.Requests > codes.MaxSends {
		errs = append(errs, fmt.Errorf("code_sends: must be off, or 1 to %d in 1s to 24h, not %s", codes.MaxSends, c.CodeSends))
	}
	errs = append(errs, c.validateGuesses())
	if c.HostProof != directory.ProofDNS && c.HostProof != directory.ProofNone {
		errs = append(errs, fmt.Errorf("host_proof: must be %s or %s, not %q", directory.ProofDNS, directory.ProofNone, c.HostProof))
	}
	errs = append(errs, c.validateSessions())
	return errors.Join(errs...)
}

func (c Config) validateGuesses() error {
	var errs []error
	if err := c.CodeSendsTotal.Validate(); err != nil || c.CodeSendsTotal.Requests > codes.MaxSends {
		errs = append(errs, fmt.Errorf("code_sends_total: must be off, or 1 to %d in 1s to 24h, not %s", codes.MaxSends, c.CodeSendsTotal))
	}
	for key, limit := range map[string]ratelimit.Limit{"code_guesses": c.CodeGuesses, "code_guesses_from": c.CodeGuessesFrom} {
		if err := limit.Validate(); err != nil || limit.Requests > maxGuesses {
			errs = append(errs, fmt.Errorf("%s: must be off, or 1 to %d and a first wait of 1s to 24h, not %s", key, maxGuesses, limit))
		}
	}
	if c.CodeGuessesWait < time.Minute || c.CodeGuessesWait > day {
		errs = append(errs, fmt.Errorf("code_guesses_wait: must be between 1m and 24h, not %s", c.CodeGuessesWait))
	}
	if c.CodeGuessesStop < 0 || c.CodeGuessesStop > maxGuesses || c.CodeGuessesStop > 0 && c.CodeGuessesStop < c.CodeGuesses.Requests {
		errs = append(errs, fmt.Errorf(
			"code_guesses_stop: must be 0 for off, or from code_guesses to %d, not %d", maxGuesses, c.CodeGuessesStop,
		))
	}
	return errors.Join(errs...)
}

// maxGuesses is how many wrong values in a row NIST SP 800-63B-4 §3.2.2 allows.
const maxGuesses = 100

// codeLimits are the limits of codes as the rooms take them.
func (c Config) codeLimits(told codes.Audit) codes.Limits {
	guesses := func(l ratelimit.Limit) code.Guesses {
		return code.Guesses{Free: l.Requests, First: l.Per, Longest: c.CodeGuessesWait, Forget: 24 * c.CodeGuessesWait}
	}
	return codes.Limits{
		Sends: c.CodeSends, AllSends: c.CodeSendsTotal, Guesses: guesses(c.CodeGuesses), GuessesFrom: guesses(c.CodeGuessesFrom),
		Stop: c.CodeGuessesStop, Audit: told,
	}
}

func (c Config) validateSessions() error {
	var errs []error
	if c.SessionLifetime < time.Minute || c.SessionLifetime > 400*day {
		errs = append(errs, fmt.Errorf("session_lifetime: must be between 1m and 9600h, not %s", c.SessionLifetime))
	}
	if c.SessionInactivity < time.Minute || c.SessionInactivity > c.SessionLifetime {
		errs = append(errs, fmt.Errorf("session_inactivity: must be between 1m and session_lifetime, not %s", c.SessionInactivity))
	}
	if c.ShortSessionLifetime < time.Minute || c.ShortSessionLifetime > signing.MaxLifetime {
		errs = append(errs, fmt.Errorf("short_session_lifetime: must be between 1m and %s, not %s", signing.MaxLifetime, c.ShortSessionLifetime))
	}
	if c.SigningKeyMaxAge < day {
		errs = append(errs, fmt.Errorf("signing_key_max_age: must be at least 24h, not %s", c.SigningKeyMaxAge))
	}
	if err := origin.CheckURL(c.FrontendURL, origin.Parts{}); err != nil {
		errs = append(errs, fmt.Errorf("frontend_url: %w", err))
	}
	return errors.Join(errs...)
}

// Projects finds and changes projects. core/project.Store is one.
type Projects interface {
	Find(context.Context, ident.ProjectID) (project.Project, error)
	All() []project.Project
	Change(ctx context.Context, id ident.ProjectID, change func(*project.Project) error) error
}

// Keys finds the keys of a project, and makes them if there are none. core/keyring.Store is one.
type Keys interface {
	Ring(context.Context, ident.ProjectID) (*keyring.Ring, error)
}

// keyed finds projects with their keys. One whose keys cannot be read at the moment is not found either.
type keyed struct {
	Projects
	keys Keys
}

// Find implements Projects.
func (k keyed) Find(ctx context.Context, id ident.ProjectID) (project.Project, error) {
	p, err := k.Projects.Find(ctx, id)
	if err != nil {
		return p, err
	}
	p.Ring, err = k.keys.Ring(ctx, id)
	return p, err
}

// Offers publishes login-offered, of which the list of challenges is made, and login-denied. When a publication has returned, the next
// decision for the user sees it. core/eventlog.Store is one.
type Offers interface {
	PublishOffer(context.Context, event.Event) error
	challenge.Offers
}

// Positions knows where the events of a user are in the log: the newest, and when the log got it (of no event, zeros), those that say
// which ceremonies have ended. core/eventlog.Store is one.
type Positions interface {
	Newest(ctx context.Context, project ident.ProjectID, user ident.UserID) (sequence uint64, at time.Time, err error)
	challenge.Log
}

// AAGUIDs knows models of authenticators and credential providers; unknown ones have the empty name. The AAGUID is in lower-case UUID form.
type AAGUIDs interface {
	Name(aaguid string) string
	PasswordManager(aaguid string) bool
}

// Metadata is what is known of models of authenticators. core/metadata.Keeper is one.
type Metadata interface {
	Now() *metadata.Snapshot
}

// Deps is what the service works with. All fields are required but Metadata, AAGUIDs, Logins, Folded and Unfinished.
type Deps struct {
	Projects   Projects
	Keys       Keys
	Accounts   *account.Store
	Challenges jetstream.KeyValue // bucket bus.ChallengesBucket
	Marks      jetstream.KeyValue // bucket bus.MarksBucket
	Index      jetstream.KeyValue // bucket bus.CredentialsBucket
	Names      jetstream.KeyValue // bucket bus.IdentifiersBucket
	Sessions   jetstream.KeyValue // bucket bus.SessionsBucket
	SessionIDs jetstream.KeyValue // bucket bus.SessionIndexBucket
	Tokens     jetstream.KeyValue // bucket bus.TokensBucket
	Codes      jetstream.KeyValue // bucket bus.CodesBucket
	Nobodies   jetstream.KeyValue // bucket bus.NobodiesBucket
	Delivery   codes.Delivery     // of one-time codes and links
	Spent      jetstream.KeyValue // bucket bus.SpentBucket
	Processes  jetstream.KeyValue // bucket bus.ProcessesBucket
	StepUps    jetstream.KeyValue // bucket bus.StepUpsBucket
	Attested   jetstream.KeyValue // bucket bus.AttestationsBucket
	Metadata   Metadata           // nil: nothing is known of models of authenticators
	Signing    *signing.Store
	Lists      *Lists
	Events     service.Events
	Offers     Offers
	Positions  Positions
	Logins     folding.Log        // of all users; nil: what logins say is stored in accounts when they are changed
	Folded     jetstream.KeyValue // bucket bus.IntegrityBucket; nil as Logins is
	DNS        directory.DNS
	Decision   service.Decision
	Records    evaluation.Records   // of decisions
	Standings  service.Standings    // nil: operators are not told what histories come to
	Acts       desk.Audit           // nil: nobody is told what operators do to users
	Audit      codes.Audit          // nil: nobody is told of guessed codes
	AAGUIDs    AAGUIDs              // nil: no names
	Unfinished directory.Unfinished // nil: what Lists finds
	Now        func() time.Time
	Log        *slog.Logger
	Metrics    prometheus.Registerer

	ChallengeMaxAge time.Duration // how long challenges are shown, finished or not; the buckets keep them for as long
	EventsForgotten bool          // the log has a bound in bytes, beyond which it drops events however young they are
}

func (d Deps) validate() error {
	if d.Projects == nil || d.Keys == nil || d.Accounts == nil || d.Challenges == nil || d.Marks == nil || d.Index == nil || d.Names == nil ||
		d.Events == nil || d.Offers == nil || d.Positions == nil || d.DNS == nil || d.Sessions == nil || d.SessionIDs == nil ||
		d.Tokens == nil || d.Codes == nil || d.Nobodies == nil || d.Delivery == nil || d.Spent == nil || d.Processes == nil || d.StepUps == nil ||
		d.Attested == nil || d.Signing == nil || d.Lists == nil || d.Decision == nil || d.Records == nil || d.Now == nil || d.Log == nil ||
		d.Metrics == nil || d.ChallengeMaxAge <= 0 {
		return errors.New("ceremony: a dependency is missing")
	}
	return nil
}

// The rooms. Each has a type of its own called Service; embedded, it goes by these names.
type (
	environmentsRoom  = environments.Service
	codesRoom         = codes.Service
	deskRoom          = desk.Service
	sessionsRoom      = sessions.Service
	directoryRoom     = directory.Service
	labellingRoom     = labelling.Service
	challengesRoom    = challenges.Service
	passkeysRoom      = passkeys.Service
	stepUpsRoom       = stepups.Service
	evaluationRoom    = evaluation.Service
	registrationsRoom = registrations.Service
	signinRoom        = signin.Service
	connectRoom       = connect.Service
	meRoom            = me.Service
)

// Service implements service.Ceremony: its rooms do. Its background work is Run; it has nothing to close.
type Service struct {
	*environmentsRoom
	*codesRoom
	*deskRoom
	*sessionsRoom
	*directoryRoom
	*labellingRoom
	*challengesRoom
	*passkeysRoom
	*stepUpsRoom
	*evaluationRoom
	*registrationsRoom
	*signinRoom
	*connectRoom
	*meRoom
	outbox  *outbox.Store
	folder  *folding.Folder // nil: there is none
	recheck *recheck.Checker
}

var (
	_ service.Ceremony     = (*Service)(nil)
	_ service.Desk         = (*Service)(nil)
	_ service.UserImporter = (*Service)(nil)
)

// New returns the service, or an error that says which setting or dependency is wrong.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := deps.validate(); err != nil {
		return nil, err
	}
	m, err := metrics.New(deps.Metrics)
	if err != nil {
		return nil, err
	}
	if deps.AAGUIDs == nil {
		deps.AAGUIDs = nameless{}
	}
	if deps.Metadata == nil {
		deps.Metadata = (*metadata.Keeper)(nil)
	}
	if deps.Unfinished == nil {
		deps.Unfinished = deps.Lists
	}
	deps.Projects = keyed{deps.Projects, deps.Keys}
	return assemble(cfg, deps, m), nil
}

type nameless struct{}

// Name implements AAGUIDs.
func (nameless) Name(string) string { return "" }

// PasswordManager implements AAGUIDs.
func (nameless) PasswordManager(string) bool { return false }

// Package settings is everything that can be set: one entry each with its key, default and meaning, of which flags, environment, file and
// the reference are made. It reads no file and no environment itself.
package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/cmd/keyward/app/devtls"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/atrest"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/historycache"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/core/secret"
	"github.com/keyward/keyward/services/ceremony"
	"github.com/keyward/keyward/services/ceremony/delivery"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/adoption"
	"github.com/keyward/keyward/services/decision/index"
	"github.com/keyward/keyward/services/events"
	"github.com/keyward/keyward/services/gateway"
)

// The services that a process can run.
const (
	Gateway  = "gateway"
	Ceremony = "ceremony"
	Decision = "decision"
	Events   = "events"

	allServices = "all"
	off         = gateway.Off
)

// minMemory is the smallest limit: a process that has just started takes half of it.
const minMemory = 64 << 20

// ServiceNames returns the names of all services.
func ServiceNames() []string { return []string{Gateway, Ceremony, Decision, Events} }

// Secret is a value that prints as stars.
type Secret = secret.Text

// Config is the configuration of a process, composed of what each package owns. Settings gives each value its public name. However it is
// printed, secrets show as stars.
type Config struct {
	Services      []string      // "all", or some of ServiceNames
	AccountsNear  int           // accounts that the process keeps decoded; account.Auto = as suit its memory
	ReadModelDir  string        // where lists are kept; empty = beside the embedded NATS's data, otherwise in a directory of the process's own
	Calls         rpc.Limits    // of calls to services that run elsewhere
	CallLimit     int           // calls over NATS under way at once in each service; more are shed
	ShutdownDelay time.Duration // how long calls are taken after readiness has begun to say down
	ShutdownGrace time.Duration
	MemoryLimit   int64         // how much memory the process is to take; 0 = what suits it
	MarkInterval  time.Duration // how often what is stored is compared with what was; 0 = never
	AdminAddr     string        // host:port
	AdminProfiles bool          // whether the admin port has Go's profiles
	TLSDev        bool          // whether the server's certificate is one of an authority that is made for this machine
	DevOverHTTPS  bool          // whether what is for development may run under an https frontend_url
	LogLevel      slog.Level
	EncryptionKey Secret // several, separated by commas or white space; the first encrypts

	HTTP        gateway.Config
	Ceremony    ceremony.Config
	Decision    decision.Config
	Index       index.Config // of decisions
	IndexDir    string       // where it is; empty = as the read model
	Adoption    adoption.Config
	AdoptionDir string // the same
	Events      historycache.Config
	// OperatorSession is how long a session of the console lasts
	OperatorSession time.Duration
	OperatorOIDC    operator.Provider // Home is frontend_url
	Console         operator.Console
	FourEyes        bool            // whoever has pushed a revision of the policy may not make it live
	Unproven        ratelimit.Limit // how much is recorded of a user of what comes of who has proven nothing
	Webhooks        events.WebhookConfig
	Delivery        delivery.Config // the zero Kind: outbox with the embedded NATS, otherwise off
	NATS            NATS
	Redis           Redis
	Bootstrap       Bootstrap
}

// NATS is the bus's configuration, with the URL kept as the secret that it may hold.
type NATS struct {
	bus.Config
	URL         Secret
	Provisioned bool // keyward provision creates what there is, and no service does
}

// Bus returns the configuration that the bus takes.
func (n NATS) Bus() bus.Config {
	c := n.Config
	c.URL = n.URL.Reveal()
	return c
}

// Bus returns the configuration of the bus. The process that runs the ceremony service creates what there is on an external one,
// unless keyward provision has: no other needs the permission, with which it could read anything.
func (c Config) Bus() bus.Config {
	b := c.NATS.Bus()
	b.Provided, b.Sees = c.NATS.Provisioned || !c.Runs(Ceremony), c.Runs(Ceremony)
	return b
}

// Redis is the cache's configuration, with the URL kept as the secret that it may hold.
type Redis struct {
	cache.Config
	URL Secret
}

// Cache returns the configuration that the cache takes.
func (r Redis) Cache() cache.Config {
	c := r.Config
	c.URL = r.URL.Reveal()
	return c
}

// Bootstrap is the project that the first start creates.
type Bootstrap struct {
	ProjectID string
	APISecret Secret // empty = random
	RPID      string
	Origins   []string
	Related   []string // origins on other domains
}

// DefaultConfig returns the configuration of a laptop: everything in one process, embedded and durable.
func DefaultConfig() Config {
	c := Config{
		Services:        []string{allServices},
		AccountsNear:    account.Auto,
		Calls:           rpc.Within(5 * time.Second),
		CallLimit:       512,
		ShutdownGrace:   10 * time.Second,
		MarkInterval:    10 * time.Second,
		AdminAddr:       "127.0.0.1:9090",
		LogLevel:        slog.LevelInfo,
		HTTP:            gateway.DefaultConfig(),
		OperatorSession: 8 * time.Hour,
		OperatorOIDC:    operator.Provider{GroupsClaim: "groups", Passkeys: 7 * 24 * time.Hour},
		Ceremony:        ceremony.DefaultConfig(),
		Decision:        decision.DefaultConfig(),
		Events:          historycache.DefaultConfig(),
		Unproven:        events.DefaultUnproven(),
		Webhooks:        events.DefaultWebhookConfig(),
		Delivery:        delivery.DefaultConfig(),
		NATS:            NATS{Config: bus.DefaultConfig()},
		Redis:           Redis{Config: cache.DefaultConfig()},
		Bootstrap:       Bootstrap{ProjectID: "pro-1", RPID: "localhost", Origins: []string{"http://localhost:8080"}},
	}
	c.Delivery.Kind = ""
	c.Index, c.Adoption = index.DefaultConfig(), adoption.DefaultConfig()
	c.NATS.DataDir = "./data"
	c.NATS.Addr = "127.0.0.1:4222"
	return c
}

// Runs reports whether the process runs a service.
func (c Config) Runs(name string) bool {
	return slices.Contains(c.Services, allServices) || slices.Contains(c.Services, name)
}

// RunsAll reports whether the process runs every service, so that no call leaves it.
func (c Config) RunsAll() bool {
	return !slices.ContainsFunc(ServiceNames(), func(name string) bool { return !c.Runs(name) })
}

// KeepKeys returns how long what is made with a project's keys may be valid: sessions as long as they are kept, handles as long as
// they are recognised. All else ends within two days.
func (c Config) KeepKeys() time.Duration {
	return max(c.NATS.SessionsMaxAge, c.Ceremony.HandleMaxAge, 48*time.Hour) + time.Hour
}

// DeliveryConfig returns the delivery of codes, with the kind that is meant if none is set.
func (c Config) DeliveryConfig() delivery.Config {
	d := c.Delivery
	switch {
	case d.Kind != "":
	case c.NATS.URL == "":
		d.Kind = delivery.Outbox
	default:
		d.Kind = delivery.Off
	}
	return d
}

// ReadModelPath returns the directory of the read model, "" for one of the process's own.
func (c Config) ReadModelPath() string { return c.copies(c.ReadModelDir, "readmodel") }

// IndexPath returns the directory of the index of decisions, "" for one of the process's own.
func (c Config) IndexPath() string { return c.copies(c.IndexDir, "decisions") }

// AdoptionPath returns the directory of the sums of adoption, "" for one of the process's own.
func (c Config) AdoptionPath() string { return c.copies(c.AdoptionDir, "adoption") }

// copies is where there is something that is no only copy.
func (c Config) copies(named, usual string) string {
	if named == "" && c.NATS.URL == "" {
		return filepath.Join(c.NATS.DataDir, usual)
	}
	return named
}

// Validate reports every setting that cannot work, one a line, each beginning with the name of the setting.
func (c Config) Validate() error {
	errs := []error{
		c.validateServices(),
		checkAddr("admin_addr", c.AdminAddr),
		c.HTTP.Validate(),
		c.Index.Validate(),
		c.Adoption.Validate(),
		c.Ceremony.Validate(),
		c.Decision.Validate(),
		c.Events.Validate(),
		c.Webhooks.Validate(),
		c.DeliveryConfig().Validate(),
		c.NATS.Bus().Validate(),
		c.OperatorOIDC.Validate(),
		c.Console.Validate(),
	}
	if c.EncryptionKey != "" {
		if _, err := atrest.Parse(c.EncryptionKey.Reveal()); err != nil {
			errs = append(errs, fmt.Errorf("encryption_key: %w", err))
		}
	}
	if c.OperatorSession < time.Minute || c.OperatorSession > 7*24*time.Hour {
		errs = append(errs, fmt.Errorf("operator_session: must be between 1m and 168h, not %s", c.OperatorSession))
	}
	errs = append(errs, c.validateDevelopment())
	if certFile, _ := devtls.Server(devtls.Dir(c.NATS.DataDir)); c.TLSDev && c.HTTP.TLSCert != certFile {
		errs = append(errs, errors.New("tls_dev: makes a certificate of its own; leave out tls_cert and tls_key, or set it to false"))
	}
	if c.NATS.Addr != off {
		errs = append(errs, checkAddr("nats_addr", c.NATS.Addr))
	}
	errs = append(errs, c.Calls.Validate())
	if c.CallLimit < 1 {
		errs = append(errs, errors.New("call_limit: must be at least 1"))
	}
	if c.ShutdownDelay < 0 || c.ShutdownDelay > 5*time.Minute {
		errs = append(errs, errors.New("shutdown_delay: must be between 0s and 5m"))
	}
	if c.MemoryLimit != 0 && c.MemoryLimit < minMemory {
		errs = append(errs, errors.New("memory_limit: must be at least 64MiB, or auto"))
	}
	if c.MarkInterval != 0 && c.MarkInterval < time.Second {
		errs = append(errs, errors.New("integrity_interval: must be at least 1s, or 0s for never"))
	}
	if c.ShutdownGrace <= 0 {
		errs = append(errs, errors.New("shutdown_grace: must be above 0"))
	}
	if err := c.Unproven.Validate(); err != nil || c.Unproven.Requests > events.MaxUnproven {
		errs = append(errs, fmt.Errorf("unproven_events: must be off, or 1 to %d in 1s to 24h, not %s", events.MaxUnproven, c.Unproven))
	}
	if c.Ceremony.ChallengeTTL > c.NATS.ChallengeMaxAge {
		errs = append(errs, errors.New("challenge_ttl: must not be above challenge_max_age"))
	}
	if c.Ceremony.SessionLifetime > c.NATS.SessionsMaxAge {
		errs = append(errs, errors.New("session_lifetime: must not be above sessions_max_age"))
	}
	if c.NATS.Provisioned && c.NATS.URL == "" {
		errs = append(errs, errors.New("nats_provisioned: needs nats_url: the embedded NATS has nobody else who could create what there is"))
	}
	if c.AccountsNear < 0 && c.AccountsNear != account.Auto {
		errs = append(errs, errors.New("accounts_near_cache: must not be negative"))
	}
	if c.Redis.Timeout <= 0 {
		errs = append(errs, errors.New("redis_timeout: must be above 0"))
	}
	return errors.Join(errs...)
}

func (c Config) validateServices() error {
	names := strings.Join(ServiceNames(), ", ")
	if len(c.Services) == 0 {
		return fmt.Errorf("services: cannot be blank; set %s or some of %s", allServices, names)
	}
	for _, name := range c.Services {
		if name != allServices && !slices.Contains(ServiceNames(), name) {
			return fmt.Errorf("services: there is no service %q; set %s or some of %s", name, allServices, names)
		}
	}
	if !c.RunsAll() && c.NATS.URL == "" {
		return fmt.Errorf(
			"services: running only %s needs a NATS server that the other services reach too; set nats_url (KEYWARD_NATS_URL)",
			strings.Join(c.Services, ", "),
		)
	}
	return nil
}

// Project makes the project, with a random secret if none is set. Each setting that cannot work is named with its rule. They count where
// there is no project yet, so that Validate does not look at them.
func (b Bootstrap) Project(now time.Time) (NewProject, error) {
	text := b.APISecret.Reveal()
	if text == "" {
		text = project.NewSecret()
	}
	p, err := project.New(ident.ProjectID(b.ProjectID), "Keyward", b.RPID, b.RPID, b.Origins, text, now)
	if err == nil {
		err = p.SetOrigins(b.Origins, b.Related)
	}
	if err != nil {
		return NewProject{}, ofSettings(err)
	}
	return NewProject{Project: p, Secret: Secret(text)}, nil
}

// ofSettings names the settings of the first project that the fields of a fault were read from.
func ofSettings(err error) error {
	var f *fault.Fault
	if !errors.As(err, &f) || len(f.Validation) == 0 {
		return err
	}
	keys := map[string]string{
		"id": "bootstrap_project_id", "secret": "bootstrap_api_secret", "rpID": "bootstrap_rp_id",
		"origins": "bootstrap_origins", "relatedOrigins": "bootstrap_related_origins",
	}
	var all []error
	for _, wrong := range f.Validation {
		all = append(all, fmt.Errorf("%s: %s", keys[wrong.Field], wrong.Message))
	}
	return errors.Join(all...)
}

// NewProject is a new project with the secret of which the store keeps only the hash.
type NewProject struct {
	project.Project
	Secret Secret
}

func checkAddr(key, addr string) error {
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
		return fmt.Errorf("%s: must be of the form host:port, not %q", key, addr)
	}
	return nil
}

// String returns the settings, one a line, with secrets as stars.
func (c Config) String() string {
	var b strings.Builder
	for _, s := range c.Settings() {
		fmt.Fprintf(&b, "%s: %s\n", s.Key, s.Value)
	}
	return b.String()
}

// GoString keeps secrets out of %#v.
func (c Config) GoString() string { return c.String() }

// LogValue keeps secrets out of logs.
func (c Config) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, s := range c.Settings() {
		attrs = append(attrs, slog.String(s.Key, s.Value.String()))
	}
	return slog.GroupValue(attrs...)
}

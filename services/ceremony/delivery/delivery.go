// Package delivery hands one-time codes and links to those who bring them to the user: an SMTP server, a webhook of the operator's, or, for
// development, the process's own output. It touches nothing but the network and the writer it is given.
//
// When Deliver has returned without error, the message has been taken. A value is never logged and never part of an error; the outbox alone
// prints it.
package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/secret"
)

// The kinds of delivery.
const (
	Outbox  = "outbox"  // prints
	SMTP    = "smtp"    // sends emails
	Webhook = "webhook" // posts to a URL
	Off     = "off"     // refuses
)

// Registration is the purpose of links with which a passkey can be registered.
const Registration = "passkey-registration"

// Message is what is to be delivered.
type Message struct {
	Project  ident.ProjectID
	User     ident.UserID
	ID       ident.CodeID
	Type     rest.ChallengeType
	Purpose  string         // what the value is good for: Registration, or empty = to verify the address
	StepUp   ident.StepUpID // the further proof that the value is; empty = none
	Sender   string         // name of the relying party, for the user to read
	To       string         // email address or phone number
	Value    string         // the code, or the token of the link
	Link     string         // with the token; empty for codes
	Metadata map[string]any
	Expires  time.Time
	Lifetime time.Duration
}

// Config says how to deliver.
type Config struct {
	Kind string
	// Smtp:// (STARTTLS), smtps:// (TLS from the start) or smtp+plain:// (no TLS), with user and password if need be
	SMTPURL       secret.Text
	SMTPFrom      string        // an address, with a name if need be
	WebhookURL    secret.Text   // http:// or https://
	WebhookSecret secret.Text   // whsec_<base64 of 24 to 64 bytes>, as Standard Webhooks has it
	Timeout       time.Duration // for one message, with what is tried again
}

// DefaultConfig returns the outbox.
func DefaultConfig() Config { return Config{Kind: Outbox, Timeout: 5 * time.Second} }

// Validate reports every setting that cannot work. None of the errors holds a secret.
func (c Config) Validate() error {
	var errs []error
	if c.Timeout < 100*time.Millisecond || c.Timeout > time.Minute {
		errs = append(errs, fmt.Errorf("delivery_timeout: must be between 100ms and 1m, not %s", c.Timeout))
	}
	switch c.Kind {
	case Outbox, Off:
	case SMTP:
		_, err := parseSMTP(c)
		errs = append(errs, err)
	case Webhook:
		_, err := parseWebhook(c)
		errs = append(errs, err)
	default:
		errs = append(errs, fmt.Errorf("delivery: must be outbox, smtp, webhook or off, not %q", c.Kind))
	}
	return errors.Join(errs...)
}

// Deps is what a Courier works with.
type Deps struct {
	Out     io.Writer             // of the outbox
	Now     func() time.Time      // required
	Metrics prometheus.Registerer // required
	TLS     *tls.Config           // for SMTP and webhooks; nil = the system's certificate authorities
}

// atOnce is how many messages may be under way. A recipient that hangs so cannot hold up everything else.
const atOnce = 64

// attempts is how often a message is offered within the timeout, if it has certainly not been taken.
const attempts = 3

// carrier delivers in one way. Its errors are faults, which are for the caller, or failures.
type carrier interface {
	carry(context.Context, Message) error
	close()
}

// failure is an attempt that went wrong.
type failure struct {
	cause     error
	again     bool // it may work if tried again, and does no harm
	uncertain bool // the message may have been taken all the same
}

func (f *failure) Error() string { return f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

// Uncertain reports whether a message that could not be delivered may have reached its recipient all the same.
func Uncertain(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.uncertain
}

// Courier delivers messages. It is safe for concurrent use.
type Courier struct {
	carrier carrier
	timeout time.Duration
	slots   chan struct{}
	taken   prometheus.Counter
	failed  prometheus.Counter
}

// New returns a courier. Close it.
func New(cfg Config, deps Deps) (*Courier, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Courier{timeout: cfg.Timeout, slots: make(chan struct{}, atOnce)}
	var err error
	switch cfg.Kind {
	case Outbox:
		c.carrier = &outbox{out: deps.Out}
	case SMTP:
		c.carrier, err = newSMTP(cfg, deps.TLS)
	case Webhook:
		c.carrier, err = newWebhook(cfg, deps)
	default:
		c.carrier = off{}
	}
	if err != nil {
		return nil, err
	}
	deliveries := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyward_code_deliveries_total",
		Help: "One-time codes and links by what became of their delivery: taken or failed. Healthy: none failed.",
	}, []string{"kind", "result"})
	if err := deps.Metrics.Register(deliveries); err != nil {
		return nil, fmt.Errorf("register metrics of deliveries: %w", err)
	}
	c.taken, c.failed = deliveries.WithLabelValues(cfg.Kind, "taken"), deliveries.WithLabelValues(cfg.Kind, "failed")
	return c, nil
}

// Close ends idle connections.
func (c *Courier) Close() { c.carrier.close() }

// Deliver hands over a message. An error is a fault: of the message (400), or 503 if it could not be delivered in time.
func (c *Courier) Deliver(ctx context.Context, m Message) error {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	default:
		c.failed.Inc()
		return fault.Unavailable(time.Second, "too many deliveries are under way")
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err := c.try(ctx, m)
	if err == nil {
		c.taken.Inc()
		return nil
	}
	c.failed.Inc()
	var f *fault.Fault
	if errors.As(err, &f) {
		return f
	}
	return fault.Unavailable(5*time.Second, "the message could not be delivered").Because(err)
}

func (c *Courier) try(ctx context.Context, m Message) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval = 100 * time.Millisecond
	var last error
	var uncertain bool
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		last = c.carrier.carry(ctx, m)
		var f *failure
		failed := errors.As(last, &f)
		if failed {
			uncertain = uncertain || f.uncertain
			f.uncertain = uncertain
		}
		if last != nil && (!failed || !f.again) {
			return struct{}{}, backoff.Permanent(last)
		}
		return struct{}{}, last
	}, backoff.WithBackOff(pause), backoff.WithMaxTries(attempts))
	if err != nil && last != nil {
		// What the attempt had to say is worth more than that the time was over.
		return last
	}
	return err
}

// off refuses.
type off struct{}

func (off) carry(context.Context, Message) error {
	return fault.Unavailable(time.Minute, "the delivery of one-time codes is off")
}

func (off) close() {}

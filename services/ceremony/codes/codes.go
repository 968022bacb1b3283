// Package codes sends one-time codes and links, and judges what comes back. A value is right once; when CheckCode has returned without
// error, the identifier is verified. It touches the buckets of codes and accounts, tells of what it changes, and calls the room directory
// for names alone.
package codes

import (
	"log/slog"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/services/ceremony/internal/code"
	"github.com/keyward/keyward/services/ceremony/internal/metrics"
	"github.com/keyward/keyward/services/ceremony/internal/outbox"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// Limits is how many messages are sent and how many wrong codes are looked at.
type Limits struct {
	Sends       ratelimit.Limit // messages to one identifier; of sign-ups and logins those that one source asks for
	AllSends    ratelimit.Limit // messages of sign-ups and logins to one identifier, whoever asks for them
	Guesses     code.Guesses    // wrong codes for one account
	GuessesFrom code.Guesses    // wrong codes from one address, for whichever accounts
	Stop        int             // wrong codes for one account in a row after which none is taken; 0 = never
	Audit       Audit           // nil = nobody is told
}

// Audit is told of each account that has come to the stop; it answers at once. audit.Queue is one.
type Audit interface {
	CodesGuessed(project ident.ProjectID)
}

// Deps is what the room works with. All fields are required.
type Deps struct {
	Projects tenant.Projects
	Accounts *account.Store
	Codes    *code.Store
	Outbox   *outbox.Store
	Delivery Delivery
	StepUps  StepUps
	Limits   Limits
	Calls    metrics.Codes
	Now      func() time.Time
	Log      *slog.Logger
}

// Service sends one-time codes and links, and judges what comes back.
type Service struct {
	projects  tenant.Projects
	accounts  *account.Store
	codes     *code.Store
	outbox    *outbox.Store
	delivery  Delivery
	stepUps   StepUps
	limits    Limits
	codeCalls metrics.Codes
	now       func() time.Time
	log       *slog.Logger
}

// New returns the room.
func New(d Deps) *Service {
	return &Service{
		projects: d.Projects, accounts: d.Accounts, codes: d.Codes, outbox: d.Outbox, delivery: d.Delivery, stepUps: d.StepUps, limits: d.Limits,
		codeCalls: d.Calls, now: d.Now, log: d.Log,
	}
}

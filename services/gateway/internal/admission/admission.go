// Package admission says who may come in: it limits how much an address and a project call, proves who calls, from where a browser may, and
// that a request fits the document.
//
// It promises that a wrong credential costs the same whether or not it names somebody, that an address which sends too many is told nothing
// more of any, that the right secret is never refused for wrong ones of others, and that nothing of a request is parsed before its caller
// is known. It keeps nothing but counters, and asks projects, limits and token issuers for answers from memory.
package admission

import (
	"context"
	"net/netip"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/services/gateway/internal/contract"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
	"github.com/keyward/keyward/services/gateway/internal/issuer"
)

// Projects is what admission asks of the tenants, at every request; of projects there are, answers must come from memory. What is no
// project is project.ErrUnknown; any other error says nothing about it.
type Projects interface {
	Find(context.Context, ident.ProjectID) (project.Project, error)
	// All returns every project, ordered by ID.
	All() []project.Project
	// OriginAllowed reports whether any project lists origin.
	OriginAllowed(origin string) bool
	// Visited returns the project that a call of the Frontend API is about, by the ID that it names or by the host that it came to.
	Visited(ctx context.Context, named ident.ProjectID, host string) (project.Project, error)
	// First returns the project that was created first.
	First() (project.Project, bool)
}

// Config is what limits requests. Of the limits of calls the zero value limits nothing.
type Config struct {
	RateProject    ratelimit.Limit
	RateAddress    ratelimit.Limit
	RateFailures   ratelimit.Limit
	RateProcesses  ratelimit.Limit
	RateSignUps    ratelimit.Limit
	RateLookups    ratelimit.Limit
	TrustedProxies []netip.Prefix // peers whose X-Forwarded-For is believed
	BodyLimit      int            // bytes
}

// Audit is told of each call that a limit refuses, by the setting; without a project the call is of none. It answers at once, and a nil one
// is told nothing. audit.Queue is one.
type Audit interface {
	LimitHit(project ident.ProjectID, limit string)
}

// Deps are what a door works with.
type Deps struct {
	Projects  Projects
	Operators Operators // nil: nobody calls the Operator API
	Limits    Limits    // needed only if the configuration limits calls
	Audit     Audit
	Tokens    *issuer.Verifier
	Now       func() time.Time
	// Reading is around the reading of a body, which its sender may draw out: what a request holds it may give back meanwhile. Its error ends
	// the request.
	Reading func(read func() error) error
}

// Door is where every request comes in. It may be shared.
type Door struct {
	cfg       Config
	projects  Projects
	operators Operators
	limits    Limits
	audit     Audit
	tokens    *issuer.Verifier
	now       func() time.Time
	reading   func(func() error) error
	decoy     project.SecretHash
	corsCalls corsCalls
}

// New makes a door.
func New(cfg Config, deps Deps) *Door {
	return &Door{
		cfg: cfg, projects: deps.Projects, operators: deps.Operators, limits: deps.Limits, audit: deps.Audit, tokens: deps.Tokens, now: deps.Now,
		reading: deps.Reading, decoy: project.HashSecret(project.NewSecret()), corsCalls: newCORSCalls(),
	}
}

// Enter is what comes before every route. An exchange that is a preflight is answered by its headers then.
func (d *Door) Enter(x *exchange.Exchange) error {
	refused := d.limitAddress(x)
	err := d.cors(x) // of a refusal too, so that pages can read it
	if refused != nil {
		return refused
	}
	return err
}

// Backend admits a call of the Backend API: who calls comes first, then whether the caller may, then whether the call fits the contract.
func (d *Door) Backend(c *fiber.Ctx, x *exchange.Exchange, op *contract.Operation) error {
	if op.Public {
		return d.Reader(c, op)
	}
	if err := d.authenticate(c.UserContext(), x); err != nil {
		return err
	}
	if err := checkOrigin(x); err != nil {
		return err
	}
	if err := d.limitProject(x); err != nil {
		return err
	}
	if err := permit(x, op.Permission); err != nil {
		return err
	}
	if x.Key != nil {
		c.SetUserContext(reqctx.WithCallerKey(c.UserContext(), x.Key.ID))
	}
	return d.validate(c, op)
}

// Frontend admits a call of the Frontend API: which project is visited comes first, then from where, then by whom, then whether the call
// fits the contract. Whether a session or a process is good says the ceremony service, which keeps them.
func (d *Door) Frontend(c *fiber.Ctx, x *exchange.Exchange, op *contract.Operation) error {
	if err := d.visitProject(c, x); err != nil {
		return err
	}
	if err := checkOrigin(x); err != nil {
		return err
	}
	if err := d.limitProject(x); err != nil {
		return err
	}
	if err := d.admitVisitor(c, x, op); err != nil {
		return err
	}
	if err := d.limitVisitor(x, op.Counts); err != nil {
		return err
	}
	return d.validate(c, op)
}

// Reader admits who reads a document that is open to everybody: whether the call fits the contract is all that is looked at.
func (d *Door) Reader(c *fiber.Ctx, op *contract.Operation) error { return d.validate(c, op) }

// Visited returns the project that a request is about, by the ID that it names or by the host that it came to. If there is none, its error
// is project.ErrUnknown.
func (d *Door) Visited(c *fiber.Ctx, x *exchange.Exchange) (project.Project, error) {
	return d.projects.Visited(c.UserContext(), ident.ProjectID(x.Asked.Peek(exchange.HeaderProjectID)), hostName(c))
}

// Shown returns the project whose users the page to try passkeys with is for: the visited one, and at a host of nobody the first.
func (d *Door) Shown(c *fiber.Ctx) (project.Project, bool) {
	if visited, err := d.projects.Visited(c.UserContext(), "", hostName(c)); err == nil {
		return visited, true
	}
	return d.projects.First()
}

// RemoteAddress returns where a request comes from; zero if it has no address.
func (d *Door) RemoteAddress(x *exchange.Exchange) netip.Addr {
	return remoteAddress(x, d.cfg.TrustedProxies)
}

// StillAdmits returns what reports, whenever it is asked, whether the credential of a request would open the operation now. As long as
// nobody can say, it does.
func (d *Door) StillAdmits(x *exchange.Exchange) func(context.Context) bool {
	if x.Operating != nil {
		return d.stillOperates(x)
	}
	sent, _ := readCredential(x.Asked.Peek(fiber.HeaderAuthorization))
	permission := x.Op.Permission
	return func(ctx context.Context) bool {
		_, key, ok, err := d.verify(ctx, sent)
		return err != nil || ok && (key == nil || !key.Expired(d.now()) && key.Permits(permission))
	}
}

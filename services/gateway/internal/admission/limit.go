package admission

import (
	"bytes"
	"context"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
)

// Limits counts calls, in memory: it is asked several times a request. ratelimit.Limiter is one.
type Limits interface {
	Take(ratelimit.Kind, string, ratelimit.Limit) ratelimit.Verdict
	Peek(ratelimit.Kind, string, ratelimit.Limit) ratelimit.Verdict
}

// limitAddress counts a request of whatever kind against the address that it comes from.
func (d *Door) limitAddress(x *exchange.Exchange) error {
	if _, ok := cameFrom(x, d.cfg.TrustedProxies); !ok {
		return fault.Field(fiber.HeaderXForwardedFor, "must be a list of IP addresses, each with or without a port")
	}
	if !d.cfg.RateAddress.On() && !d.cfg.RateFailures.On() {
		return nil
	}
	x.Address = ratelimit.AddressKey(remoteAddress(x, d.cfg.TrustedProxies))
	if x.Counted {
		return nil
	}
	counted := bound{setting: "rate_limit_address", refusal: "too many calls from this address"}
	return d.judge(x, d.limits.Take(ratelimit.Address, x.Address, d.cfg.RateAddress), counted)
}

// limitProject counts a request against its project.
func (d *Door) limitProject(x *exchange.Exchange) error {
	if x.Counted || !d.cfg.RateProject.On() {
		return nil
	}
	counted := bound{x.Project, "rate_limit_project", "too many calls of this project"}
	return d.judge(x, d.limits.Take(ratelimit.Project, string(x.Project), d.cfg.RateProject), counted)
}

// limitFailures refuses an address that sent wrong credentials of a project too often.
func (d *Door) limitFailures(ctx context.Context, x *exchange.Exchange, of ident.ProjectID) error {
	if !d.cfg.RateFailures.On() {
		return nil
	}
	known := d.known(ctx, of)
	if v := d.limits.Peek(ratelimit.Login, failing(x, known), d.cfg.RateFailures); !v.Allowed {
		return d.judge(x, v, bound{known, "rate_limit_failures", "too many wrong credentials from this address"})
	}
	return nil
}

// limitVisitor counts what costs more than the call: whoever has not proven to be anybody may begin few processes, make fewer users, and
// find out of few identifiers whether somebody has a passkey, of a project from one address.
func (d *Door) limitVisitor(x *exchange.Exchange, counts string) error {
	kind, limit := ratelimit.Process, d.cfg.RateProcesses
	counted := bound{x.Project, "rate_limit_processes", "too many processes are begun from this address"}
	switch counts {
	case "":
		return nil
	case "lookup":
		kind, limit = ratelimit.Lookup, d.cfg.RateLookups
		counted.setting, counted.refusal = "rate_limit_lookups", "too many identifiers are looked up from this address"
	case "user":
		kind, limit = ratelimit.SignUp, d.cfg.RateSignUps
		counted.setting, counted.refusal = "rate_limit_sign_ups", "too many users sign up from this address"
	}
	if x.Counted || !limit.On() {
		return nil
	}
	from := ratelimit.AddressKey(remoteAddress(x, d.cfg.TrustedProxies))
	return d.judge(x, d.limits.Take(kind, string(x.Project)+"|"+from, limit), counted)
}

// failing is what wrong credentials are counted under: the project and the address that they come from, since a tenant's mistakes are none
// of another's. Those of no project there is are counted together.
func failing(x *exchange.Exchange, known ident.ProjectID) string {
	return string(known) + "|" + x.Address
}

// known returns the project, or none if there is none of that ID.
func (d *Door) known(ctx context.Context, of ident.ProjectID) ident.ProjectID {
	if _, err := d.projects.Find(ctx, of); err != nil {
		return ""
	}
	return of
}

func (d *Door) countFailure(ctx context.Context, x *exchange.Exchange, of ident.ProjectID) {
	if d.cfg.RateFailures.On() {
		d.limits.Take(ratelimit.Login, failing(x, d.known(ctx, of)), d.cfg.RateFailures)
	}
}

// bound is a limit as callers and operators are told of it.
type bound struct {
	project ident.ProjectID // empty = it is of no project
	setting string
	refusal string
}

// judge tells the caller how near the limit is, unless it has been told of a nearer one, and refuses a call beyond it.
func (d *Door) judge(x *exchange.Exchange, v ratelimit.Verdict, b bound) error {
	if v.Limit == 0 {
		return nil
	}
	if !x.Limited || v.Remaining < x.Remaining {
		x.Limited, x.Remaining = true, v.Remaining
		tellLimit(x.Answer, v)
	}
	if v.Allowed {
		return nil
	}
	if d.audit != nil {
		d.audit.LimitHit(b.project, b.setting)
	}
	return &fault.Fault{
		Type: fault.TypeRateLimited, Status: http.StatusTooManyRequests, Details: b.refusal, RetryAfter: max(v.Reset, time.Second),
	}
}

// The header fields of draft-ietf-httpapi-ratelimit-headers that clients know, as fasthttp writes names.
var (
	rateLimit     = []byte("Ratelimit-Limit")
	rateRemaining = []byte("Ratelimit-Remaining")
	rateReset     = []byte("Ratelimit-Reset")
)

func tellLimit(answer exchange.AnswerHeader, v ratelimit.Verdict) {
	header, ok := answer.(*fasthttp.ResponseHeader)
	if !ok {
		answer.Set(string(rateLimit), strconv.Itoa(v.Limit))
		answer.Set(string(rateRemaining), strconv.Itoa(v.Remaining))
		answer.Set(string(rateReset), strconv.FormatInt(WholeSeconds(v.Reset), 10))
		return
	}
	// Most requests come this way, and need no memory for it.
	var digits [20]byte
	header.SetCanonical(rateLimit, strconv.AppendInt(digits[:0], int64(v.Limit), 10))
	header.SetCanonical(rateRemaining, strconv.AppendInt(digits[:0], int64(v.Remaining), 10))
	header.SetCanonical(rateReset, strconv.AppendInt(digits[:0], WholeSeconds(v.Reset), 10))
}

// WholeSeconds rounds up: a caller that comes a moment too early is refused again.
func WholeSeconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }

// remoteAddress returns where the request comes from: the peer, or, if that is a trusted proxy, the last address of X-Forwarded-For that
// is none.
func remoteAddress(x *exchange.Exchange, trusted []netip.Prefix) netip.Addr {
	from, _ := cameFrom(x, trusted)
	return from
}

// cameFrom is remoteAddress, and reports whether all that a trusted proxy wrote can be read. Nothing beyond that was written by one.
func cameFrom(x *exchange.Exchange, trusted []netip.Prefix) (from netip.Addr, ok bool) {
	from = x.Peer
	if !contains(trusted, from) {
		return from, true
	}
	hops := forwarded(x)
	for i := len(hops) - 1; i >= 0; i-- {
		hop, ok := address.Parse(hops[i])
		if !ok {
			return from, false
		}
		from = hop
		if !contains(trusted, from) {
			break
		}
	}
	return from, true
}

// forwarded returns what X-Forwarded-For lists, in all its lines (RFC 9110 section 5.3). An empty line lists nothing.
func forwarded(x *exchange.Exchange) []string {
	var hops []string
	for _, line := range x.Asked.PeekAll(fiber.HeaderXForwardedFor) {
		if len(bytes.TrimSpace(line)) > 0 {
			hops = append(hops, strings.Split(string(line), ",")...)
		}
	}
	return hops
}

func contains(networks []netip.Prefix, address netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(address) {
			return true
		}
	}
	return false
}

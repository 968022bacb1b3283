package gateway

import (
	"bytes"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ratelimit"
)

// Limits counts calls, in memory: it is asked several times a request. ratelimit.Limiter is one.
type Limits interface {
	Take(ratelimit.Kind, string, ratelimit.Limit) ratelimit.Verdict
	Peek(ratelimit.Kind, string, ratelimit.Limit) ratelimit.Verdict
}

// limitAddress counts a request of whatever kind against the address that it comes from.
func (g *Gateway) limitAddress(x *exchange) error {
	if !g.cfg.RateAddress.On() && !g.cfg.RateFailures.On() {
		return nil
	}
	x.address = ratelimit.AddressKey(remoteAddress(x, g.cfg.TrustedProxies))
	return x.judge(g.limits.Take(ratelimit.Address, x.address, g.cfg.RateAddress), "too many calls from this address")
}

// limitProject counts a request against its project.
func (g *Gateway) limitProject(x *exchange) error {
	if !g.cfg.RateProject.On() {
		return nil
	}
	return x.judge(g.limits.Take(ratelimit.Project, string(x.project), g.cfg.RateProject), "too many calls of this project")
}

// limitFailures refuses an address that sent wrong credentials too often, whether or not it has better ones now.
func (g *Gateway) limitFailures(x *exchange) error {
	if !g.cfg.RateFailures.On() {
		return nil
	}
	if v := g.limits.Peek(ratelimit.Login, x.address, g.cfg.RateFailures); !v.Allowed {
		return x.judge(v, "too many wrong credentials from this address")
	}
	return nil
}

func (g *Gateway) countFailure(x *exchange) {
	if g.cfg.RateFailures.On() {
		g.limits.Take(ratelimit.Login, x.address, g.cfg.RateFailures)
	}
}

// judge tells the caller how near the limit is, unless it has been told of a nearer one, and refuses a call beyond it.
func (x *exchange) judge(v ratelimit.Verdict, refusal string) error {
	if v.Limit == 0 {
		return nil
	}
	if !x.limited || v.Remaining < x.remaining {
		x.limited, x.remaining = true, v.Remaining
		tellLimit(x.answer, v)
	}
	if v.Allowed {
		return nil
	}
	return &fault.Fault{Type: fault.TypeRateLimited, Status: http.StatusTooManyRequests, Details: refusal, RetryAfter: max(v.Reset, time.Second)}
}

// The header fields of draft-ietf-httpapi-ratelimit-headers that clients know, as fasthttp writes names.
var (
	rateLimit     = []byte("Ratelimit-Limit")
	rateRemaining = []byte("Ratelimit-Remaining")
	rateReset     = []byte("Ratelimit-Reset")
)

func tellLimit(answer answerHeader, v ratelimit.Verdict) {
	header, ok := answer.(*fasthttp.ResponseHeader)
	if !ok {
		answer.Set(string(rateLimit), strconv.Itoa(v.Limit))
		answer.Set(string(rateRemaining), strconv.Itoa(v.Remaining))
		answer.Set(string(rateReset), strconv.FormatInt(seconds(v.Reset), 10))
		return
	}
	// Most requests come this way, and need no memory for it.
	var digits [20]byte
	header.SetCanonical(rateLimit, strconv.AppendInt(digits[:0], int64(v.Limit), 10))
	header.SetCanonical(rateRemaining, strconv.AppendInt(digits[:0], int64(v.Remaining), 10))
	header.SetCanonical(rateReset, strconv.AppendInt(digits[:0], seconds(v.Reset), 10))
}

// seconds rounds up: a caller that comes a moment too early is refused again.
func seconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }

// remoteAddress returns where the request comes from: the peer, or, if that is a trusted proxy, the last address of X-Forwarded-For that is none.
func remoteAddress(x *exchange, trusted []netip.Prefix) netip.Addr {
	address := x.peer
	if !contains(trusted, address) {
		return address
	}
	forwarded := string(bytes.Join(x.asked.PeekAll(fiber.HeaderXForwardedFor), []byte(",")))
	hops := strings.Split(forwarded, ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break // what a trusted proxy did not write is worth nothing, and nothing beyond it is
		}
		address = hop.Unmap()
		if !contains(trusted, address) {
			break
		}
	}
	return address
}

func contains(networks []netip.Prefix, address netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(address) {
			return true
		}
	}
	return false
}

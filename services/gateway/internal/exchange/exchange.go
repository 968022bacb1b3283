// Package exchange is what the gateway knows of one request while it lasts, whichever server it came to: who calls, what is asked, what
// the answer says beside its body.
//
// A Recorder names each exchange when it begins, and tells log, metrics and traces of it when it ends. It promises that labels hold route
// patterns, never paths or IDs, and that a log line has no secret. It touches the header of the answer and nothing else of a request.
package exchange

import (
	"context"
	"net/netip"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/contract"
)

// Header names of the API.
const (
	HeaderRequestID      = "X-Request-ID"
	HeaderProjectID      = "X-Corbado-ProjectID"
	HeaderDecisionID     = "X-Keyward-Decision-ID"
	HeaderRisk           = "X-Keyward-Risk"
	HeaderNextEligibleAt = "X-Keyward-Next-Eligible-At"
	HeaderPolicyRevision = "X-Keyward-Policy-Revision"
	HeaderPolicyArm      = "X-Keyward-Policy-Arm"
	HeaderReplayed       = "Idempotent-Replayed"
)

// RetryShed is how long a caller that was shed should wait: long enough for a full queue to drain at any load worth the name.
const RetryShed = time.Second

// Unmatched is the route label of requests that no route is for; a path in a label would let callers make series.
const Unmatched = "unmatched"

// Exchange is what the gateway knows of one request while it lasts, whichever server it came to. It is used by one goroutine.
type Exchange struct {
	Method string
	Path   string     // as it was sent
	Peer   netip.Addr // who is connected; zero if that has no address
	Asked  RequestHeader
	Answer AnswerHeader

	ID        ident.RequestID
	Now       func() time.Time
	Started   time.Time
	Route     string // pattern, or procedure
	Op        *contract.Operation
	RPC       bool               // a call of the user service, and not an operation of the document
	Code      string             // how such a call ended, as Connect writes it; empty: it did not get that far
	Project   ident.ProjectID    // set once the credential has been checked
	Origins   []string           // of that project
	Salt      []byte             // a secret of that project
	Key       *project.APIKey    // that the caller used; nil: the API secret, which may call everything, or an access token
	Visit     *Visit             // of the Frontend API; nil: a call of another
	Operating *operator.Operator // of the Operator API; nil: a call of another, or one whose token is not good
	Address   string             // where the request comes from, as limits count it
	Decision  ident.DecisionID
	Cause     error // what went wrong, for the log
	Stack     []byte

	Preflight bool // answered by the headers that it has
	Counted   bool // limits have counted it, before its body was asked for
	Limited   bool // a limit was told
	Remaining int  // the calls that it leaves
}

// Visit is a call of the Frontend API under way, in the exchange that it came with.
type Visit struct {
	service.Visit
	ByCookie bool // the token is one that a browser sends by itself
}

// RequestHeader is the header of a request. What it returns is good until the answer has been sent.
type RequestHeader interface {
	Peek(name string) []byte // the first line of that name
	PeekAll(name string) [][]byte
}

// AnswerHeader is the header of an answer: of fasthttp, and of net/http.
type AnswerHeader interface {
	Add(name, value string)
	Set(name, value string)
	Del(name string)
}

type exchangeKey struct{}

// Of returns the exchange that ctx belongs to. Every context of a handler has one.
func Of(ctx context.Context) *Exchange {
	x, ok := ctx.Value(exchangeKey{}).(*Exchange)
	if !ok {
		panic("gateway: handler called outside an exchange")
	}
	return x
}

// requestID returns what the caller calls the request, if that is harmless in a header and a log line, or a new ID.
func requestID(sent []byte) ident.RequestID {
	const most = 128
	if len(sent) == 0 || len(sent) > most {
		return ident.NewRequestID()
	}
	for _, b := range sent {
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_' || b == '.' || b == ':' || b == '-') {
			return ident.NewRequestID()
		}
	}
	return ident.RequestID(sent) // a copy
}

// KnownMethod keeps callers from making label values out of methods.
func KnownMethod(method string) string {
	for _, known := range fiber.DefaultMethods {
		if method == known {
			return known // not the request's own bytes
		}
	}
	return "OTHER"
}

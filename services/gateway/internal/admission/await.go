package admission

import (
	"errors"

	"github.com/valyala/fasthttp"
)

// ErrAwaited ends the serving of a request whose body is wanted and has not been asked for.
var ErrAwaited = errors.New("the body has not been asked for")

// waiting is where a request says how far it is with its body; nothing is there of one whose sender does not wait.
type waiting struct{}

const (
	bodyAwaited = "awaited" // the body is still to be asked for
	bodyWanted  = "wanted"  // it is to be asked for, and the request to begin anew
)

// AwaitBody says of a request that its sender waits with the body.
func AwaitBody(rc *fasthttp.RequestCtx) { rc.SetUserValue(waiting{}, bodyAwaited) }

// BodyWanted reports whether the body of a request was wanted that AwaitBody was called for. From then on it may be read.
func BodyWanted(rc *fasthttp.RequestCtx) bool { return rc.UserValue(waiting{}) == bodyWanted }

// WantBody says that a body is wanted, and reports ErrAwaited if it has not been asked for.
func WantBody(rc *fasthttp.RequestCtx) error {
	if rc.UserValue(waiting{}) != bodyAwaited {
		return nil
	}
	rc.SetUserValue(waiting{}, bodyWanted)
	return ErrAwaited
}

package admission

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/services/gateway/internal/connection"
)

// ErrAwaited ends the serving of a request whose body is wanted and has not been asked for.
var ErrAwaited = errors.New("the body has not been asked for")

// waiting is where a request says how far it is with its body; nothing is there of one whose sender does not wait.
type waiting struct{}

const (
	bodyAwaited = "awaited" // the body is still to be asked for
	bodyWanted  = "wanted"  // it is to be asked for, and the request to begin anew
)

// Expected returns what is asked when the sender of a head waits to be told to send the body, too (RFC 9110 section 10.1.1). The request is
// served by its head until its body is wanted; then it begins anew, with the body, and no limit counts it twice. If it is answered without,
// for instance refused, the body is never asked for.
func Expected(serve fasthttp.RequestHandler) func(*fasthttp.RequestCtx) int {
	return func(rc *fasthttp.RequestCtx) int {
		if rc.Request.Header.ContentLength() == 0 {
			return http.StatusContinue
		}
		rc.SetUserValue(waiting{}, bodyAwaited)
		serve(rc)
		if BodyWanted(rc) {
			return http.StatusContinue
		}
		connection.Linger(rc.Conn()) // its sender may not have waited
		return rc.Response.StatusCode()
	}
}

// BodyWanted reports whether the body of a request was wanted whose sender waited with it. From then on it may be read.
func BodyWanted(rc *fasthttp.RequestCtx) bool { return rc.UserValue(waiting{}) == bodyWanted }

// Await is for who knows only that bodies are read: it gives r, which is rc as net/http has it, a body that is wanted when it is read, if
// its sender waits with it. What it returns tells then whether the request is to begin anew.
func Await(rc *fasthttp.RequestCtx, r *http.Request) (anew func() bool) {
	if rc.UserValue(waiting{}) != bodyAwaited {
		return func() bool { return false }
	}
	r.Body = awaited{rc}
	return func() bool { return BodyWanted(rc) }
}

type awaited struct{ rc *fasthttp.RequestCtx }

func (a awaited) Read([]byte) (int, error) { return 0, cmp.Or(WantBody(a.rc), ErrAwaited) }
func (awaited) Close() error               { return nil }

// WantBody says that a body is wanted, and reports ErrAwaited if it has not been asked for.
func WantBody(rc *fasthttp.RequestCtx) error {
	if rc.UserValue(waiting{}) != bodyAwaited {
		return nil
	}
	rc.SetUserValue(waiting{}, bodyWanted)
	return ErrAwaited
}

// Package servicetest stands where the services of core/service are in a test. A fake of each keeps what it was asked, and answers with
// what Answer was told, what Otherwise makes, or the zero value. The fakes are generated from the interfaces (make generate); those of one
// test share a Recording. It touches nothing.
package servicetest

import (
	"context"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
)

// Call is one call that a fake took.
type Call struct {
	Method    string // as Ceremony.GetUser
	RequestID ident.RequestID
	Seed      ident.Seed
	Request   any
	Operator  reqctx.Operator // whose call it was of; zero = nobody's
}

// Recording is what was asked of fakes, in order, and how they answer. The zero value is ready to use, by several goroutines at once.
type Recording struct {
	// Forgetful keeps nothing and asks no Before, for measuring. Set it before the first call.
	Forgetful bool
	// Otherwise makes the answers of methods that Answer has not told what to, of the type that is asked for. Nil: the zero value.
	Otherwise func(reflect.Type) any

	mu      sync.Mutex
	calls   []Call
	before  func(ctx context.Context, method string) error
	answers map[string]any
}

// Calls returns the calls so far.
func (r *Recording) Calls() []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// Before has every call from now on begin with do, whose error is the answer. It may wait or panic. With nil, calls just answer.
func (r *Recording) Before(do func(ctx context.Context, method string) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = do
}

// Answer has a method, as service.Ceremony.GetUser, answer with what do makes of its request from now on.
func Answer[Service, Req, Rsp any](r *Recording, method func(Service, context.Context, Req) (Rsp, error), do func(Req) Rsp) {
	name := runtime.FuncForPC(reflect.ValueOf(method).Pointer()).Name()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answers == nil {
		r.answers = map[string]any{}
	}
	r.answers[name[strings.LastIndexByte(name, '/')+len("/service."):]] = do
}

// take keeps a call.
func (r *Recording) take(ctx context.Context, method string, req any) func(context.Context, string) error {
	if r.Forgetful {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	by, _ := reqctx.OperatorOf(ctx)
	r.calls = append(r.calls, Call{method, reqctx.RequestID(ctx), reqctx.Seed(ctx), req, by})
	return r.before
}

func (r *Recording) answer(method string) any {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answers[method]
}

func answer[Rsp, Req any](ctx context.Context, r *Recording, method string, req Req) (Rsp, error) {
	var none Rsp
	if before := r.take(ctx, method, req); before != nil {
		if err := before(ctx, method); err != nil {
			return none, err
		}
	}
	if do, ok := r.answer(method).(func(Req) Rsp); ok {
		return do(req), nil
	}
	if r.Otherwise == nil {
		return none, nil
	}
	return r.Otherwise(reflect.TypeFor[Rsp]()).(Rsp), nil
}

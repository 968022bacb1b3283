package bundle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// ErrTimeout is wrapped by the error of an evaluation that took too long.
var ErrTimeout = errors.New("the policy ran out of time")

// answerVar is what a compiled query binds the answer to.
const answerVar = ast.Var("answer")

// query is a compiled entrypoint.
type query struct {
	body     ast.Body
	compiler ast.QueryCompiler
}

func compileQuery(compiler *ast.Compiler, entrypoint string) (query, error) {
	body, err := ast.ParseBodyWithOpts(string(answerVar)+" = "+entrypoint, ast.ParserOptions{RegoVersion: ast.RegoV1})
	if err != nil {
		return query{}, err
	}
	q := query{compiler: compiler.QueryCompiler()}
	q.body, err = q.compiler.Compile(body)
	return q, err
}

// Eval answers one entrypoint within the timeout with an object. The input must not change until Eval has returned, the answer must not be
// changed. The end of ctx does not stop it: the timeout is short. An evaluation of few steps is given a second more.
func (b *Bundle) Eval(ctx context.Context, timeout time.Duration, entrypoint string, input ast.Value) (ast.Object, error) {
	q, ok := b.queries[entrypoint]
	if !ok {
		return nil, fmt.Errorf("evaluate %s: not an entrypoint", entrypoint)
	}
	var answer ast.Object
	err := topdown.NewQuery(q.body).WithQueryCompiler(q.compiler).WithCompiler(b.compiler).WithStore(b.store).WithTransaction(b.reading).
		WithInput(ast.NewTerm(input)).WithMetrics(metrics.NoOp()).WithTime(time.Unix(0, 0)).WithCancel(&deadline{at: time.Now().Add(timeout)}).
		Iter(context.WithoutCancel(ctx), func(result topdown.QueryResult) error {
			answer, _ = result[answerVar].Value.(ast.Object)
			return nil
		})
	switch {
	case topdown.IsCancel(err):
		return nil, fmt.Errorf("evaluate %s: %w", entrypoint, ErrTimeout)
	case err != nil:
		return nil, fmt.Errorf("evaluate %s: %w", entrypoint, err)
	case answer == nil:
		return nil, fmt.Errorf("evaluate %s: the answer is missing or not an object", entrypoint)
	}
	return answer, nil
}

// deadline cancels an evaluation by the clock. The evaluator asks it at every step, also within builtins that loop, so no timer has to be
// set and stopped. Being late alone is not enough: a busy machine makes wait whoever has done next to nothing, and would turn good answers
// into safe defaults. It serves one evaluation, which runs in one goroutine.
type deadline struct {
	at    time.Time
	asked uint
	over  bool
}

const (
	stride = 32          // steps between two looks at the clock; a step takes about 0.1 µs
	little = 10_000      // steps that are never to blame for being late
	grace  = time.Second // however few the steps were
)

// Cancelled implements topdown.Cancel.
func (d *deadline) Cancelled() bool {
	if d.asked++; d.asked%stride == 0 && !d.over {
		late := time.Since(d.at)
		d.over = late > grace || (late > 0 && d.asked > little)
	}
	return d.over
}

// Cancel implements topdown.Cancel.
func (d *deadline) Cancel() { d.over = true }

package reqctx

import (
	"context"

	"github.com/keyward/keyward/core/ident"
)

type operatorKey struct{}

// Operator is who calls by the Operator API.
type Operator struct {
	ID   ident.OperatorID
	Name string
}

// WithOperator returns a context that carries the operator whose call it is of.
func WithOperator(ctx context.Context, o Operator) context.Context {
	return context.WithValue(ctx, operatorKey{}, o)
}

// OperatorOf returns the operator that ctx carries; false if it carries none.
func OperatorOf(ctx context.Context) (Operator, bool) {
	o, ok := ctx.Value(operatorKey{}).(Operator)
	return o, ok
}

// Package operation binds the operations of the OpenAPI documents to the methods of the services: Backend, Frontend and Operator are the
// one table of them, a row an operation.
//
// A row says by its types what an operation takes and answers: what its body is decoded into is the type that its method takes. Join
// holds the table to the document: an operation without a row, a row without an operation, and a row that reads another body or other
// parameters, in the path or in the query, than the document has are errors that name it.
//
// It may touch a request that has been admitted, and no other: who calls, from where, how often and with which parameters has been judged
// before.
package operation

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/contract"
)

// Row is one operation and what answers it. The functions of this package make it.
type Row struct {
	ID string // operationId of the document

	plain  fiber.Handler // answers by itself, and reads what it likes; the rest is unused then
	scope  []string      // names of the path parameters that say whom it is about
	own    bool          // it reads one more path parameter
	query  []string      // names of the query parameters that it reads
	body   reflect.Type  // nil: takes none
	answer func(context.Context, *Request) error
}

// Plain is an operation that is no call of a service, or whose answer is not JSON: serve answers it.
func Plain(id string, serve fiber.Handler) Row { return Row{ID: id, plain: serve} }

// Answered is an operation that a function answers, which reads the named parameters of the query and writes what is no JSON.
func Answered(id string, query []string, answer func(context.Context, *Request) error) Row {
	return Row{ID: id, query: query, answer: answer}
}

// Bind makes a row of a function. It reads the request as the form says, calls, and writes what is answered.
func Bind[T, Out any](id string, scope []string, read Form[T], call func(context.Context, *Request, T) (Out, error)) Row {
	answer := func(ctx context.Context, r *Request) error {
		given, err := read.value(r)
		if err != nil {
			return err
		}
		out, err := call(ctx, r, given)
		if err != nil {
			return err
		}
		return r.write(&out)
	}
	return Row{ID: id, scope: scope, own: read.own, query: read.query, body: read.body, answer: answer}
}

// ofProject is an operation on a project.
func ofProject[T, Out any](id string, call func(context.Context, service.ForProject[T]) (Out, error), read func() Form[T]) Row {
	return Bind(id, nil, read(), func(ctx context.Context, r *Request, given T) (Out, error) {
		return call(ctx, service.ForProject[T]{Project: r.exchange.Caller(), Body: given})
	})
}

// ofUser is an operation on a user of a project.
func ofUser[T, Out any](id string, call func(context.Context, service.ForUser[T]) (Out, error), read func() Form[T]) Row {
	return Bind(id, []string{"userID"}, read(), func(ctx context.Context, r *Request, given T) (Out, error) {
		user := ident.UserID(r.Path("userID"))
		return call(ctx, service.ForUser[T]{Project: r.exchange.Caller(), User: user, Body: given})
	})
}

// ofWebhook is an operation on a webhook endpoint of a project.
func ofWebhook[T, Out any](id string, call func(context.Context, service.ForWebhook[T]) (Out, error), read func() Form[T]) Row {
	return Bind(id, []string{"webhookEndpointID"}, read(), func(ctx context.Context, r *Request, given T) (Out, error) {
		webhook := ident.WebhookID(r.Path("webhookEndpointID"))
		return call(ctx, service.ForWebhook[T]{Project: r.exchange.Caller(), Webhook: webhook, Body: given})
	})
}

// ofVisit is an operation of the Frontend API.
func ofVisit[T, Out any](id string, call func(context.Context, service.ForVisit[T]) (Out, error), read func() Form[T]) Row {
	return Bind(id, nil, read(), func(ctx context.Context, r *Request, given T) (Out, error) {
		return call(ctx, service.ForVisit[T]{Visit: r.exchange.Visitor(), Body: given})
	})
}

// Joined is an operation of a document with what answers it.
type Joined struct {
	*contract.Operation
	row     Row
	own     string // name of the path parameter that the row reads by itself
	decoder *contract.Decoder
}

// Join gives every operation of a document its row. It fails if one of either is left over, or if the two do not fit each other, and
// names each.
func Join(document *contract.Document, rows []Row) ([]Joined, error) {
	left := map[string]Row{}
	var wrong []error
	for _, row := range rows {
		if _, twice := left[row.ID]; twice {
			wrong = append(wrong, fmt.Errorf("operation %s has two rows in the table of operations", row.ID))
		}
		left[row.ID] = row
	}
	var all []Joined
	for _, op := range document.Operations {
		row, found := left[op.ID]
		if !found {
			wrong = append(wrong, fmt.Errorf("operation %s (%s %s) has no row in the table of operations", op.ID, op.Method, op.Path))
			continue
		}
		delete(left, op.ID)
		joined, err := join(op, row)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("operation %s (%s %s): %w", op.ID, op.Method, op.Path, err))
		}
		all = append(all, joined)
	}
	for _, row := range rows {
		if _, over := left[row.ID]; over {
			wrong = append(wrong, fmt.Errorf("operation %s has a row in the table of operations, but is not in the document", row.ID))
		}
	}
	return all, errors.Join(wrong...)
}

func join(op *contract.Operation, row Row) (Joined, error) {
	joined := Joined{Operation: op, row: row}
	if row.plain != nil {
		return joined, nil
	}
	var beyond []string
	for _, name := range op.PathParameters() {
		if !slices.Contains(row.scope, name) {
			beyond = append(beyond, name)
		}
	}
	switch {
	case len(op.PathParameters()) != len(beyond)+len(row.scope):
		return joined, fmt.Errorf("its row reads the path parameter %s, which the document lacks", strings.Join(row.scope, ", "))
	case row.own && len(beyond) == 1:
		joined.own = beyond[0]
	case row.own:
		return joined, errors.New("its row reads one path parameter more than the document has")
	case len(beyond) > 0:
		return joined, fmt.Errorf("its row does not read the path parameter %s", strings.Join(beyond, ", "))
	}
	switch {
	case row.body == nil && op.TakesBody():
		return joined, errors.New("its row does not read the body that the document has")
	case row.body != nil && !op.TakesBody():
		return joined, fmt.Errorf("its row reads a body, %v, which the document lacks", row.body)
	}
	err := fitQuery(op, row)
	if err != nil || row.body == nil {
		return joined, err
	}
	joined.decoder, err = contract.NewDecoder(op, reflect.Zero(row.body).Interface())
	return joined, err
}

// fitQuery reports a query parameter that only one of the two knows: one that the row does not read would be checked, and then do nothing.
func fitQuery(op *contract.Operation, row Row) error {
	for _, name := range op.QueryParameters() {
		if !slices.Contains(row.query, name) {
			return fmt.Errorf("its row does not read the query parameter %s", name)
		}
	}
	for _, name := range row.query {
		if !slices.Contains(op.QueryParameters(), name) {
			return fmt.Errorf("its row reads the query parameter %s, which the document lacks", name)
		}
	}
	return nil
}

// Serve answers a request that has been admitted. Its error is what the caller did wrong, or a service's.
func (j *Joined) Serve(c *fiber.Ctx, x Exchange) error {
	if j.row.plain != nil {
		return j.row.plain(c)
	}
	return j.row.answer(c.UserContext(), &Request{fiber: c, exchange: x, joined: j})
}

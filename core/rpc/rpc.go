// Package rpc carries a service's methods over NATS request/reply. It carries deadlines, request IDs, seeds and trace context, and brings
// faults back as what they were. A service is found, listed and measured as the NATS micro protocol has it, so plain NATS tools show what
// it does. It knows nothing of what the services do.
package rpc

import (
	"context"
	"fmt"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/keyward/keyward/core/fault"
)

const (
	// The time that the caller has left, in ms: a duration, since the clocks of two machines differ.
	timeLeftHeader  = "Keyward-Time-Left"
	requestIDHeader = "Keyward-Request-Id"
	callerKeyHeader = "Keyward-Caller-Key"
	seedHeader      = "Keyward-Seed"
	// The operator whose call it is of; the name is percent-encoded, since it may have any letters
	operatorHeader     = "Keyward-Operator"
	operatorNameHeader = "Keyward-Operator-Name"

	scope = "github.com/keyward/keyward/core/rpc"
)

// Subject is where a method of a service listens.
func Subject(service, method string) string { return "keyward." + service + "." + method }

// Service is what listens under one name on the bus.
type Service struct {
	Name    string
	Methods []Method
}

// Method is a method of a service, as the bus calls it.
type Method struct {
	name string
	call func(ctx context.Context, request []byte) (any, error)
}

// Bind makes a method of a function. There is a copy of it for each pair of types, so it does what needs the types and no more.
func Bind[Req, Rsp any](name string, do func(context.Context, Req) (Rsp, error)) Method {
	return Method{name, func(ctx context.Context, request []byte) (any, error) {
		var req Req
		if err := decode(request, &req); err != nil {
			return nil, err
		}
		return do(ctx, req)
	}}
}

func decode(request []byte, into any) error {
	if err := jsonv2.Unmarshal(request, into); err != nil {
		return fault.Internal(fmt.Errorf("decode the request: %w", err))
	}
	return nil
}

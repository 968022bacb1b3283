package ceremony

import (
	"context"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
)

// unfinished goes when its last method has been overridden.
type unfinished struct{}

// CreateCode implements service.Codes.
func (unfinished) CreateCode(context.Context, service.ForUser[rest.ChallengeCreateReq]) (rsp rest.Challenge, err error) {
	return rsp, fault.Unavailable(0, "CreateCode is being built")
}

// CheckCode implements service.Codes.
func (unfinished) CheckCode(context.Context, service.ForUser[service.CodeCheck]) (rsp rest.Challenge, err error) {
	return rsp, fault.Unavailable(0, "CheckCode is being built")
}

package ceremony

import (
	"context"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
)

// unfinished goes when its last method has been overridden.
type unfinished struct{}

// ListIdentifiers implements service.Directory.
func (unfinished) ListIdentifiers(context.Context, service.ForProject[service.List]) (rsp rest.IdentifierList, err error) {
	return rsp, fault.Unavailable(0, "ListIdentifiers is being built")
}

// ListSocialAccounts implements service.Directory.
func (unfinished) ListSocialAccounts(context.Context, service.ForProject[service.List]) (rsp rest.SocialAccountList, err error) {
	return rsp, fault.Unavailable(0, "ListSocialAccounts is being built")
}

// CreateCode implements service.Codes.
func (unfinished) CreateCode(context.Context, service.ForUser[rest.ChallengeCreateReq]) (rsp rest.Challenge, err error) {
	return rsp, fault.Unavailable(0, "CreateCode is being built")
}

// CheckCode implements service.Codes.
func (unfinished) CheckCode(context.Context, service.ForUser[service.CodeCheck]) (rsp rest.Challenge, err error) {
	return rsp, fault.Unavailable(0, "CheckCode is being built")
}

// ListSessions implements service.Sessions.
func (unfinished) ListSessions(context.Context, service.ForProject[service.List]) (rsp rest.SessionList, err error) {
	return rsp, fault.Unavailable(0, "ListSessions is being built")
}

// ListConnectTokens implements service.ConnectTokens.
func (unfinished) ListConnectTokens(context.Context, service.ForProject[service.List]) (rsp rest.ConnectTokenList, err error) {
	return rsp, fault.Unavailable(0, "ListConnectTokens is being built")
}

package connect

import (
	"cmp"
	"context"
	"encoding/base64"
	"slices"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
)

const fieldManageToken = "connectToken"

// ConnectManageInit implements service.Connect.
func (s *Service) ConnectManageInit(
	ctx context.Context, req service.ForVisit[frontend.ConnectInitReq],
) (rsp service.Answered[frontend.ConnectManageInitRsp], err error) {
	defer func() { s.calls.Started("connect-manage-init", rsp.Body.ManageAllowed, err) }()
	made, err := s.beginConnect(ctx, req, service.RolloutManage)
	if err != nil {
		return rsp, err
	}
	rsp.Decided = made.verdict.Decided
	rsp.Body = frontend.ConnectManageInitRsp{
		ProcessID: made.Token, ExpiresAt: expiresAt(made.Process), FrontendAPIURL: s.sessions.Issuer(made.project),
		ManageAllowed: made.verdict.Allow,
		Flags:         frontend.Flags{}, NewClientEnvHandle: made.NewHandle,
	}
	return rsp, nil
}

// ConnectManageList implements service.Connect. The token is good for any number of lists until it expires, all in one process: listing
// changes nothing, and pages list again after each change. A user who is not there yet, because users come with their first passkey, has an
// empty list.
func (s *Service) ConnectManageList(
	ctx context.Context, req service.ForVisit[frontend.ConnectManageListReq],
) (frontend.ConnectManageListRsp, error) {
	c, err := s.connectCall(ctx, req.Visit)
	if err != nil {
		return frontend.ConnectManageListRsp{}, err
	}
	if mode := req.Body.Mode; mode != nil && !mode.Valid() {
		return frontend.ConnectManageListRsp{}, fault.Field("mode", "must be a valid value")
	}
	token, err := s.tokens.Bind(ctx, c.project.ID, req.Body.ConnectToken, rest.ConnectTokenTypePasskeyList, c.process.ID, s.now())
	if err != nil {
		return frontend.ConnectManageListRsp{}, fault.At(fieldManageToken, err)
	}
	who, err := s.name(ctx, &c, token.Identifier, vouched)
	if err != nil {
		return frontend.ConnectManageListRsp{}, err
	}
	rsp := frontend.ConnectManageListRsp{Passkeys: []frontend.Passkey{}, RpID: c.project.RPID}
	if !who.known {
		return rsp, nil
	}
	for _, passkey := range newestFirst(who.account.Credentials) {
		rsp.Passkeys = append(rsp.Passkeys, reply.Passkey(s.passkeys.CredentialOf(passkey)))
	}
	// The list is never a part of what there is, so a credential manager may always be told of it, whatever the mode; only of a user who is
	// not there is nothing to tell.
	rsp.UserID, rsp.SignalAllAcceptedCredentials = base64.RawURLEncoding.EncodeToString(who.account.UserHandle), true
	return rsp, nil
}

// vouched notes that a backend says who the user is, or a passkey.
func vouched(st *connectState) { st.Told, st.Proven = true, true }

func newestFirst(passkeys []account.Credential) []account.Credential {
	return slices.SortedStableFunc(slices.Values(passkeys), func(x, y account.Credential) int { return cmp.Compare(y.CreatedMs, x.CreatedMs) })
}

// ConnectManageDelete implements service.Connect. The token is spent by the attempt, whatever comes of it: it lets delete one passkey at
// most.
func (s *Service) ConnectManageDelete(
	ctx context.Context, req service.ForVisit[frontend.ConnectManageDeleteReq],
) (frontend.ConnectManageDeleteRsp, error) {
	c, err := s.connectCall(ctx, req.Visit)
	if err != nil {
		return frontend.ConnectManageDeleteRsp{}, err
	}
	id, err := ident.ParseCredentialID(req.Body.CredentialID)
	if err != nil {
		return frontend.ConnectManageDeleteRsp{}, fault.Field("credentialID", "must be of the form cre-<number>")
	}
	token, err := s.tokens.Redeem(ctx, c.project.ID, req.Body.ConnectToken, rest.ConnectTokenTypePasskeyDelete, s.now())
	if err != nil {
		return frontend.ConnectManageDeleteRsp{}, fault.At(fieldManageToken, err)
	}
	who, err := s.name(ctx, &c, token.Identifier, vouched)
	if err != nil {
		return frontend.ConnectManageDeleteRsp{}, err
	}
	if !who.known {
		return frontend.ConnectManageDeleteRsp{}, account.ErrUnknownCredential
	}
	_, err = s.passkeys.DeleteCredential(ctx, service.ForUser[ident.CredentialID]{Project: c.project.ID, User: who.account.ID, Body: id})
	if err != nil {
		return frontend.ConnectManageDeleteRsp{}, s.orphaned(ctx, c, err)
	}
	return frontend.ConnectManageDeleteRsp{CredentialID: string(id)}, nil
}

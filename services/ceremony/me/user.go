package me

import (
	"context"
	"errors"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/codes"
	"github.com/keyward/keyward/services/ceremony/directory"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/code"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/passkeys"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
	"github.com/keyward/keyward/services/ceremony/sessions"
)

// GetSessionConfig implements service.CurrentUser.
func (s *Service) GetSessionConfig(ctx context.Context, req service.ForVisit[service.Empty]) (frontend.SessionConfigRsp, error) {
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return frontend.SessionConfigRsp{}, err
	}
	c := s.sessions.Cookies(p)
	cookie := frontend.CookieConfig{
		Domain: c.Domain, Secure: c.Secure, SameSite: frontend.CookieConfigSameSite(c.SameSite), Path: "/",
		LifetimeSeconds: int32(c.Seconds),
	}
	return frontend.SessionConfigRsp{
		UseSessionManagement: true, SessionTokenCookieConfig: cookie, ShortSessionCookieConfig: cookie,
		FrontendAPIURL: s.sessions.Issuer(p),
	}, nil
}

// GetProcessConfig implements service.CurrentUser.
func (s *Service) GetProcessConfig(ctx context.Context, req service.ForVisit[service.Empty]) (frontend.ProcessConfigRsp, error) {
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return frontend.ProcessConfigRsp{}, err
	}
	return frontend.ProcessConfigRsp{UseServerSideProcessID: false, FrontendAPIURL: s.sessions.Issuer(p)}, nil
}

// GetUserDetailsConfig implements service.CurrentUser.
func (s *Service) GetUserDetailsConfig(ctx context.Context, req service.ForVisit[service.Empty]) (frontend.UserDetailsConfigRsp, error) {
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return frontend.UserDetailsConfigRsp{}, err
	}
	rsp := frontend.UserDetailsConfigRsp{FullNameRequired: p.Frontend.FullName, Identifiers: []frontend.IdentifierConfig{}}
	for _, rule := range p.Frontend.IdentifierRules() {
		rsp.Identifiers = append(rsp.Identifiers, frontend.IdentifierConfig{Type: rest.IdentifierType(rule.Type)})
	}
	return rsp, nil
}

// CurrentUser implements service.CurrentUser.
func (s *Service) CurrentUser(ctx context.Context, req service.ForVisit[service.Empty]) (ident.UserID, error) {
	who, _, err := s.sessions.VisitorAccount(ctx, req.Visit)
	return who.User, err
}

// CurrentUserGet implements service.CurrentUser.
func (s *Service) CurrentUserGet(ctx context.Context, req service.ForVisit[service.Empty]) (frontend.MeRsp, error) {
	who, a, err := s.sessions.VisitorAccount(ctx, req.Visit)
	if err != nil {
		return frontend.MeRsp{}, err
	}
	me := frontend.MeRsp{
		ID: string(a.ID), Identifiers: []frontend.Identifier{}, SocialAccounts: []frontend.SocialAccount{}, Signals: signals(who, a),
	}
	if a.FullName != nil {
		me.FullName = *a.FullName
	}
	for _, i := range a.Identifiers {
		me.Identifiers = append(me.Identifiers, frontend.Identifier{
			ID: string(i.ID), Type: rest.IdentifierType(i.Type), Value: i.Value, Status: rest.IdentifierStatus(i.Status),
		})
	}
	for _, social := range a.SocialAccounts {
		me.SocialAccounts = append(me.SocialAccounts, frontend.SocialAccount{
			ProviderType: rest.SocialProviderType(social.Provider), IdentifierValue: social.IdentifierValue,
			AvatarURL: social.AvatarURL, FullName: social.FullName,
		})
	}
	return me, nil
}

// signals are of the user by the name that the session was begun with, unless the user has it no longer.
func signals(who sessions.Visitor, a account.Account) *frontend.PasskeySignals {
	name := directory.DisplayName(a)
	for _, i := range a.Identifiers {
		if i.Value == who.Session.IdentifierValue {
			name = i.Value
		}
	}
	return reply.Signals(who.Project.RPID, a, name)
}

// CurrentUserUpdate implements service.CurrentUser.
func (s *Service) CurrentUserUpdate(ctx context.Context, req service.ForVisit[frontend.MeUpdateReq]) (service.Empty, error) {
	who, _, err := s.sessions.VisitorAccount(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	_, err = s.directory.UpdateUser(ctx, sessions.ForUser(who, rest.UserUpdateReq{FullName: &req.Body.FullName}))
	return service.Empty{}, sessions.NoVisitor(err)
}

// recent is VisitorAccount for what the project asks a recent login for.
func (s *Service) recent(ctx context.Context, v service.Visit) (sessions.Visitor, account.Account, error) {
	who, a, err := s.sessions.VisitorAccount(ctx, v)
	if err == nil {
		err = who.Recent()
	}
	return who, a, err
}

// CurrentUserDelete implements service.CurrentUser.
func (s *Service) CurrentUserDelete(
	ctx context.Context, req service.ForVisit[service.Empty],
) (rsp service.Answered[service.Empty], err error) {
	who, _, err := s.recent(ctx, req.Visit)
	if err != nil {
		return rsp, err
	}
	if _, err := s.directory.DeleteUser(ctx, sessions.ForUser(who, service.Empty{})); err != nil {
		return rsp, sessions.NoVisitor(err)
	}
	cookies := s.sessions.Cookies(who.Project)
	rsp.Cookies = &cookies
	return rsp, nil
}

// CurrentUserPasskeyGet implements service.CurrentUser.
func (s *Service) CurrentUserPasskeyGet(ctx context.Context, req service.ForVisit[service.List]) (frontend.MePasskeyRsp, error) {
	who, a, err := s.sessions.VisitorAccount(ctx, req.Visit)
	if err != nil {
		return frontend.MePasskeyRsp{}, err
	}
	list, err := s.passkeys.ListCredentials(ctx, sessions.ForUser(who, req.Body))
	if err != nil {
		return frontend.MePasskeyRsp{}, sessions.NoVisitor(err)
	}
	kept := make([]frontend.Passkey, len(list.Credentials))
	for i, c := range list.Credentials {
		kept[i] = reply.Passkey(c)
	}
	return frontend.MePasskeyRsp{Passkeys: kept, Paging: list.Paging, Signals: signals(who, a)}, nil
}

// CurrentUserPasskeyAppendStart implements service.CurrentUser. The policy knows that the user asks for it.
func (s *Service) CurrentUserPasskeyAppendStart(
	ctx context.Context, req service.ForVisit[frontend.MePasskeysAppendStartReq],
) (rsp service.Answered[frontend.MePasskeysAppendStartRsp], err error) {
	who, err := s.sessions.Visitor(ctx, req.Visit)
	if err == nil {
		err = who.Recent() // who has begun may end it: the challenge is good for minutes, in this session alone
	}
	if err != nil {
		return rsp, err
	}
	name, err := s.passkeyName(ctx, who)
	if err != nil {
		return rsp, err
	}
	situation := passkeys.SituationCurrentUser
	judged, err := s.passkeys.AppendStart(
		reqctx.WithFrontend(ctx), service.ForProject[rest.PasskeyAppendStartReq]{Project: who.Project.ID, Body: rest.PasskeyAppendStartReq{
			UserID: string(who.User), ProcessID: processOfVisitor(who), Username: name, Situation: &situation,
			ClientInformation: environments.ClientOf(req.Visit, req.Body.ClientInformation),
		}},
	)
	if err != nil {
		return rsp, sessions.NoVisitor(err)
	}
	rsp.Body = frontend.MePasskeysAppendStartRsp{
		AttestationOptions: judged.Body.AttestationOptions, NewClientEnvHandle: judged.Body.NewClientEnvHandle,
	}
	if !judged.Body.AppendAllow {
		rsp.Body.AppendNotAllowedReason = notAllowed(judged.Body)
	}
	rsp.Decided = judged.Decided
	return rsp, nil
}

// notAllowed returns why there are no options. Clients know two reasons; what is neither is closest to that passkeys do not work here.
func notAllowed(answer rest.PasskeyAppendStartRsp) *rest.PasskeyAppendStartRspAppendNotAllowedReason {
	if answer.AppendNotAllowedReason != nil {
		return answer.AppendNotAllowedReason
	}
	reason := rest.PasskeyAppendStartRspAppendNotAllowedReasonPasskeysNotSupported
	return &reason
}

// passkeyName returns what authenticators show of the user: what the session was begun with, else what the user is known by.
func (s *Service) passkeyName(ctx context.Context, who sessions.Visitor) (string, error) {
	if who.Session.IdentifierValue != "" {
		return who.Session.IdentifierValue, nil
	}
	view, err := s.accounts.View(ctx, who.Project.ID, who.User)
	if err != nil {
		return "", sessions.NoVisitor(err)
	}
	return directory.DisplayName(*view.Account), nil
}

// CurrentUserPasskeyAppendFinish implements service.CurrentUser.
func (s *Service) CurrentUserPasskeyAppendFinish(
	ctx context.Context, req service.ForVisit[frontend.MePasskeysAppendFinishReq],
) (service.Empty, error) {
	who, err := s.sessions.Visitor(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	_, err = s.passkeys.AppendFinish(
		reqctx.WithFrontend(ctx), service.ForProject[rest.PasskeyAppendFinishReq]{Project: who.Project.ID, Body: rest.PasskeyAppendFinishReq{
			UserID: string(who.User), ProcessID: processOfVisitor(who), AttestationResponse: req.Body.AttestationResponse,
			ClientInformation: environments.ClientOf(req.Visit, req.Body.ClientInformation),
		}},
	)
	return service.Empty{}, sessions.NoVisitor(err)
}

// CurrentUserPasskeyDelete implements service.CurrentUser.
func (s *Service) CurrentUserPasskeyDelete(
	ctx context.Context, req service.ForVisit[ident.CredentialID],
) (frontend.MePasskeyDeleteRsp, error) {
	who, _, err := s.recent(ctx, req.Visit)
	if err != nil {
		return frontend.MePasskeyDeleteRsp{}, err
	}
	if _, err := s.passkeys.DeleteCredential(ctx, sessions.ForUser(who, req.Body)); err != nil {
		return frontend.MePasskeyDeleteRsp{}, sessions.NoVisitor(err)
	}
	return frontend.MePasskeyDeleteRsp{ID: string(req.Body)}, nil
}

// CurrentUserIdentifierCreate implements service.CurrentUser.
func (s *Service) CurrentUserIdentifierCreate(
	ctx context.Context, req service.ForVisit[frontend.MeIdentifierCreateReq],
) (service.Empty, error) {
	who, a, err := s.recent(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	kind := account.IdentifierType(req.Body.IdentifierType)
	_, err = s.directory.CreateIdentifier(ctx, sessions.ForUser(who, rest.IdentifierCreateReq{
		IdentifierType: req.Body.IdentifierType, IdentifierValue: req.Body.Value, Status: rest.IdentifierStatus(newStatus(a, kind)),
	}))
	return service.Empty{}, sessions.NoVisitor(fault.Renamed(err, directory.FieldIdentifier, "value"))
}

// newStatus is that of an identifier that a user gives to itself. Nothing needs to be proven of a user name; the first is the primary one.
func newStatus(a account.Account, kind account.IdentifierType) account.IdentifierStatus {
	switch {
	case kind != account.IdentifierTypeUsername:
		return account.IdentifierStatusPending
	case directory.Proven(a, kind) == "":
		return account.IdentifierStatusPrimary
	default:
		return account.IdentifierStatusVerified
	}
}

// CurrentUserIdentifierUpdate implements service.CurrentUser. The new user name is there before the old one is gone.
func (s *Service) CurrentUserIdentifierUpdate(
	ctx context.Context, req service.ForVisit[frontend.MeIdentifierUpdateReq],
) (service.Empty, error) {
	who, a, err := s.recent(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	if req.Body.IdentifierType != rest.IdentifierTypeUsername {
		return service.Empty{}, fault.Field(
			directory.FieldIdentifierType, "must be username: another identifier is added, verified and then the old one deleted",
		)
	}
	i := directory.IdentifierAt(&a, ident.IdentifierID(req.Body.IdentifierID))
	if i < 0 || a.Identifiers[i].Type != account.IdentifierTypeUsername {
		return service.Empty{}, fault.Unknown(directory.FieldIdentifierID)
	}
	_, err = s.directory.CreateIdentifier(ctx, sessions.ForUser(who, rest.IdentifierCreateReq{
		IdentifierType: rest.IdentifierTypeUsername, IdentifierValue: req.Body.Value, Status: rest.IdentifierStatus(a.Identifiers[i].Status),
	}))
	if err != nil {
		return service.Empty{}, sessions.NoVisitor(fault.Renamed(err, directory.FieldIdentifier, "value"))
	}
	_, err = s.directory.DeleteIdentifier(ctx, sessions.ForUser(who, a.Identifiers[i].ID))
	return service.Empty{}, sessions.NoVisitor(err)
}

// CurrentUserIdentifierDelete implements service.CurrentUser. The last one stays: nobody could name the user any more.
func (s *Service) CurrentUserIdentifierDelete(
	ctx context.Context, req service.ForVisit[frontend.MeIdentifierDeleteReq],
) (service.Empty, error) {
	who, a, err := s.recent(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	id := ident.IdentifierID(req.Body.IdentifierID)
	if len(a.Identifiers) == 1 && a.Identifiers[0].ID == id {
		return service.Empty{}, fault.Field(directory.FieldIdentifierID, "is the last one and cannot be deleted")
	}
	_, err = s.directory.DeleteIdentifier(ctx, sessions.ForUser(who, id))
	return service.Empty{}, sessions.NoVisitor(err)
}

// CurrentUserIdentifierVerifyStart implements service.CurrentUser.
func (s *Service) CurrentUserIdentifierVerifyStart(
	ctx context.Context, req service.ForVisit[frontend.MeIdentifierVerifyStartReq],
) (service.Empty, error) {
	who, a, err := s.sessions.VisitorAccount(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	i := directory.IdentifierAt(&a, ident.IdentifierID(req.Body.IdentifierID))
	if i < 0 {
		return service.Empty{}, fault.Unknown(directory.FieldIdentifierID)
	}
	kinds := map[account.IdentifierType]rest.ChallengeType{
		account.IdentifierTypeEmail: rest.ChallengeTypeEmailOtp, account.IdentifierTypePhone: rest.ChallengeTypeSmsOtp,
	}
	kind, ok := kinds[a.Identifiers[i].Type]
	if !ok {
		return service.Empty{}, fault.Field(directory.FieldIdentifierID, "is a user name, of which nothing needs to be verified")
	}
	_, err = s.codes.CreateCode(ctx, sessions.ForUser(who, rest.ChallengeCreateReq{
		ChallengeType: kind, IdentifierValue: a.Identifiers[i].Value,
		ClientInformation: environments.ClientOf(req.Visit, req.Body.ClientInformation),
	}))
	return service.Empty{}, sessions.NoVisitor(err)
}

// CurrentUserIdentifierVerifyFinish implements service.CurrentUser. The code is the one that was sent last.
func (s *Service) CurrentUserIdentifierVerifyFinish(
	ctx context.Context, req service.ForVisit[frontend.MeIdentifierVerifyFinishReq],
) (service.Empty, error) {
	who, a, err := s.sessions.VisitorAccount(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	id := ident.IdentifierID(req.Body.IdentifierID)
	if directory.IdentifierAt(&a, id) < 0 {
		return service.Empty{}, fault.Unknown(directory.FieldIdentifierID)
	}
	newest, err := s.sent.Newest(ctx, who.Project.ID, who.User, id)
	if errors.Is(err, code.ErrUnknown) {
		return service.Empty{}, fault.Field("code", "none was sent to this identifier")
	}
	if err != nil {
		return service.Empty{}, err
	}
	_, err = s.codes.CheckCode(ctx, sessions.ForUser(who, service.CodeCheck{ID: newest, Value: req.Body.Code}))
	return service.Empty{}, sessions.NoVisitor(fault.Renamed(err, codes.FieldCodeValue, "code"))
}

// OidcUserInfo implements service.CurrentUser.
func (s *Service) OidcUserInfo(ctx context.Context, req service.ForVisit[service.Empty]) (frontend.OidcUserInfoRsp, error) {
	_, a, err := s.sessions.VisitorAccount(ctx, req.Visit)
	if err != nil {
		return frontend.OidcUserInfoRsp{}, err
	}
	info := frontend.OidcUserInfoRsp{Sub: string(a.ID), Name: a.FullName}
	verified := true
	if email := directory.Proven(a, account.IdentifierTypeEmail); email != "" {
		info.Email, info.EmailVerified = &email, &verified
		return info, nil
	}
	for _, i := range a.Identifiers {
		if i.Type == account.IdentifierTypeEmail {
			verified = false
			info.Email, info.EmailVerified = &i.Value, &verified
			break
		}
	}
	return info, nil
}

// processOfVisitor is what decisions and events call what happens in a session.
func processOfVisitor(v sessions.Visitor) string {
	if v.Session.ID != "" {
		return string(v.Session.ID)
	}
	return string(v.User)
}

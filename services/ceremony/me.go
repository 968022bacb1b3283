package ceremony

import (
	"context"
	"errors"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/code"
)

// GetSessionConfig implements service.CurrentUser.
func (s *Service) GetSessionConfig(_ context.Context, req service.ForVisit[service.Empty]) (frontend.SessionConfigRsp, error) {
	p, err := s.project(req.Project)
	if err != nil {
		return frontend.SessionConfigRsp{}, err
	}
	c := s.cookies(p)
	cookie := frontend.CookieConfig{
		Domain: c.Domain, Secure: c.Secure, SameSite: frontend.CookieConfigSameSite(c.SameSite), Path: "/", LifetimeSeconds: int32(c.Seconds),
	}
	return frontend.SessionConfigRsp{
		UseSessionManagement: true, SessionTokenCookieConfig: cookie, ShortSessionCookieConfig: cookie, FrontendAPIURL: s.issuer(p),
	}, nil
}

// GetProcessConfig implements service.CurrentUser.
func (s *Service) GetProcessConfig(_ context.Context, req service.ForVisit[service.Empty]) (frontend.ProcessConfigRsp, error) {
	p, err := s.project(req.Project)
	if err != nil {
		return frontend.ProcessConfigRsp{}, err
	}
	return frontend.ProcessConfigRsp{UseServerSideProcessID: false, FrontendAPIURL: s.issuer(p)}, nil
}

// GetUserDetailsConfig implements service.CurrentUser.
func (s *Service) GetUserDetailsConfig(_ context.Context, req service.ForVisit[service.Empty]) (frontend.UserDetailsConfigRsp, error) {
	p, err := s.project(req.Project)
	if err != nil {
		return frontend.UserDetailsConfigRsp{}, err
	}
	rsp := frontend.UserDetailsConfigRsp{FullNameRequired: p.Frontend.FullName, Identifiers: []frontend.IdentifierConfig{}}
	for _, rule := range p.Frontend.IdentifierRules() {
		rsp.Identifiers = append(rsp.Identifiers, frontend.IdentifierConfig{Type: rule.Type})
	}
	return rsp, nil
}

// CurrentUser implements service.CurrentUser.
func (s *Service) CurrentUser(ctx context.Context, req service.ForVisit[service.Empty]) (ident.UserID, error) {
	who, _, err := s.visitorAccount(ctx, req.Visit)
	return who.user, err
}

// CurrentUserGet implements service.CurrentUser.
func (s *Service) CurrentUserGet(ctx context.Context, req service.ForVisit[service.Empty]) (frontend.MeRsp, error) {
	_, a, err := s.visitorAccount(ctx, req.Visit)
	if err != nil {
		return frontend.MeRsp{}, err
	}
	me := frontend.MeRsp{ID: string(a.ID), Identifiers: []frontend.Identifier{}, SocialAccounts: []frontend.SocialAccount{}}
	if a.FullName != nil {
		me.FullName = *a.FullName
	}
	for _, i := range a.Identifiers {
		me.Identifiers = append(me.Identifiers, frontend.Identifier{
			ID: string(i.ID), Type: i.Type, Value: i.Value, Status: i.Status,
		})
	}
	for _, social := range a.SocialAccounts {
		me.SocialAccounts = append(me.SocialAccounts, frontend.SocialAccount{
			ProviderType: social.Provider, IdentifierValue: social.IdentifierValue,
			AvatarURL: social.AvatarURL, FullName: social.FullName,
		})
	}
	return me, nil
}

// CurrentUserUpdate implements service.CurrentUser.
func (s *Service) CurrentUserUpdate(ctx context.Context, req service.ForVisit[frontend.MeUpdateReq]) (service.Empty, error) {
	who, _, err := s.visitorAccount(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	_, err = s.UpdateUser(ctx, forUser(who, rest.UserUpdateReq{FullName: &req.Body.FullName}))
	return service.Empty{}, noVisitor(err)
}

// CurrentUserDelete implements service.CurrentUser.
func (s *Service) CurrentUserDelete(ctx context.Context, req service.ForVisit[service.Empty]) (rsp service.Answered[service.Empty], err error) {
	who, _, err := s.visitorAccount(ctx, req.Visit)
	if err != nil {
		return rsp, err
	}
	if _, err := s.DeleteUser(ctx, forUser(who, service.Empty{})); err != nil {
		return rsp, noVisitor(err)
	}
	cookies := s.cookies(who.project)
	rsp.Cookies = &cookies
	return rsp, nil
}

// CurrentUserPasskeyGet implements service.CurrentUser.
func (s *Service) CurrentUserPasskeyGet(ctx context.Context, req service.ForVisit[service.List]) (frontend.MePasskeyRsp, error) {
	who, _, err := s.visitorAccount(ctx, req.Visit)
	if err != nil {
		return frontend.MePasskeyRsp{}, err
	}
	list, err := s.ListCredentials(ctx, forUser(who, req.Body))
	if err != nil {
		return frontend.MePasskeyRsp{}, noVisitor(err)
	}
	passkeys := make([]frontend.Passkey, len(list.Credentials))
	for i, c := range list.Credentials {
		passkeys[i] = frontendPasskey(c)
	}
	return frontend.MePasskeyRsp{Passkeys: passkeys, Paging: list.Paging}, nil
}

// frontendPasskey is a passkey as frontends know it.
func frontendPasskey(c rest.Credential) frontend.Passkey {
	return frontend.Passkey{
		ID: c.ID, CredentialID: c.CredentialID, AttestationType: c.AttestationType, Transport: c.Transport, BackupEligible: c.BackupEligible,
		BackupState: c.BackupState, AuthenticatorAAGUID: c.AuthenticatorAAGUID, SourceOS: c.SourceOS, SourceBrowser: c.SourceBrowser,
		LastUsed: c.LastUsed, LastUsedMs: c.LastUsedMs, Created: c.Created, CreatedMs: c.CreatedMs, Status: c.Status,
		AAGUIDDetails: frontendAAGUID(c.AAGUIDDetails), Tags: c.Tags,
	}
}

func frontendAAGUID(d rest.AAGUIDDetails) frontend.AAGUIDDetails {
	return frontend.AAGUIDDetails{Name: d.Name, IconLight: d.IconLight, IconDark: d.IconDark}
}

// CurrentUserPasskeyAppendStart implements service.CurrentUser. The policy knows that the user asks for it.
func (s *Service) CurrentUserPasskeyAppendStart(ctx context.Context, req service.ForVisit[frontend.MePasskeysAppendStartReq]) (rsp service.Answered[frontend.MePasskeysAppendStartRsp], err error) {
	who, err := s.visitor(ctx, req.Visit)
	if err != nil {
		return rsp, err
	}
	name, err := s.passkeyName(ctx, who)
	if err != nil {
		return rsp, err
	}
	situation := situationCurrentUser
	judged, err := s.AppendStart(ctx, service.ForProject[rest.PasskeyAppendStartReq]{Project: who.project.ID, Body: rest.PasskeyAppendStartReq{
		UserID: string(who.user), ProcessID: who.process(), Username: name, Situation: &situation,
		ClientInformation: clientOfVisit(req.Visit, req.Body.ClientInformation),
	}})
	if err != nil {
		return rsp, noVisitor(err)
	}
	rsp.Body = frontend.MePasskeysAppendStartRsp{AttestationOptions: judged.Body.AttestationOptions, NewClientEnvHandle: judged.Body.NewClientEnvHandle}
	if !judged.Body.AppendAllow {
		rsp.Body.AppendNotAllowedReason = notAllowed(judged.Body)
	}
	rsp.Decision, rsp.PolicyRevision = judged.Decision, judged.PolicyRevision
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

// process is what decisions and events call what happens in a session.
func (v visitor) process() string {
	if v.session.ID != "" {
		return string(v.session.ID)
	}
	return string(v.user)
}

// passkeyName returns what authenticators show of the user: what the session was begun with, else what the user is known by.
func (s *Service) passkeyName(ctx context.Context, who visitor) (string, error) {
	if who.session.IdentifierValue != "" {
		return who.session.IdentifierValue, nil
	}
	view, err := s.accounts.View(ctx, who.project.ID, who.user)
	if err != nil {
		return "", noVisitor(err)
	}
	return displayName(*view.Account), nil
}

// displayName returns the best name of a user: an email address, a phone number, a user name, the full name, the ID.
func displayName(a account.Account) string {
	for _, kind := range []rest.IdentifierType{rest.IdentifierTypeEmail, rest.IdentifierTypePhone, rest.IdentifierTypeUsername} {
		if value := proven(a, kind); value != "" {
			return value
		}
	}
	for _, i := range a.Identifiers {
		return i.Value
	}
	if a.FullName != nil && *a.FullName != "" {
		return *a.FullName
	}
	return string(a.ID)
}

// CurrentUserPasskeyAppendFinish implements service.CurrentUser.
func (s *Service) CurrentUserPasskeyAppendFinish(ctx context.Context, req service.ForVisit[frontend.MePasskeysAppendFinishReq]) (service.Empty, error) {
	who, err := s.visitor(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	_, err = s.AppendFinish(ctx, service.ForProject[rest.PasskeyAppendFinishReq]{Project: who.project.ID, Body: rest.PasskeyAppendFinishReq{
		UserID: string(who.user), ProcessID: who.process(), AttestationResponse: req.Body.AttestationResponse,
		ClientInformation: clientOfVisit(req.Visit, req.Body.ClientInformation),
	}})
	return service.Empty{}, noVisitor(err)
}

// CurrentUserPasskeyDelete implements service.CurrentUser.
func (s *Service) CurrentUserPasskeyDelete(ctx context.Context, req service.ForVisit[ident.CredentialID]) (frontend.MePasskeyDeleteRsp, error) {
	who, _, err := s.visitorAccount(ctx, req.Visit)
	if err != nil {
		return frontend.MePasskeyDeleteRsp{}, err
	}
	if _, err := s.DeleteCredential(ctx, forUser(who, req.Body)); err != nil {
		return frontend.MePasskeyDeleteRsp{}, noVisitor(err)
	}
	return frontend.MePasskeyDeleteRsp{ID: string(req.Body)}, nil
}

// CurrentUserIdentifierCreate implements service.CurrentUser.
func (s *Service) CurrentUserIdentifierCreate(ctx context.Context, req service.ForVisit[frontend.MeIdentifierCreateReq]) (service.Empty, error) {
	who, a, err := s.visitorAccount(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	kind := req.Body.IdentifierType
	_, err = s.CreateIdentifier(ctx, forUser(who, rest.IdentifierCreateReq{IdentifierType: kind, IdentifierValue: req.Body.Value, Status: newStatus(a, kind)}))
	return service.Empty{}, noVisitor(fault.Renamed(err, fieldIdentifier, "value"))
}

// newStatus is that of an identifier that a user gives to itself. Nothing needs to be proven of a user name; the first is the primary one.
func newStatus(a account.Account, kind rest.IdentifierType) rest.IdentifierStatus {
	switch {
	case kind != rest.IdentifierTypeUsername:
		return rest.IdentifierStatusPending
	case proven(a, kind) == "":
		return rest.IdentifierStatusPrimary
	default:
		return rest.IdentifierStatusVerified
	}
}

// CurrentUserIdentifierUpdate implements service.CurrentUser. The new user name is there before the old one is gone.
func (s *Service) CurrentUserIdentifierUpdate(ctx context.Context, req service.ForVisit[frontend.MeIdentifierUpdateReq]) (service.Empty, error) {
	who, a, err := s.visitorAccount(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	if req.Body.IdentifierType != rest.IdentifierTypeUsername {
		return service.Empty{}, fault.Field(fieldIdentifierType, "must be username: another identifier is added, verified and then the old one deleted")
	}
	i := identifierAt(&a, ident.IdentifierID(req.Body.IdentifierID))
	if i < 0 || a.Identifiers[i].Type != rest.IdentifierTypeUsername {
		return service.Empty{}, fault.Unknown(fieldIdentifierID)
	}
	_, err = s.CreateIdentifier(ctx, forUser(who, rest.IdentifierCreateReq{
		IdentifierType: rest.IdentifierTypeUsername, IdentifierValue: req.Body.Value, Status: a.Identifiers[i].Status,
	}))
	if err != nil {
		return service.Empty{}, noVisitor(fault.Renamed(err, fieldIdentifier, "value"))
	}
	_, err = s.DeleteIdentifier(ctx, forUser(who, a.Identifiers[i].ID))
	return service.Empty{}, noVisitor(err)
}

// CurrentUserIdentifierDelete implements service.CurrentUser. The last one stays: nobody could name the user any more.
func (s *Service) CurrentUserIdentifierDelete(ctx context.Context, req service.ForVisit[frontend.MeIdentifierDeleteReq]) (service.Empty, error) {
	who, a, err := s.visitorAccount(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	id := ident.IdentifierID(req.Body.IdentifierID)
	if len(a.Identifiers) == 1 && a.Identifiers[0].ID == id {
		return service.Empty{}, fault.Field(fieldIdentifierID, "is the last one and cannot be deleted")
	}
	_, err = s.DeleteIdentifier(ctx, forUser(who, id))
	return service.Empty{}, noVisitor(err)
}

// CurrentUserIdentifierVerifyStart implements service.CurrentUser.
func (s *Service) CurrentUserIdentifierVerifyStart(ctx context.Context, req service.ForVisit[frontend.MeIdentifierVerifyStartReq]) (service.Empty, error) {
	who, a, err := s.visitorAccount(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	i := identifierAt(&a, ident.IdentifierID(req.Body.IdentifierID))
	if i < 0 {
		return service.Empty{}, fault.Unknown(fieldIdentifierID)
	}
	kinds := map[rest.IdentifierType]rest.ChallengeType{rest.IdentifierTypeEmail: rest.ChallengeTypeEmailOtp, rest.IdentifierTypePhone: rest.ChallengeTypeSmsOtp}
	kind, ok := kinds[a.Identifiers[i].Type]
	if !ok {
		return service.Empty{}, fault.Field(fieldIdentifierID, "is a user name, of which nothing needs to be verified")
	}
	_, err = s.CreateCode(ctx, forUser(who, rest.ChallengeCreateReq{
		ChallengeType: kind, IdentifierValue: a.Identifiers[i].Value, ClientInformation: clientOfVisit(req.Visit, req.Body.ClientInformation),
	}))
	return service.Empty{}, noVisitor(err)
}

// CurrentUserIdentifierVerifyFinish implements service.CurrentUser. The code is the one that was sent last.
func (s *Service) CurrentUserIdentifierVerifyFinish(ctx context.Context, req service.ForVisit[frontend.MeIdentifierVerifyFinishReq]) (service.Empty, error) {
	who, a, err := s.visitorAccount(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	id := ident.IdentifierID(req.Body.IdentifierID)
	if identifierAt(&a, id) < 0 {
		return service.Empty{}, fault.Unknown(fieldIdentifierID)
	}
	newest, err := s.codes.Newest(ctx, who.project.ID, who.user, id)
	if errors.Is(err, code.ErrUnknown) {
		return service.Empty{}, fault.Field("code", "none was sent to this identifier")
	}
	if err != nil {
		return service.Empty{}, err
	}
	_, err = s.CheckCode(ctx, forUser(who, service.CodeCheck{ID: newest, Value: req.Body.Code}))
	return service.Empty{}, noVisitor(fault.Renamed(err, fieldCodeValue, "code"))
}

// OidcUserInfo implements service.CurrentUser.
func (s *Service) OidcUserInfo(ctx context.Context, req service.ForVisit[service.Empty]) (frontend.OidcUserInfoRsp, error) {
	_, a, err := s.visitorAccount(ctx, req.Visit)
	if err != nil {
		return frontend.OidcUserInfoRsp{}, err
	}
	info := frontend.OidcUserInfoRsp{Sub: string(a.ID), Name: a.FullName}
	verified := true
	if email := proven(a, rest.IdentifierTypeEmail); email != "" {
		info.Email, info.EmailVerified = &email, &verified
		return info, nil
	}
	for _, i := range a.Identifiers {
		if i.Type == rest.IdentifierTypeEmail {
			verified = false
			info.Email, info.EmailVerified = &i.Value, &verified
			break
		}
	}
	return info, nil
}

package registrations

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/codes"
	"github.com/keyward/keyward/services/ceremony/directory"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/enrolment"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/passkeys"
)

// The fields of the user service's messages that faults name.
const (
	fieldAuthenticator = "authenticator"
	fieldDomain        = "domain"
	fieldRegistration  = "publicKeyCredential"
)

// registrationTimeoutMs is how long the client is to wait for the user, in ms: these registrations may involve looking for a security key.
const registrationTimeoutMs = 300_000

// RegisterPasskey implements service.Registrations. The user has asked for a passkey, or somebody for the user, so the policy is asked as
// for a user who did: cooldowns and counts do not matter to the default one. Nothing is remembered of the environment, since the call need
// not come from it.
func (s *Service) RegisterPasskey(
	ctx context.Context, req service.ForUser[service.PasskeyRegistration],
) (rsp service.PendingPasskey, err error) {
	defer func() { s.calls.Started("register-passkey", true, err) }()
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return rsp, err
	}
	// The code comes first: who has none that is right learns nothing of the user.
	release, complete, err := s.claimCode(ctx, p, req)
	if err != nil {
		return rsp, err
	}
	st, err := s.startRegistration(ctx, p, req)
	if err == nil {
		rsp, err = s.offerRegistration(ctx, st, req.Body)
	}
	if err != nil {
		release(ctx)
		return service.PendingPasskey{}, err
	}
	return rsp, complete(ctx)
}

// startRegistration makes the project the relying party of the domain that is asked for, and looks up the user.
func (s *Service) startRegistration(
	ctx context.Context, p project.Project, req service.ForUser[service.PasskeyRegistration],
) (passkeys.Start, error) {
	body := req.Body
	switch protocol.AuthenticatorAttachment(body.Attachment) {
	case "", protocol.Platform, protocol.CrossPlatform:
	default:
		return passkeys.Start{}, fault.Field(fieldAuthenticator, "must be platform, cross-platform or empty")
	}
	p, err := onDomain(p, body.Domain)
	if err != nil {
		return passkeys.Start{}, err
	}
	// Who asks for creation options has a client that can use them; what else it can do is not known here.
	client := rest.ClientInformation{UserAgent: body.UserAgent, RemoteAddress: body.Address, ClientCapabilities: &rest.ClientCapabilities{}}
	st := passkeys.Start{Project: p, Question: service.Question{Project: p.ID, Client: client, RequestID: reqctx.RequestID(ctx)}}
	if err := s.passkeys.Look(ctx, &st, req.User); err != nil {
		return passkeys.Start{}, registrationFault(err)
	}
	if st.Account != nil && st.Account.Active() != nil {
		return passkeys.Start{}, registrationFault(account.ErrInactive)
	}
	return st, nil
}

// onDomain returns the project as the relying party of a domain: its RP ID, or a subdomain of it that one of the project's origins is on.
// Only what pages of that domain, and apps, send is accepted.
func onDomain(p project.Project, domain string) (project.Project, error) {
	if domain == "" || domain == p.RPID {
		return p, nil
	}
	domain = strings.ToLower(domain)
	pages := 0
	origins := slices.DeleteFunc(slices.Clone(p.Origins), func(origin string) bool {
		u, err := url.Parse(origin)
		if err != nil || codes.WebOrigin(u) == "" {
			return false
		}
		host := strings.ToLower(u.Hostname())
		on := host == domain || strings.HasSuffix(host, "."+domain)
		if on {
			pages++
		}
		return !on
	})
	if pages == 0 || domain != p.RPID && !strings.HasSuffix(domain, "."+p.RPID) {
		return p, fault.Field(fieldDomain, "must be %s, the RP ID of the project, or a subdomain of it that an origin of the project is "+
			"on", p.RPID).
			Named(service.ReasonDomain)
	}
	p.RPID, p.Origins = domain, origins
	return p, nil
}

// offerRegistration asks the policy and returns creation options. When it has returned, their challenge is stored and the offer is in the
// log.
func (s *Service) offerRegistration(
	ctx context.Context, st passkeys.Start, body service.PasskeyRegistration,
) (rsp service.PendingPasskey, err error) {
	verdict, err := s.passkeys.JudgeAppend(ctx, &st, rest.PasskeyIntelFlags{ForcePasskeyAppend: true}, "")
	if err != nil {
		return rsp, registrationFault(err)
	}
	if st.Account == nil {
		return rsp, fault.Unavailable(time.Second, "the user could not be read")
	}
	if !verdict.Allow {
		return rsp, fault.Precondition("the policy does not allow the user to register a passkey: %s", verdict.Tag).Named(service.ReasonDenied)
	}
	id := ident.NewCredentialID()
	offered, err := s.passkeys.OfferCreation(ctx, st, verdict, relyingparty.Creation{
		Username: directory.PasskeyName(*st.Account), Attachment: cmp.Or(body.Attachment, verdict.Attachment),
		Hints: registrationHints(body.Attachment, verdict.Hints), TimeoutMs: registrationTimeoutMs,
	}, id)
	if err != nil {
		return rsp, err
	}
	return service.PendingPasskey{
		Change: service.Change{ChangedMs: offered.Event.CreatedMs, CreatedMs: offered.CreatedMs},
		ID:     id, Options: []byte(offered.Options), Decided: verdict.Decided,
	}, nil
}

// registrationHints are those of the authenticator that the caller asks for, or the policy's (W3C WebAuthn §5.8.7).
func registrationHints(attachment string, policy []string) []string {
	switch protocol.AuthenticatorAttachment(attachment) {
	case protocol.Platform:
		return []string{string(protocol.PublicKeyCredentialHintClientDevice)}
	case protocol.CrossPlatform:
		return []string{string(protocol.PublicKeyCredentialHintSecurityKey), string(protocol.PublicKeyCredentialHintHybrid)}
	default:
		return policy
	}
}

// VerifyPasskey implements service.Registrations.
func (s *Service) VerifyPasskey(ctx context.Context, req service.ForUser[service.PasskeyVerification]) (rsp service.Change, err error) {
	defer func() { s.calls.Finished("verify-passkey", err) }()
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return rsp, err
	}
	client := rest.ClientInformation{RemoteAddress: req.Body.Address}
	attempt := passkeys.Attempt{Project: p, User: req.User, Client: client, Answer: string(req.Body.Credential)}
	refused := func(err error) error {
		return registrationFault(s.passkeys.RefuseCreation(ctx, attempt, registrationRefused(err)))
	}
	answer, err := relyingparty.ParseCreation(attempt.Answer)
	if err != nil {
		return rsp, refused(err)
	}
	attempt.Of(answer)
	a, err := s.passkeys.Active(ctx, p.ID, req.User)
	if err != nil {
		return rsp, refused(err)
	}
	attempt.Record, err = s.pending(ctx, p, a, req.Body.ID, answer.Response.CollectedClientData.Challenge)
	if err != nil {
		return rsp, refused(err)
	}
	if p, err = onDomain(p, attempt.Record.RPID); err != nil {
		return rsp, refused(challenge.ErrRPID)
	}
	attempt.Project = p
	if enrolment.Ended(&a, attempt.Record) {
		return rsp, refused(challenge.ErrUsed)
	}
	taken, err := s.challenges.TakeFound(ctx, attempt.Record, 0)
	if err != nil {
		return rsp, refused(err)
	}
	created, err := s.passkeys.FinishCreation(ctx, passkeys.Creation{
		Project: p, Account: a, Taken: taken, Answer: answer, Client: client, Name: req.Body.Name, Field: fieldRegistration,
	})
	if err != nil {
		return rsp, registrationFault(registrationRefused(err))
	}
	return service.Change{ChangedMs: created.Event.CreatedMs, CreatedMs: taken.Created}, nil
}

// pending returns the challenge that was given out with a passkey's ID. An ID that no registration of the user has is told from an answer
// to another challenge. The challenge of the answer comes with the error if it is known.
func (s *Service) pending(
	ctx context.Context, p project.Project, a account.Account, id ident.CredentialID, value string,
) (challenge.Record, error) {
	claim := challenge.Claim{Keys: p.Ring, Project: p.ID, User: a.ID, Value: value, Type: rest.PasskeyChallengeTypeRegister}
	found, err := s.challenges.Find(ctx, claim, s.now())
	mine := found.Passkey == id
	if err == nil && mine {
		return found, nil
	}
	if err != nil && (mine || !errors.Is(err, challenge.ErrUnknown)) {
		return found, err
	}
	if slices.ContainsFunc(a.Credentials, func(c account.Credential) bool { return c.ID == id }) {
		return challenge.Record{}, challenge.ErrUsed
	}
	if _, err := s.registrationOf(ctx, &a, id); err != nil {
		return challenge.Record{}, err
	}
	return challenge.Record{}, fault.Refuse("the challenge is not that of this passkey's registration")
}

// registrationOf returns the registration under which a passkey's ID was given out, whatever has become of it, or the fault that there is
// none.
func (s *Service) registrationOf(ctx context.Context, a *account.Account, id ident.CredentialID) (challenge.Record, error) {
	all, err := s.challenges.List(ctx, a, s.now())
	if err != nil {
		return challenge.Record{}, err
	}
	if i := slices.IndexFunc(all, func(r challenge.Record) bool { return r.Passkey != "" && r.Passkey == id }); i >= 0 {
		return all[i], nil
	}
	return challenge.Record{}, service.ErrPasskeyUnknown
}

// registrationRefused names the faults of an answer that did not verify.
func registrationRefused(err error) error {
	var f *fault.Fault
	var refusal *fault.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	if !errors.As(err, &f) {
		f = fault.As(fault.At(fieldRegistration, err))
	}
	return f.Named(service.ReasonCredential)
}

// registrationFault turns faults of the account into those of the user service. Others pass.
func registrationFault(err error) error {
	return service.ErrUserInactive.Instead(service.ErrUserUnknown.Instead(err, account.ErrUnknown), account.ErrInactive)
}

package ceremony

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/credindex"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
)

const fieldAttestation = "attestationResponse"

// What decisions call the situations in which the service itself asks whether to create a passkey.
const (
	situationPostLogin   = "post-login"
	situationSignUp      = "sign-up"
	situationCurrentUser = "current-user" // somebody with a session has asked for it
)

// AppendStart implements service.Passkeys.
func (s *Service) AppendStart(ctx context.Context, req service.ForProject[rest.PasskeyAppendStartReq]) (rsp service.Judged[rest.PasskeyAppendStartRsp], err error) {
	defer func() { s.metrics.started("append-start", rsp.Body.AppendAllow, err) }()
	body := req.Body
	if body.Username == "" {
		return rsp, fault.Field("username", "cannot be blank")
	}
	st, err := s.start(ctx, req.Project, body.UserID, body.ClientInformation, body.ProcessID)
	if err != nil {
		return rsp, err
	}
	return s.startAppend(ctx, st, body.Username, body.PasskeyIntelFlags, text(body.Situation))
}

// startAppend asks for a decision on the user of st, and offers the creation of a passkey or not. The username is what authenticators show.
func (s *Service) startAppend(ctx context.Context, st start, username string, flags rest.PasskeyIntelFlags, situation string) (rsp service.Judged[rest.PasskeyAppendStartRsp], err error) {
	verdict, err := ask(ctx, s, &st, func() (service.AppendVerdict, error) {
		return s.decision.Append(ctx, service.AppendQuestion{Question: st.question, Flags: flags, Situation: situation})
	}, func(v *service.AppendVerdict) *service.Verdict { return &v.Verdict })
	if err != nil {
		return rsp, err
	}
	if st.account == nil {
		verdict.Allow = false
	}
	options := ""
	if verdict.Allow {
		options, err = s.offerAppend(ctx, st, verdict, username)
		if err != nil {
			return rsp, err
		}
	}
	return judged(appendAnswer(st, verdict, options), verdict.Verdict), nil
}

// offerAppend returns creation options. When it has returned, their challenge is stored and the offer is in the log.
func (s *Service) offerAppend(ctx context.Context, st start, v service.AppendVerdict, username string) (string, error) {
	options, err := relyingparty.New(st.project, st.project.Origins).Create(*st.account, relyingparty.Creation{
		Username:         username,
		Exclude:          pick(st.account, v.ExcludeCredentials, st.project.RPID),
		Attachment:       v.Attachment,
		UserVerification: v.UserVerification,
		Hints:            v.Hints,
		Conditional:      v.Conditional,
	})
	if err != nil {
		return "", fault.Internal(err)
	}
	r := s.record(st, rest.PasskeyChallengeTypeRegister, options, v.Verdict)
	r.Kind, r.Username, r.AllowedAAGUIDs = v.Kind, username, v.AllowedAAGUIDs
	if err := s.challenges.Put(ctx, r); err != nil {
		return "", err
	}
	offer := s.offer(st, event.AppendOffered, v.Verdict)
	offer.ID = eventIDOf(r.ID, event.AppendOffered)
	offer.Challenge, offer.Ceremony, offer.Kind = r.Value, r.ID, v.Kind
	if _, err := s.append(ctx, offer); err != nil {
		return "", err
	}
	return options.JSON, nil
}

func appendAnswer(st start, v service.AppendVerdict, options string) rest.PasskeyAppendStartRsp {
	found := insights(v.Insights)
	rsp := rest.PasskeyAppendStartRsp{
		AppendAllow:        v.Allow,
		AttestationOptions: options,
		CredentialCount:    credentialCount(st.account),
		DecisionInsights:   rest.AppendDecisionInsights{Tag: v.Tag, Variant: v.Variant, Auto: v.Auto, IsRestrictedBrowser: v.IsRestrictedBrowser},
		DecisionTag:        v.Tag,
		DetectionInsights:  found,
		DetectionTags:      found.Tags,
		NewClientEnvHandle: st.visit.issued,
	}
	if rsp.DecisionInsights.Variant == "" {
		rsp.DecisionInsights.Variant = rest.AppendVariantDefault
	}
	if v.Conditional {
		rsp.DecisionInsights.Conditional, rsp.DecisionInsights.ManualAllowed = &v.Conditional, &v.ManualAllowed
	}
	if reason := rest.PasskeyAppendStartRspAppendNotAllowedReason(v.Reason); !v.Allow && reasonOnWire(reason) {
		rsp.AppendNotAllowedReason = &reason
	}
	return rsp
}

// reasonOnWire reports whether the wire has a word for the reason; the others travel in the decision's explanation.
func reasonOnWire(r rest.PasskeyAppendStartRspAppendNotAllowedReason) bool {
	return r == rest.PasskeyAppendStartRspAppendNotAllowedReasonPasskeyAlreadyExists || r == rest.PasskeyAppendStartRspAppendNotAllowedReasonPasskeysNotSupported
}

// AppendFinish implements service.Passkeys.
func (s *Service) AppendFinish(ctx context.Context, req service.ForProject[rest.PasskeyAppendFinishReq]) (rsp rest.PasskeyAppendFinishRsp, err error) {
	defer func() { s.metrics.finished("append-finish", err) }()
	body := req.Body
	p, err := s.project(req.Project)
	if err != nil {
		return rsp, err
	}
	user, err := userID(body.UserID)
	if err != nil {
		return rsp, err
	}
	answer, err := relyingparty.ParseCreation(body.AttestationResponse)
	if err != nil {
		return rsp, fault.At(fieldAttestation, err)
	}
	a, err := s.activeAccount(ctx, p.ID, user)
	if err != nil {
		return rsp, err
	}
	taken, err := s.challenges.Take(ctx, challenge.Claim{
		Project: p.ID, User: user, Value: answer.Response.CollectedClientData.Challenge, Type: rest.PasskeyChallengeTypeRegister, Process: body.ProcessID, RPID: p.RPID,
	}, s.now())
	if err != nil {
		return rsp, fault.At(fieldAttestation, err)
	}
	party, err := finishParty(p, taken.Record)
	if err != nil {
		return rsp, fault.At(fieldAttestation, err)
	}
	passkey, err := party.Register(a, taken.Session, answer)
	if err != nil {
		return rsp, fault.At(fieldAttestation, err)
	}
	if !mayCreate(taken.AllowedAAGUIDs, passkey.AAGUID) {
		return rsp, fault.Field(fieldAttestation, "the authenticator is not one of those that the policy allows")
	}
	s.describe(&passkey, taken.Record, body.ClientInformation)
	where := sightingOf(body.ClientInformation, detected(taken.Record))
	if err := s.keep(ctx, taken.Record, passkey, where, fieldAttestation); err != nil {
		return rsp, err
	}
	done := s.completed(taken.Record, user, event.AppendCompleted, passkey.ID)
	done.Kind, done.Client = taken.Kind, clientOf(body.ClientInformation, where.device)
	if _, err := s.conclude(ctx, taken, done); err != nil {
		return rsp, err
	}
	route := ceremonyType(passkey, passkey.Attachment, taken.Route)
	return rest.PasskeyAppendFinishRsp{PasskeyData: s.passkeyData(user, passkey, route, taken.ID)}, nil
}

// mayCreate reports whether a policy that allows these models of authenticators, any if it names none, takes a passkey of this one. The user has not declined
// if it does not, and nothing was created, so no event tells of it.
func mayCreate(allowed []string, aaguid string) bool {
	return len(allowed) == 0 || slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, aaguid) })
}

// describe fills in what the authenticator does not know.
func (s *Service) describe(c *account.Credential, r challenge.Record, client rest.ClientInformation) {
	d := deviceOf(client, detected(r))
	nowMs := s.now().UnixMilli()
	c.ID = cmp.Or(r.Passkey, ident.NewCredentialID())
	c.Username = r.Username
	c.CreatedOS, c.CreatedBrowser = d.os, d.browser
	c.Environment = r.Environment
	c.CreatedMs, c.LastUsedMs = nowMs, nowMs
}

// keep stores a new passkey: its name first, so that two accounts cannot have the same one, then the account. Without the account the name means nothing
// and is given back. field is where the answer came in.
func (s *Service) keep(ctx context.Context, r challenge.Record, c account.Credential, d sighting, field string) error {
	entry := credindex.Entry{User: r.User, Credential: c.ID, Created: c.CreatedMs}
	err := s.index.AddCredential(ctx, r.Project, c.CredentialID, entry)
	if errors.Is(err, credindex.ErrTaken) {
		return fault.Conflict(field, "the credential is registered already").Named(service.ReasonPasskeyExists)
	}
	if err != nil {
		return err
	}
	_, err = s.accounts.Update(ctx, r.Project, r.User, func(a *account.Account) error {
		if err := active(a); err != nil {
			return err
		}
		a.Credentials = append(a.Credentials, c)
		seen(a, r.Environment, d, c.CreatedMs)
		a.UpdatedMs = c.CreatedMs
		return nil
	})
	if err == nil {
		return nil
	}
	if now, _, unread := s.accounts.Inspect(ctx, r.Project, r.User); (unread != nil && !errors.Is(unread, account.ErrUnknown)) || find(&now, c.CredentialID) != nil {
		// The account was stored after all, or nobody knows. An entry without an account means nothing; an account without its entry would be a passkey that no mediation finds.
		return err
	}
	if cleanup := s.index.RemoveCredential(ctx, r.Project, c.CredentialID, r.User); cleanup != nil {
		s.log.WarnContext(ctx, "an index entry without an account is left over", "credential", c.ID, "error", cleanup)
	}
	return err
}

// Package reply writes what callers are told of passkeys and of the ceremonies about them: to backends, to frontends, and to the credential
// managers behind those. It promises that no list is absent and that a word the wire does not have is left out, since strict clients refuse
// both. It is pure.
package reply

import (
	"encoding/base64"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
)

// Login is the answer to the start of a login. The account may be nil; handle is the one issued, if any.
func Login(a *account.Account, handle *string, v service.LoginVerdict, options string) rest.PasskeyLoginStartRsp {
	found := insights(v.Insights)
	return rest.PasskeyLoginStartRsp{
		AssertionOptions: options,
		CredentialCount:  credentialCount(a),
		DecisionInsights: rest.LoginDecisionInsights{
			Tag: v.Tag, Experiments: orEmpty(v.Experiments), IsCDACandidate: v.IsCDACandidate,
			PreferImmediatelyAvailable: new(v.PreferImmediatelyAvailable),
			Reason:                     refusal(v.Verdict, v.Reason), NextEligibleAt: eligible(v.Verdict),
		},
		DecisionTag:        v.Tag,
		DetectionInsights:  found,
		DetectionTags:      found.Tags,
		IsCDACandidate:     v.IsCDACandidate,
		LoginAllow:         v.Allow,
		NewClientEnvHandle: handle,
		OtherDevice:        otherDevice(v),
	}
}

// otherDevice is what to announce another device by, if one is offered.
func otherDevice(v service.LoginVerdict) *string {
	if !v.Allow || !v.IsCDACandidate || v.OtherDevice == "" {
		return nil
	}
	return new(v.OtherDevice)
}

// refusal is why nothing is offered, as the wire has it.
func refusal(v service.Verdict, reason string) *string {
	if v.Allow || reason == "" {
		return nil
	}
	return new(reason)
}

// eligible is until when a refusal lasts, as the wire has it.
func eligible(v service.Verdict) *string {
	if v.Allow || v.NextEligibleAt.IsZero() {
		return nil
	}
	return new(v.NextEligibleAt.UTC().Format(time.RFC3339))
}

// Append is the answer to the start of a creation. The account may be nil; handle is the one issued, if any.
func Append(a *account.Account, handle *string, v service.AppendVerdict, options string) rest.PasskeyAppendStartRsp {
	found := insights(v.Insights)
	rsp := rest.PasskeyAppendStartRsp{
		AppendAllow:        v.Allow,
		AttestationOptions: options,
		CredentialCount:    credentialCount(a),
		DecisionInsights: rest.AppendDecisionInsights{
			Tag: v.Tag, Variant: v.Variant, Auto: v.Auto, IsRestrictedBrowser: v.IsRestrictedBrowser,
			Reason: refusal(v.Verdict, v.Reason), NextEligibleAt: eligible(v.Verdict),
		},
		DecisionTag:        v.Tag,
		DetectionInsights:  found,
		DetectionTags:      found.Tags,
		NewClientEnvHandle: handle,
	}
	if rsp.DecisionInsights.Variant == "" {
		rsp.DecisionInsights.Variant = rest.AppendVariantDefault
	}
	if v.Conditional {
		rsp.DecisionInsights.Conditional, rsp.DecisionInsights.ManualAllowed = new(v.Conditional), new(v.ManualAllowed)
	}
	if reason := rest.PasskeyAppendStartRspAppendNotAllowedReason(v.Reason); !v.Allow && reasonOnWire(reason) {
		rsp.AppendNotAllowedReason = new(reason)
	}
	return rsp
}

// reasonOnWire reports whether appendNotAllowedReason has a word for the reason; the others travel in the decision's insights.
func reasonOnWire(r rest.PasskeyAppendStartRspAppendNotAllowedReason) bool {
	return r == rest.PasskeyAppendStartRspAppendNotAllowedReasonPasskeyAlreadyExists ||
		r == rest.PasskeyAppendStartRspAppendNotAllowedReasonPasskeysNotSupported
}

// insights returns i without nil lists: strict clients want arrays.
func insights(i rest.DetectionInsights) rest.DetectionInsights {
	i.ClientEnvIds = orEmpty(i.ClientEnvIds)
	i.CredentialIds = orEmpty(i.CredentialIds)
	i.PasswordManagerIds = orEmpty(i.PasswordManagerIds)
	i.Tags = orEmpty(i.Tags)
	return i
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func credentialCount(a *account.Account) int32 {
	if a == nil {
		return 0
	}
	return int32(len(a.Credentials))
}

// Judged is an answer with the decision that it follows.
func Judged[T any](body T, v service.Verdict) service.Judged[T] {
	return service.Judged[T]{Body: body, Decided: v.Decided, Incomplete: v.Incomplete, Risk: v.Risk}
}

// Finished is an answer to a finish with how that was judged.
func Finished[T any](body T, v service.Verdict) service.Finished[T] {
	return service.Finished[T]{Judged: Judged(body, v)}
}

// Credential is a passkey as backends know it. The name is that of the model of its authenticator.
func Credential(c account.Credential, name string) rest.Credential {
	return rest.Credential{
		ID:                  string(c.ID),
		CredentialID:        base64.RawURLEncoding.EncodeToString(c.CredentialID),
		AttestationType:     c.AttestationType,
		AuthenticatorAAGUID: c.AAGUID,
		AAGUIDDetails:       AAGUID(c.AAGUID, name),
		BackupEligible:      c.BackupEligible,
		BackupState:         c.BackupState,
		Created:             account.Timestamp(c.CreatedMs),
		CreatedMs:           c.CreatedMs,
		LastUsed:            account.Timestamp(c.LastUsedMs),
		LastUsedMs:          c.LastUsedMs,
		SourceBrowser:       c.CreatedBrowser,
		SourceOS:            c.CreatedOS,
		Status:              rest.CredentialStatusActive,
		Tags:                []string{},
		Transport:           wireTransports(c.Transports),
	}
}

// wireTransports leaves out what the wire has no word for: strict clients reject unknown values.
func wireTransports(stored []string) []rest.CredentialTransport {
	list := make([]rest.CredentialTransport, 0, len(stored))
	for _, t := range stored {
		if transport := rest.CredentialTransport(t); transport.Valid() {
			list = append(list, transport)
		}
	}
	return list
}

// AAGUID is what backends show of the model of an authenticator.
func AAGUID(aaguid, name string) rest.AAGUIDDetails {
	return rest.AAGUIDDetails{AAGUID: aaguid, Name: name}
}

// Challenge is a challenge as backends know it.
func Challenge(r challenge.Record) rest.PasskeyChallenge {
	const second = 1000 // ms
	return rest.PasskeyChallenge{
		ChallengeID: string(r.ID), Type: r.Type, Value: r.Value, Status: r.Status,
		Created: r.Created / second, CreatedMs: r.Created, Expires: r.Expires / second,
	}
}

// NotMediated carries an empty passkeyData, since the wire requires one; its ceremony type is local because strict clients reject a blank
// one.
func NotMediated(e rest.MediationError) rest.PasskeyMediationFinishRsp {
	return rest.PasskeyMediationFinishRsp{PasskeyData: rest.PasskeyData{CeremonyType: rest.CeremonyTypeLocal}, Error: &e}
}

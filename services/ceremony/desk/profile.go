package desk

import (
	"cmp"
	"context"
	"encoding/base64"
	"slices"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
)

// GetUserProfile implements service.Desk. What a history comes to is left out, and said to be, if it cannot be had.
func (s *Service) GetUserProfile(ctx context.Context, req service.ForUser[service.Empty]) (operator.UserProfile, error) {
	a, _, err := s.deps.Accounts.Get(ctx, req.Project, req.User)
	if err != nil {
		return operator.UserProfile{}, err
	}
	found := s.standing(ctx, service.Question{Project: req.Project, Account: &a})
	told := operator.UserProfile{
		User: userOf(&a), Labels: append([]string{}, a.Labels...), Passkeys: []operator.UserPasskey{},
		Environments: []operator.UserEnvironment{}, Bars: some(found.Bars), Counts: some(found.Counts),
		PasskeysDeleted: int32(len(a.Deleted)), WrongCodes: int32(a.WrongCodes),
	}
	if found.Lacks != "" {
		told.Lacks = &found.Lacks
	} else {
		told.LabelsDeclared = new(some(found.Labels))
		told.Events = new(int32(found.Events))
	}
	for _, c := range a.Credentials {
		told.Passkeys = append(told.Passkeys, s.passkey(&c, &found))
	}
	for _, e := range latest(a.Environments) {
		told.Environments = append(told.Environments, environment(&e, &found))
	}
	return told, nil
}

func (s *Service) standing(ctx context.Context, q service.Question) inquiry.Standing {
	if s.deps.Standings == nil {
		return inquiry.Standing{Lacks: "there is nobody to ask"}
	}
	found, err := s.deps.Standings.GetStanding(ctx, q)
	if err != nil {
		return inquiry.Standing{Lacks: "the decision service does not say: " + err.Error()}
	}
	return found
}

// maxEnvironments bounds how many environments are shown.
const maxEnvironments = 10

func latest(all []account.Environment) []account.Environment {
	sorted := slices.SortedStableFunc(slices.Values(all), func(a, b account.Environment) int {
		return cmp.Compare(b.LastSeenMs, a.LastSeenMs)
	})
	return sorted[:min(len(sorted), maxEnvironments)]
}

func (s *Service) passkey(c *account.Credential, found *inquiry.Standing) operator.UserPasskey {
	told := operator.UserPasskey{
		CredentialID: string(c.ID), WebauthnID: base64.RawURLEncoding.EncodeToString(c.CredentialID), Name: word(c.Name), AAGUID: c.AAGUID,
		Attestation: operator.UserPasskeyAttestationNone, BackupEligible: c.BackupEligible, BackedUp: c.BackupState,
		Created: moment(c.CreatedMs), OS: word(c.CreatedOS), Browser: word(c.CreatedBrowser), RpID: word(c.RPID),
		Where: []operator.PasskeyReach{}, Provider: word(s.deps.Passkeys.CredentialOf(*c).AAGUIDDetails.Name),
	}
	if len(c.Transports) > 0 {
		told.Transports = &c.Transports
	}
	if c.LastUsedMs > 0 {
		told.LastUsed = new(moment(c.LastUsedMs))
	}
	if at := c.Attestation; at != nil {
		told.AttestationFormat = word(at.Format)
		if at.Trust != "" {
			told.Attestation = operator.UserPasskeyAttestation(at.Trust)
		}
	}
	for _, p := range found.Passkeys {
		if p.Credential == c.ID {
			told.Class, told.Held, told.Where = p.Class, p.Held, some(p.Where)
		}
	}
	return told
}

func environment(e *account.Environment, found *inquiry.Standing) operator.UserEnvironment {
	told := operator.UserEnvironment{Counts: []operator.UserCount{}}
	for _, one := range found.Environments {
		if one.EnvironmentID == string(e.ID) {
			told = one
		}
	}
	told.EnvironmentID, told.OS, told.Browser = string(e.ID), e.OSName, e.BrowserName
	told.OSVersion, told.BrowserVersion, told.Created = word(e.OSVersion), word(e.BrowserVersion), moment(e.CreatedMs)
	if e.LastSeenMs > 0 {
		told.LastSeen = new(moment(e.LastSeenMs))
	}
	return told
}

func userOf(a *account.Account) operator.OperatorUser {
	told := operator.OperatorUser{
		UserID: string(a.ID), FullName: a.FullName, Status: operator.OperatorUserStatus(a.Status), Identifiers: []operator.UserIdentifier{},
		Created: moment(a.CreatedMs), Updated: new(moment(a.UpdatedMs)),
	}
	for _, i := range a.Identifiers {
		told.Identifiers = append(told.Identifiers, operator.UserIdentifier{
			Type: operator.UserIdentifierType(i.Type), Value: i.Value, Status: operator.UserIdentifierStatus(i.Status),
		})
	}
	for _, social := range a.SocialAccounts {
		told.Identifiers = append(told.Identifiers, operator.UserIdentifier{
			Type: operator.UserIdentifierTypeSocial, Value: string(social.Provider), Status: operator.UserIdentifierStatusVerified,
		})
	}
	return told
}

// some is the list, and never nil.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// word is a text that is left out if it is empty.
func word(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

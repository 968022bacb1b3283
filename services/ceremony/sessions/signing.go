package sessions

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/signing"
)

// How long signed passkey data is valid, and how far a verifier's clock may be behind.
const (
	signedDataLifetime = 5 * time.Minute
	signedDataLeeway   = 10 * time.Second
	tokenIDLength      = 30
)

// passkeyClaims is what signed passkey data says. Times are Unix seconds.
type passkeyClaims struct {
	Issuer     ident.ProjectID    `json:"iss"`
	Audience   ident.ProjectID    `json:"aud,omitempty"`
	Subject    ident.UserID       `json:"sub"`
	IssuedAt   int64              `json:"iat"`
	NotBefore  int64              `json:"nbf"`
	Expires    int64              `json:"exp"`
	ID         string             `json:"jti"`
	Process    string             `json:"processId"`
	Username   string             `json:"username"`
	Credential ident.CredentialID `json:"credential"`
	Challenge  ident.ChallengeID  `json:"challengeId"`
	WebAuthnID string             `json:"webauthnId"` // WebAuthn credential ID, base64url without padding
	IsCUI      bool               `json:"isCUI"`      // conditional UI: the user was found by the passkey
	Methods    []string           `json:"amr,omitempty"`
	// Most that a session may live that comes of it, as the policy obliges; none = it says nothing
	MaxSessionSeconds int `json:"maxSessionSeconds,omitempty"`
}

// Keys implements service.Sessions.
func (s *Service) Keys(ctx context.Context, req service.ForProject[service.Empty]) (json.RawMessage, error) {
	// Anybody may ask, so a project that is not there must not get a key.
	_, err := s.projects.Find(ctx, req.Project)
	if errors.Is(err, project.ErrUnknown) {
		err = fault.NotFound("there is no project %s", req.Project)
	}
	if err != nil {
		return nil, err
	}
	return s.signing.Public(ctx, req.Project)
}

// PasskeyLogin is a login that has just succeeded.
type PasskeyLogin struct {
	Project      ident.ProjectID
	User         ident.UserID
	Username     string
	Process      string
	Credential   ident.CredentialID
	CredentialID []byte // of WebAuthn
	Challenge    ident.ChallengeID
	Discoverable bool     // the user was found by the passkey
	Methods      []string // RFC 8176; none = not said
	// Most that what comes of it may live, as the policy obliges; 0 = it says nothing
	MaxSessionSeconds int
}

// SignLogin returns signed passkey data of a login.
func (s *Service) SignLogin(ctx context.Context, of PasskeyLogin) (string, error) {
	audience, err := s.audienceOf(ctx, of.Project)
	if err != nil {
		return "", err
	}
	now := s.now()
	return s.signing.Sign(ctx, of.Project, passkeyClaims{
		Issuer:     of.Project,
		Audience:   audience,
		Subject:    of.User,
		IssuedAt:   now.Unix(),
		NotBefore:  now.Add(-signedDataLeeway).Unix(),
		Expires:    now.Add(bounded(signedDataLifetime, of.MaxSessionSeconds)).Unix(),
		ID:         ident.Alphanumeric(tokenIDLength),
		Process:    of.Process,
		Username:   of.Username,
		Credential: of.Credential,
		Challenge:  of.Challenge,
		WebAuthnID: base64.RawURLEncoding.EncodeToString(of.CredentialID),
		IsCUI:      of.Discoverable,
		Methods:    of.Methods,

		MaxSessionSeconds: of.MaxSessionSeconds,
	})
}

// unfit is why signed passkey data proves nothing. Result is the wire's word for it.
type unfit struct {
	result  rest.VerifySignedDataRspVerificationResult
	message string
}

// Error implements error.
func (u *unfit) Error() string { return u.message }

// VerifySignedData implements service.Sessions. Of any number of verifications of the same data one succeeds; one that does not, for
// another reason, leaves the data as good as it was. If the answer is a fault, the data may have been spent.
func (s *Service) VerifySignedData(
	ctx context.Context, req service.ForProject[rest.VerifySignedDataReq],
) (rest.VerifySignedDataRsp, error) {
	_, _, err := s.spendSignedData(ctx, req.Project, req.Body.SignedPasskeyData, req.Body.Username)
	var reason *unfit
	if errors.As(err, &reason) {
		s.countVerified(reason.result)
		return rest.VerifySignedDataRsp{VerificationResult: reason.result}, nil
	}
	if err != nil {
		return rest.VerifySignedDataRsp{}, err
	}
	s.countVerified(rest.VerifySignedDataRspVerificationResultSuccess)
	return rest.VerifySignedDataRsp{VerificationResult: rest.VerifySignedDataRspVerificationResultSuccess}, nil
}

// spendSignedData verifies signed passkey data, for a user name if one is given, and spends it. What does not verify is an unfit.
func (s *Service) spendSignedData(
	ctx context.Context, project ident.ProjectID, token string, username *string,
) (passkeyClaims, account.Account, error) {
	if _, err := tenant.Of(ctx, s.projects, project); err != nil {
		return passkeyClaims{}, account.Account{}, err
	}
	if token == "" {
		return passkeyClaims{}, account.Account{}, fault.Field(fieldSigned, "cannot be blank")
	}
	claims, err := s.readSignedData(ctx, project, token)
	if err != nil {
		return passkeyClaims{}, account.Account{}, err
	}
	if username != nil && *username != "" && *username != claims.Username {
		return passkeyClaims{}, account.Account{}, &unfit{rest.VerifySignedDataRspVerificationResultUserMismatch, "belongs to another user name"}
	}
	a, err := s.holder(ctx, claims)
	if err != nil {
		return passkeyClaims{}, account.Account{}, err
	}
	_, err = s.spent.Create(ctx, string(project)+"."+claims.ID, struct{}{})
	if errors.Is(err, kv.ErrExists) {
		return passkeyClaims{}, account.Account{}, &unfit{rest.VerifySignedDataRspVerificationResultInvalidChallenge, "has been used already"}
	}
	if err != nil {
		return passkeyClaims{}, account.Account{}, err
	}
	return claims, a, nil
}

const fieldSigned = "signedPasskeyData"

// readSignedData checks the signature and what the claims alone can tell.
func (s *Service) readSignedData(ctx context.Context, project ident.ProjectID, token string) (passkeyClaims, error) {
	foreign := &unfit{rest.VerifySignedDataRspVerificationResultInvalidSignature, "is not signed by this project, or was changed"}
	payload, err := s.signing.Verify(ctx, project, token)
	if errors.Is(err, signing.ErrSignature) {
		return passkeyClaims{}, foreign
	}
	if err != nil {
		return passkeyClaims{}, err
	}
	claims, err := parsePasskeyClaims(payload)
	if err != nil || claims.Issuer != project || !isFor(project, claims.Audience) {
		// The same keys sign sessions.
		return passkeyClaims{}, foreign
	}
	switch now := s.now().Unix(); {
	case now >= claims.Expires:
		return passkeyClaims{}, &unfit{rest.VerifySignedDataRspVerificationResultInvalidChallenge, "has expired"}
	case now < claims.NotBefore:
		return passkeyClaims{}, &unfit{rest.VerifySignedDataRspVerificationResultInvalidChallenge, "is not valid yet"}
	}
	return claims, nil
}

// parsePasskeyClaims returns claims that have the form of a login's.
func parsePasskeyClaims(payload []byte) (passkeyClaims, error) {
	var c passkeyClaims
	if err := json.Unmarshal(payload, &c); err != nil {
		return passkeyClaims{}, err
	}
	_, project := ident.ParseProjectID(string(c.Issuer))
	_, user := ident.ParseUserID(string(c.Subject))
	_, credential := ident.ParseCredentialID(string(c.Credential))
	_, ceremony := ident.ParseChallengeID(string(c.Challenge))
	// A token ID has the form of a session ID and becomes part of a key as well.
	_, id := ident.ParseSessionID(c.ID)
	return c, errors.Join(project, user, credential, ceremony, id)
}

// holder returns the account that logged in, if it still may and still has the passkey.
func (s *Service) holder(ctx context.Context, claims passkeyClaims) (account.Account, error) {
	const result = rest.VerifySignedDataRspVerificationResultGenericError
	a, _, err := s.accounts.Get(ctx, claims.Issuer, claims.Subject)
	if errors.Is(err, account.ErrUnknown) {
		return account.Account{}, &unfit{result, "belongs to a user who does not exist any more"}
	}
	if err != nil {
		return account.Account{}, err
	}
	if a.Status == account.StatusDisabled {
		return account.Account{}, &unfit{result, "belongs to a user who is disabled"}
	}
	if !slices.ContainsFunc(a.Credentials, func(c account.Credential) bool { return c.ID == claims.Credential }) {
		return account.Account{}, &unfit{result, "belongs to a passkey that was deleted"}
	}
	return a, nil
}

// countVerified counts a verification of signed passkey data.
func (s *Service) countVerified(result rest.VerifySignedDataRspVerificationResult) {
	s.verified.WithLabelValues(string(result)).Inc()
}

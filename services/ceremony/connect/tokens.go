package connect

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/connecttoken"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// The lifetime of a connect token, in seconds.
const (
	connectTokenLifetime    = 3600
	connectTokenMaxLifetime = 86400
)

const fieldConnectToken = "connectTokenID"

// CreateConnectToken implements service.ConnectTokens. The secret is in this answer and nowhere else.
func (s *Service) CreateConnectToken(ctx context.Context, req service.ForProject[rest.ConnectTokenCreateReq]) (rest.ConnectToken, error) {
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return rest.ConnectToken{}, err
	}
	if err := checkConnectToken(req.Body); err != nil {
		return rest.ConnectToken{}, err
	}
	if err := s.checkContext(ctx, req); err != nil {
		return rest.ConnectToken{}, err
	}
	lifetime := time.Duration(connectTokenLifetime) * time.Second
	if req.Body.MaxLifetimeInSeconds != nil {
		lifetime = time.Duration(*req.Body.MaxLifetimeInSeconds) * time.Second
	}
	now := s.now()
	t := connecttoken.Token{
		Project: req.Project, Type: req.Body.Type, Identifier: req.Body.Data.Identifier, Status: rest.ConnectTokenStatusInitial,
		Context: req.Body.Data.Context, CreatedMs: now.UnixMilli(), ExpiresMs: now.Add(lifetime).UnixMilli(),
	}
	if req.Body.Data.DisplayName != nil {
		t.DisplayName = *req.Body.Data.DisplayName
	}
	secret := connecttoken.NewSecret(secretSeed(ctx, p))
	t, err = s.tokens.Create(ctx, t, secret)
	if err != nil {
		return rest.ConnectToken{}, err
	}
	answer := connectTokenOf(t)
	answer.Secret, answer.Data.Context = &secret, t.Context
	return answer, nil
}

// secretSeed returns what the secrets of a call with an Idempotency-Key are derived from, so that a repeat makes the same. The seed alone
// is stored beside the answers to such calls; it must not be enough.
func secretSeed(ctx context.Context, p project.Project) ident.Seed {
	seed := reqctx.Seed(ctx)
	if seed == "" {
		return ""
	}
	mac := hmac.New(sha256.New, p.Ring.Newest(keyring.ConnectTokenSecret).Secret)
	mac.Write([]byte("secrets of " + seed))
	return ident.Seed(hex.EncodeToString(mac.Sum(nil)))
}

func checkConnectToken(body rest.ConnectTokenCreateReq) error {
	const blank = "cannot be blank"
	var wrong []fault.FieldError
	if body.Type == "" {
		wrong = append(wrong, fault.FieldError{Field: "type", Message: blank})
	} else if !body.Type.Valid() {
		wrong = append(wrong, fault.FieldError{Field: "type", Message: "must be a valid value"})
	}
	if strings.TrimSpace(body.Data.Identifier) == "" {
		wrong = append(wrong, fault.FieldError{Field: "data.identifier", Message: blank})
	}
	if name := body.Data.DisplayName; body.Type == rest.ConnectTokenTypePasskeyAppend && (name == nil || strings.TrimSpace(*name) == "") {
		wrong = append(wrong, fault.FieldError{Field: "data.displayName", Message: blank})
	}
	if seconds := body.MaxLifetimeInSeconds; seconds != nil && (*seconds < 1 || *seconds > connectTokenMaxLifetime) {
		wrong = append(wrong, fault.FieldError{Field: "maxLifetimeInSeconds", Message: "must be between 1 and 86400"})
	}
	if len(wrong) > 0 {
		return fault.Fields(wrong...)
	}
	return nil
}

// checkContext refuses what a backend adds to the ceremonies of a token if the policy does not take it.
func (s *Service) checkContext(ctx context.Context, req service.ForProject[rest.ConnectTokenCreateReq]) error {
	if req.Body.Data.Context == nil {
		return nil
	}
	if t := req.Body.Type; t != rest.ConnectTokenTypePasskeyAppend && t != rest.ConnectTokenTypePasskeyLogin {
		return fault.Field("data.context", "is of tokens that start a ceremony: passkey-append and passkey-login")
	}
	_, err := s.decision.CheckContext(ctx, service.ForProject[json.RawMessage]{Project: req.Project, Body: req.Body.Data.Context})
	return fault.Below("data", err)
}

// UpdateConnectToken implements service.ConnectTokens. A consumed token stays consumed.
func (s *Service) UpdateConnectToken(ctx context.Context, req service.ForProject[patch.Token]) (service.Empty, error) {
	if !req.Body.Status.Valid() {
		return service.Empty{}, fault.Field("status", "must be a valid value")
	}
	return service.Empty{}, knownToken(s.tokens.Advance(ctx, req.Project, req.Body.ID, req.Body.Status))
}

// DeleteConnectToken implements service.ConnectTokens.
func (s *Service) DeleteConnectToken(ctx context.Context, req service.ForProject[ident.ConnectTokenID]) (service.Empty, error) {
	return service.Empty{}, knownToken(s.tokens.Delete(ctx, req.Project, req.Body))
}

func knownToken(err error) error {
	if errors.Is(err, connecttoken.ErrUnknown) {
		return fault.Unknown(fieldConnectToken)
	}
	return err
}

// connectTokenOf returns a token as the wire has it, without its secret, which nobody knows.
func connectTokenOf(t connecttoken.Token) rest.ConnectToken {
	data := rest.ConnectTokenData{Identifier: t.Identifier}
	if t.DisplayName != "" {
		data.DisplayName = &t.DisplayName
	}
	return rest.ConnectToken{
		ID: string(t.ID), TokenType: t.Type, Data: data, ConnectTokenStatus: t.Status, Expires: time.UnixMilli(t.ExpiresMs).Unix(),
	}
}

// ListConnectTokens implements service.ConnectTokens.
func (s *Service) ListConnectTokens(ctx context.Context, req service.ForProject[service.List]) (rest.ConnectTokenList, error) {
	return s.lists.Tokens(ctx, req.Project, req.Body)
}

// ForgetTokens is the step of a user's deletion that removes the tokens which name one of the user's identifiers.
func ForgetTokens(tokens *connecttoken.Store) func(context.Context, account.Account) error {
	return func(ctx context.Context, a account.Account) error {
		if len(a.Identifiers) == 0 {
			return nil
		}
		return tokens.Erase(ctx, a.Project, func(t connecttoken.Token) bool {
			return slices.ContainsFunc(a.Identifiers, func(i account.Identifier) bool {
				return account.IdentifierKey(i.Type, i.Value) == account.IdentifierKey(i.Type, t.Identifier)
			})
		})
	}
}

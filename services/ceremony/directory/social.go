package directory

import (
	"context"
	"net/url"
	"slices"
	"unicode/utf8"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/identindex"
)

const (
	fieldProvider  = "providerType"
	fieldForeignID = "foreignID"
	maxForeignID   = 255  // bytes
	maxAvatarURL   = 2048 // bytes
)

// CreateSocialAccount implements service.Directory. An account at a provider that any user of the project has is a conflict, this one
// included.
func (s *Service) CreateSocialAccount(ctx context.Context, req service.ForUser[rest.SocialAccountCreateReq]) (rest.SocialAccount, error) {
	body := req.Body
	if err := checkSocialAccount(body); err != nil {
		return rest.SocialAccount{}, err
	}
	a, _, err := s.accounts.Get(ctx, req.Project, req.User)
	if err != nil {
		return rest.SocialAccount{}, err
	}
	id := reqctx.Seed(ctx).SocialAccountID()
	for _, made := range a.SocialAccounts {
		if made.ID == id { // of an earlier attempt of this call
			return socialAccountOf(req.User, made), s.outbox.Announce(ctx, a)
		}
	}
	created := account.SocialAccount{
		ID: id, Provider: account.SocialProvider(body.ProviderType), ForeignID: body.ForeignID, IdentifierValue: body.IdentifierValue,
		AvatarURL: body.AvatarURL, FullName: body.FullName, CreatedMs: s.now().UnixMilli(),
	}
	add := func(a *account.Account) error { return addSocialAccount(a, created) }
	if err := add(&a); err != nil {
		return rest.SocialAccount{}, err
	}
	err = s.claim(ctx, claim{
		project: req.Project,
		user:    req.User,
		name:    socialName(req.Project, created.Provider, created.ForeignID),
		id:      string(created.ID),
		field:   fieldForeignID,
		has: func(other *account.Account) bool {
			return other.SocialAccount(created.Provider, created.ForeignID) != nil
		},
		add: add,
	})
	if err != nil {
		return rest.SocialAccount{}, err
	}
	return socialAccountOf(req.User, created), nil
}

func checkSocialAccount(body rest.SocialAccountCreateReq) error {
	var wrong []fault.FieldError
	refuse := func(field, message string) { wrong = append(wrong, fault.FieldError{Field: field, Message: message}) }
	if !body.ProviderType.Valid() {
		refuse(fieldProvider, "must be a valid value")
	}
	switch {
	case body.ForeignID == "":
		refuse(fieldForeignID, "cannot be blank")
	case len(body.ForeignID) > maxForeignID || !utf8.ValidString(body.ForeignID):
		refuse(fieldForeignID, "must be at most 255 bytes of UTF-8 long")
	}
	if u, err := url.Parse(
		body.AvatarURL,
	); err != nil || len(body.AvatarURL) > maxAvatarURL ||
		(body.AvatarURL != "" && u.Scheme != "https" && u.Scheme != "http") {
		refuse("avatarURL", "must be empty or an http or https URL of at most 2048 bytes")
	}
	if utf8.RuneCountInString(body.FullName) > MaxFullName { // the provider's word, which may be short
		refuse(fieldUserName, "must be at most 255 characters long")
	}
	if len(wrong) > 0 {
		return fault.Fields(wrong...)
	}
	return nil
}

func addSocialAccount(a *account.Account, created account.SocialAccount) error {
	if a.SocialAccount(created.Provider, created.ForeignID) != nil {
		return fault.Conflict(fieldForeignID, MessageTaken)
	}
	if len(a.SocialAccounts) >= account.MaxSocialAccounts {
		return fault.Field(fieldForeignID, "a user has at most %d social accounts", account.MaxSocialAccounts)
	}
	a.SocialAccounts = append(slices.Clone(a.SocialAccounts), created)
	return nil
}

// ListUserSocialAccounts implements service.Directory.
func (s *Service) ListUserSocialAccounts(ctx context.Context, req service.ForUser[service.List]) ([]rest.SocialAccount, error) {
	a, _, err := s.accounts.Get(ctx, req.Project, req.User)
	if err != nil {
		return nil, err
	}
	page, _, err := listing.Apply(a.SocialAccounts, req.Body, socialAccountFields(), fieldProvider+":asc")
	if err != nil {
		return nil, err
	}
	accounts := make([]rest.SocialAccount, len(page))
	for i, social := range page {
		accounts[i] = socialAccountOf(a.ID, social)
	}
	return accounts, nil
}

func socialAccountFields() map[string]listing.Field[account.SocialAccount] {
	return map[string]listing.Field[account.SocialAccount]{
		fieldProvider:  listing.String(func(s account.SocialAccount) string { return string(s.Provider) }),
		fieldForeignID: listing.String(func(s account.SocialAccount) string { return s.ForeignID }),
	}
}

func socialName(project ident.ProjectID, provider account.SocialProvider, foreignID string) identindex.Name {
	return identindex.InProject(project, "social-"+string(provider), foreignID)
}

func socialAccountOf(user ident.UserID, s account.SocialAccount) rest.SocialAccount {
	return rest.SocialAccount{
		SocialAccountID: string(
			s.ID,
		),
		ProviderType:    rest.SocialProviderType(s.Provider),
		IdentifierValue: s.IdentifierValue,
		UserID:          string(user),
		ForeignID:       s.ForeignID,
		AvatarURL:       s.AvatarURL,
		FullName:        s.FullName,
	}
}

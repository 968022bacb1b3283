package directory

import (
	"context"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
)

// ListUsers implements service.Users.
func (s *Service) ListUsers(ctx context.Context, req service.ForProject[service.List]) (rest.UserList, error) {
	return s.lists.Users(ctx, req.Project, req.Body)
}

// ListIdentifiers implements service.Directory.
func (s *Service) ListIdentifiers(ctx context.Context, req service.ForProject[service.List]) (rest.IdentifierList, error) {
	return s.lists.Identifiers(ctx, req.Project, req.Body)
}

// ListSocialAccounts implements service.Directory.
func (s *Service) ListSocialAccounts(ctx context.Context, req service.ForProject[service.List]) (rest.SocialAccountList, error) {
	return s.lists.SocialAccounts(ctx, req.Project, req.Body)
}

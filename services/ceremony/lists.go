package ceremony

import (
	"context"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/readmodel"
)

// Lists answers the lists of users, identifiers, social accounts, sessions and connect tokens, from a file that is made from the buckets. Run it, and close it when Run has
// ended.
type Lists = readmodel.Store

// ListsDeps is what Lists works with.
type ListsDeps = readmodel.Deps

// OpenLists returns lists that answer as soon as they run and have read what the buckets hold; meanwhile callers wait or are answered 503.
func OpenLists(deps ListsDeps) (*Lists, error) { return readmodel.Open(deps) }

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

// ListSessions implements service.Sessions.
func (s *Service) ListSessions(ctx context.Context, req service.ForProject[service.List]) (rest.SessionList, error) {
	return s.lists.Sessions(ctx, req.Project, s.now(), req.Body)
}

// ListConnectTokens implements service.ConnectTokens.
func (s *Service) ListConnectTokens(ctx context.Context, req service.ForProject[service.List]) (rest.ConnectTokenList, error) {
	return s.lists.Tokens(ctx, req.Project, req.Body)
}

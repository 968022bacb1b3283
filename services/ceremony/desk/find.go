package desk

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
)

// ListUsersFound implements service.Desk. Who is known exactly by what is asked for is the answer; only if nobody is, it is looked for in
// names.
func (s *Service) ListUsersFound(ctx context.Context, req service.ForProject[inquiry.Users]) (operator.OperatorUserList, error) {
	list := service.List{Sort: "created:desc", Page: req.Body.Page, PageSize: req.Body.PageSize}
	if req.Body.Query == "" {
		return s.page(ctx, req.Project, list, nil)
	}
	exactly, err := s.exactly(ctx, req.Project, req.Body.Query)
	if err != nil {
		return operator.OperatorUserList{}, err
	}
	if len(exactly) == 0 {
		list.Filter = []string{"searchValue:eq:" + req.Body.Query}
		return s.page(ctx, req.Project, list, new(operator.OperatorUserFoundByText))
	}
	from := min((req.Body.Page-1)*req.Body.PageSize, len(exactly))
	pages := (len(exactly) + req.Body.PageSize - 1) / req.Body.PageSize
	return operator.OperatorUserList{
		Users:  exactly[from:min(from+req.Body.PageSize, len(exactly))],
		Paging: operator.Paging{Page: int32(req.Body.Page), TotalPages: int32(pages), TotalItems: int32(len(exactly))},
	}, nil
}

// exactly returns who is known by an ID, an identifier or a passkey, each once.
func (s *Service) exactly(ctx context.Context, project ident.ProjectID, query string) ([]operator.OperatorUser, error) {
	type candidate struct {
		user ident.UserID
		by   operator.OperatorUserFoundBy
	}
	var candidates []candidate
	if id, err := ident.ParseUserID(query); err == nil {
		candidates = append(candidates, candidate{id, operator.OperatorUserFoundByUserID})
	}
	named, err := s.deps.Users.ListIdentifiers(ctx, service.ForProject[service.List]{Project: project, Body: service.List{
		Filter: []string{"identifierValue:eq:" + query}, Page: 1, PageSize: account.MaxIdentifiers,
	}})
	if err != nil {
		return nil, err
	}
	for _, i := range named.Identifiers {
		candidates = append(candidates, candidate{ident.UserID(i.UserID), operator.OperatorUserFoundByIdentifier})
	}
	if raw, err := base64.RawURLEncoding.DecodeString(query); err == nil && len(raw) > 0 {
		e, found, err := s.deps.Index.Credential(ctx, project, raw)
		if err != nil {
			return nil, err
		}
		if found {
			candidates = append(candidates, candidate{e.User, operator.OperatorUserFoundByPasskey})
		}
	}
	var users []operator.OperatorUser
	for _, c := range candidates {
		a, _, err := s.deps.Accounts.Get(ctx, project, c.user)
		switch {
		case errors.Is(err, account.ErrUnknown):
		case err != nil:
			return nil, err
		case !slices.ContainsFunc(users, func(u operator.OperatorUser) bool { return u.UserID == string(c.user) }):
			one := userOf(&a)
			one.FoundBy = &c.by
			users = append(users, one)
		}
	}
	return users, nil
}

func (s *Service) page(
	ctx context.Context, project ident.ProjectID, list service.List, by *operator.OperatorUserFoundBy,
) (operator.OperatorUserList, error) {
	found, err := s.deps.Users.ListUsers(ctx, service.ForProject[service.List]{Project: project, Body: list})
	if err != nil {
		return operator.OperatorUserList{}, err
	}
	told := operator.OperatorUserList{Users: []operator.OperatorUser{}, Paging: operator.Paging(found.Paging)}
	for _, u := range found.Users {
		told.Users = append(told.Users, listed(&u, by))
	}
	return told, nil
}

// listed is a user as lists have them.
func listed(u *rest.UserAggregate, by *operator.OperatorUserFoundBy) operator.OperatorUser {
	told := operator.OperatorUser{
		UserID: u.UserID, FullName: u.FullName, Status: operator.OperatorUserStatus(u.Status), Identifiers: []operator.UserIdentifier{},
		Created: moment(u.CreatedMS), Updated: new(moment(u.UpdatedMs)), FoundBy: by,
	}
	for _, i := range slices.Concat(u.EmailIdentifiers, u.PhoneNumberIdentifiers, u.UsernameIdentifiers) {
		told.Identifiers = append(told.Identifiers, operator.UserIdentifier{
			Type: operator.UserIdentifierType(i.Type), Value: i.Value, Status: operator.UserIdentifierStatus(i.Status),
		})
	}
	for _, social := range u.SocialAccounts {
		told.Identifiers = append(told.Identifiers, operator.UserIdentifier{
			Type: operator.UserIdentifierTypeSocial, Value: string(social.ProviderType), Status: operator.UserIdentifierStatusVerified,
		})
	}
	return told
}

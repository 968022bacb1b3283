package ceremony

import (
	"context"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// LogIn opens a session of a user as a finished login does, and returns its tokens.
func (s *Service) LogIn(ctx context.Context, project ident.ProjectID, user ident.UserID, identifier string) (session, refresh string, cookies service.Cookies, err error) {
	p, err := s.project(project)
	if err != nil {
		return "", "", service.Cookies{}, err
	}
	a, err := s.enabledAccount(ctx, project, user)
	if err != nil {
		return "", "", service.Cookies{}, err
	}
	made, err := s.logIn(ctx, p, a, identifier)
	return made.session, made.refresh, made.cookies, err
}

package desk

import (
	"context"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
)

var errNoKey = fault.Unknown("keyID").Named("key-unknown")

// CreateProjectKey implements service.Desk. Whoever keeps projects tells of the key.
func (s *Service) CreateProjectKey(
	ctx context.Context, req service.ForProject[operator.ProjectKeyCreateReq],
) (operator.ProjectKeyCreated, error) {
	var lifetime time.Duration
	if req.Body.Seconds != nil {
		lifetime = time.Duration(*req.Body.Seconds) * time.Second
	}
	key, text, err := project.NewAPIKey(req.Project, req.Body.Name, req.Body.Permissions, lifetime, s.deps.Now())
	if err == nil {
		err = s.deps.Projects.Change(ctx, req.Project, func(p *project.Project) error { return p.AddKey(key) })
	}
	if err != nil {
		return operator.ProjectKeyCreated{}, err
	}
	return operator.ProjectKeyCreated{Key: s.keyOf(key), Text: text}, nil
}

// RevokeProjectKey implements service.Desk.
func (s *Service) RevokeProjectKey(ctx context.Context, req service.ForProject[string]) (service.Empty, error) {
	return service.Empty{}, s.deps.Projects.Change(ctx, req.Project, func(p *project.Project) error {
		if !p.RevokeKey(req.Body) {
			return errNoKey
		}
		return nil
	})
}

// ListProjectKeys implements service.Desk. Which permissions there are the gateway knows.
func (s *Service) ListProjectKeys(ctx context.Context, req service.ForProject[service.Empty]) (operator.ProjectKeyList, error) {
	p, err := s.deps.Projects.Find(ctx, req.Project)
	if err != nil {
		return operator.ProjectKeyList{}, err
	}
	told := operator.ProjectKeyList{Keys: []operator.ProjectKey{}, Permissions: []string{}}
	for _, key := range p.Keys {
		told.Keys = append(told.Keys, s.keyOf(key))
	}
	return told, nil
}

func (s *Service) keyOf(k project.APIKey) operator.ProjectKey {
	told := operator.ProjectKey{
		KeyID: k.ID, Name: k.Name, Permissions: k.Permissions, Created: moment(k.CreatedMs), Expired: k.Expired(s.deps.Now()),
	}
	if k.ExpiresMs != 0 {
		told.Expires = new(moment(k.ExpiresMs))
	}
	return told
}

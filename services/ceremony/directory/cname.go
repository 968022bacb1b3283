package directory

import (
	"context"
	"errors"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/identindex"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

const fieldCNAME = "cname"

// UpdateCname implements service.Directory. A host name that another project has is a conflict. The project's earlier one is
// free as soon as a minute has passed since it was set.
func (s *Service) UpdateCname(ctx context.Context, req service.ForProject[rest.CnameUpdateReq]) (service.Empty, error) {
	host, err := project.CheckCNAME(req.Body.Cname)
	if err != nil {
		return service.Empty{}, fault.Field(fieldCNAME, "%s", err)
	}
	p, err := tenant.Of(s.projects, req.Project)
	if err != nil || p.CNAME == host {
		return service.Empty{}, err
	}
	limited, cancel := context.WithTimeout(ctx, nameLimit)
	defer cancel()
	entry := identindex.Entry{Owner: string(p.ID), Created: s.now().UnixMilli()}
	err = s.names.Reserve(limited, cnameName(host), entry, nameLapsesIn, func(owner string) (bool, error) {
		other, ok := s.projects.Lookup(ident.ProjectID(owner))
		return ok && other.CNAME == host, nil
	})
	if errors.Is(err, identindex.ErrTaken) {
		return service.Empty{}, fault.Conflict(fieldCNAME, MessageTaken)
	}
	if err != nil {
		return service.Empty{}, err
	}
	return service.Empty{}, s.projects.Update(limited, p.ID, func(p *project.Project) { p.CNAME = host })
}

func cnameName(host string) identindex.Name {
	return identindex.Name{Scope: identindex.Everywhere, Kind: fieldCNAME, Value: host}
}

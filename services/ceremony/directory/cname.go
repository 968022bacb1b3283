package directory

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// What a project shows before it gets a host name over the API.
const (
	ProofDNS  = "dns"  // a TXT record, as soon as there is another project that the host could be taken from
	ProofNone = "none" // nothing: everybody with an API secret is trusted
)

const (
	fieldCNAME  = "cname"
	fieldHosts  = "hosts"
	proofPrefix = "_keyward."
	proofValue  = "keyward-project="
	dnsLimit    = 5 * time.Second
)

// UpdateCname implements service.Directory. A host name that overlaps with one of another project, or with the installation's own, is a
// conflict. The project's earlier one is free at once.
func (s *Service) UpdateCname(ctx context.Context, req service.ForProject[rest.CnameUpdateReq]) (service.Empty, error) {
	host, err := project.CheckCNAME(req.Body.Cname)
	if err != nil {
		return service.Empty{}, fault.Field(fieldCNAME, "%s", err)
	}
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil || p.CNAME == host {
		return service.Empty{}, err
	}
	if err := s.proveHost(ctx, p, fieldCNAME, host); err != nil {
		return service.Empty{}, err
	}
	return service.Empty{}, s.projects.Change(ctx, p.ID, func(p *project.Project) error {
		p.CNAME = host
		return nil
	})
}

// UpdateProjectConfig implements service.Directory. Hosts are proven before anything is changed; those that the project has are its own.
func (s *Service) UpdateProjectConfig(
	ctx context.Context, req service.ForProject[rest.ProjectConfigUpdateReq],
) (rest.ProjectConfig, error) {
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return rest.ProjectConfig{}, err
	}
	update := project.Update{
		Name: req.Body.Name, RPName: req.Body.RpName,
		Origins: req.Body.Origins, RelatedOrigins: req.Body.RelatedOrigins, Hosts: req.Body.Hosts,
	}
	if how := req.Body.UserVerification; how != nil {
		update.UserVerification = (*string)(how)
	}
	wanted := p
	if err := update.Apply(&wanted); err != nil {
		return rest.ProjectConfig{}, err
	}
	for _, host := range wanted.Frontend.Hosts {
		if err := s.proveHost(ctx, p, fieldHosts, host); err != nil {
			return rest.ProjectConfig{}, err
		}
	}
	changed := p
	if update != (project.Update{}) {
		err = s.projects.Change(ctx, p.ID, func(p *project.Project) error {
			err := update.Apply(p)
			changed = *p
			return err
		})
	}
	return configOf(changed), err
}

func configOf(p project.Project) rest.ProjectConfig {
	c := rest.ProjectConfig{
		ProjectID: string(p.ID), Name: p.Name, RpID: p.RPID, RpName: p.RPName,
		Origins: listed(p.Own()), RelatedOrigins: listed(p.Related()), Hosts: listed(p.Frontend.Hosts),
	}
	if p.CNAME != "" {
		c.Cname = &p.CNAME
	}
	if p.UserVerification != "" {
		c.UserVerification = new(rest.UserVerification(p.UserVerification))
	}
	return c
}

// listed is never null in JSON.
func listed(texts []string) []string { return append([]string{}, texts...) }

// proveHost asks the DNS whether whoever rules over a host, or over all below that of a pattern, gives it to the project: visitors of a
// host that somebody has taken see, and trust, the taker's project.
func (s *Service) proveHost(ctx context.Context, p project.Project, field, host string) error {
	if s.hostProof == ProofNone || len(s.projects.All()) < 2 || p.HasHost(host) {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, dnsLimit)
	defer cancel()
	name, value := proofPrefix+strings.TrimPrefix(host, "*."), proofValue+string(p.ID)
	found, err := s.dns.LookupTXT(limited, name+".")
	var missing *net.DNSError
	if err != nil && !(errors.As(err, &missing) && missing.IsNotFound) {
		return fault.Unavailable(dnsLimit, "the TXT record of %s could not be looked up", name).Because(err)
	}
	if !slices.Contains(found, value) {
		return fault.Field(field, "is not proven: the DNS must have a TXT record of %s with %s", name, value)
	}
	return nil
}

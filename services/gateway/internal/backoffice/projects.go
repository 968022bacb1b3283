// Package backoffice puts together what operators are shown of projects and their users from what the project store and the services
// know, in the words of the Operator API. It leaves out every secret, decides nothing, and keeps nothing.
package backoffice

import (
	"net/url"
	"time"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
)

// Projects are those of all that an operator sees.
func Projects(all []project.Project, sees func(ident.ProjectID) bool) api.ProjectList {
	told := api.ProjectList{Projects: []api.Project{}}
	for i := range all {
		if sees(all[i].ID) {
			told.Projects = append(told.Projects, Project(&all[i]))
		}
	}
	return told
}

// Project is one as operators see it.
func Project(p *project.Project) api.Project {
	told := api.Project{
		ProjectID: string(p.ID), Name: p.Name, RpID: p.RPID, RpName: p.RPName, Origins: append([]string{}, p.Origins...),
		Hosts: append([]string{}, p.Frontend.Hosts...), Cname: word(p.CNAME), UserVerification: word(p.UserVerification),
		Conveyance: string(p.Attestation.Conveyance), SignUp: !p.Frontend.NoSignUp, Identifiers: []string{}, Issuers: []api.ProjectIssuer{},
		Keys: int32(len(p.Keys)), Created: moment(p.CreatedMs),
	}
	if told.Conveyance == "" {
		told.Conveyance = string(project.ConveyNone)
	}
	if len(p.Attestation.Formats) > 0 {
		told.AttestationFormats = &p.Attestation.Formats
	}
	if p.Attestation.Refuses() {
		told.RefusesUnverified = new(true)
	}
	for _, rule := range p.Frontend.IdentifierRules() {
		told.Identifiers = append(told.Identifiers, string(rule.Type))
	}
	for _, one := range p.Issuers {
		told.Issuers = append(told.Issuers, api.ProjectIssuer{URL: one.URL, Audience: one.Audience})
	}
	return told
}

// Webhooks are the endpoints of a project. What its owner may have put into a query or a header may be a secret.
func Webhooks(all rest.WebhookEndpointList) api.ProjectWebhookList {
	told := api.ProjectWebhookList{Webhooks: []api.ProjectWebhook{}}
	for _, e := range all.WebhookEndpoints {
		one := api.ProjectWebhook{
			WebhookEndpointID: e.ID, URL: withoutSecrets(e.URL), BasicAuthUsername: word(e.BasicAuthUsername), Headers: []string{},
			SubscribedEvents: e.SubscribedEvents, Created: moment(e.CreatedMs), Updated: moment(e.UpdatedMs),
		}
		for name := range e.CustomHeaders {
			one.Headers = append(one.Headers, name)
		}
		if e.GoneMs != nil {
			one.Gone = new(moment(*e.GoneMs))
		}
		if e.PausedMs != nil {
			one.Paused = new(moment(*e.PausedMs))
		}
		told.Webhooks = append(told.Webhooks, one)
	}
	return told
}

func withoutSecrets(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// word is a text that is left out if it is empty.
func word(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

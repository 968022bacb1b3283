// Package signin has the settings of the identity provider that signs operators in.
package signin

import (
	"github.com/keyward/keyward/cmd/keyward/app/settings/value"
	"github.com/keyward/keyward/core/operator"
)

// Settings are those of a provider.
func Settings(p *operator.Provider) []value.Setting {
	return []value.Setting{
		{
			Section: "HTTP", Key: "operator_oidc_issuer", Value: value.Text{P: &p.Issuer},
			Doc: "URL of the OpenID Connect provider that signs operators in, in a browser and by its tokens; empty = none.",
			Note: "The provider has to know the client, and its redirect URL: frontend_url with /operator/v1/session/oidc/callback. Tokens " +
				"are taken that are JWTs for the client.",
		},
		{
			Section: "HTTP", Key: "operator_oidc_client_id", Value: value.Text{P: &p.ClientID},
			Doc: "What the provider calls this installation.",
		},
		{
			Section: "HTTP", Key: "operator_oidc_client_secret", Value: value.Secret{P: &p.ClientSecret}, Secret: true,
			Doc: "The secret of the client; empty = it has none.",
		},
		{
			Section: "HTTP", Key: "operator_oidc_groups", Value: value.List{P: &p.Groups},
			Doc: "What groups of the provider make of their members: group=role, or group=role:pro-1+pro-2 for some projects.",
			Note: "The first that somebody is in counts. Who is in none is no operator. Who is taken out of one is told so at the next " +
				"sign-in, at the latest after operator_session.",
		},
		{
			Section: "HTTP", Key: "operator_oidc_groups_claim", Value: value.Text{P: &p.GroupsClaim},
			Doc: "The claim that holds the groups of a user.",
		},
	}
}

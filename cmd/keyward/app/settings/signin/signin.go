// Package signin has the settings of the identity provider that signs operators in.
package signin

import (
	"github.com/keyward/keyward/cmd/keyward/app/settings/value"
	"github.com/keyward/keyward/core/operator"
)

// Settings are those of a provider, and of the console that operators sign in to.
func Settings(p *operator.Provider, c *operator.Console) []value.Setting {
	return []value.Setting{
		{
			Section: "HTTP", Key: "console_url", Value: value.Text{P: &c.URL},
			Doc: "URL at which browsers open the console; empty = frontend_url.",
			Note: "Passkeys of operators are bound to its origin, and need a name there, and TLS but at localhost. Elsewhere none are " +
				"offered.",
		},
		{
			Section: "HTTP", Key: "console_rp_id", Value: value.Text{P: &c.RPID},
			Doc:  "The RP ID of passkeys of operators; empty = the host of console_url.",
			Note: "A domain above the host has passkeys go on working if the console moves below it. Those that there are stop with a change.",
		},
		{
			Section: "HTTP", Key: "operator_oidc_passkeys", Value: value.Duration{P: &p.Passkeys},
			Doc: "How long a passkey of somebody whom the provider knows signs them in after the provider last said who they are: up to 720h; " +
				"0s = not at all.",
			Note: "Keyward learns only there that somebody has left. Each sign-in by the provider begins it anew.",
		},
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

// Package patch is what calls change of one thing that they name. It is values alone.
package patch

import (
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
)

// Token changes the status of one connect token.
type Token struct {
	ID     ident.ConnectTokenID    `json:"id"`
	Status rest.ConnectTokenStatus `json:"status"`
}

// Session changes the status of one session.
type Session struct {
	ID     ident.SessionID    `json:"id"`
	Status rest.SessionStatus `json:"status"`
}

// Challenge changes the status of one challenge.
type Challenge struct {
	ID     ident.ChallengeID           `json:"id"`
	Status rest.PasskeyChallengeStatus `json:"status"`
}

// Identifier changes the status of one identifier.
type Identifier struct {
	ID     ident.IdentifierID    `json:"id"`
	Status rest.IdentifierStatus `json:"status"`
}

// Webhook changes an endpoint.
type Webhook struct {
	ID      ident.WebhookID               `json:"id"`
	Changes rest.WebhookEndpointUpdateReq `json:"changes"`
}

// Package connecttoken keeps connect tokens in the bucket "connect-tokens" and touches nothing else.
package connecttoken

import (
	"encoding/json"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
)

// Token lets a frontend do one thing for one user. Times are Unix ms.
type Token struct {
	Project     ident.ProjectID         `json:"project"`
	ID          ident.ConnectTokenID    `json:"id"`
	Type        rest.ConnectTokenType   `json:"type"`
	Identifier  string                  `json:"identifier"`
	DisplayName string                  `json:"displayName,omitempty"`
	Context     json.RawMessage         `json:"context,omitempty"` // what the backend alone knows of the ceremonies that it starts
	Status      rest.ConnectTokenStatus `json:"status"`
	Process     string                  `json:"process,omitempty"` // the one that has bound it
	SecretHash  []byte                  `json:"secretHash"`        // SHA-256 of the secret, which is random and long
	CreatedMs   int64                   `json:"createdMs"`
	ExpiresMs   int64                   `json:"expiresMs"`
}

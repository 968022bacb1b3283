package operatorclient

import (
	"context"
	"net/url"

	"github.com/keyward/keyward/api/operator"
)

// GetAdoption returns what became of passkeys, as the query asks.
func (c *Client) GetAdoption(ctx context.Context, query url.Values) (operator.AdoptionReport, error) {
	return get[operator.AdoptionReport](ctx, c, "/adoption?"+query.Encode())
}

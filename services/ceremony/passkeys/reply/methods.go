package reply

import "github.com/keyward/keyward/api/rest"

// Methods returns the authentication methods that a login says (RFC 8176); nil if it says none.
func Methods(data rest.PasskeyData) []string {
	if data.Amr == nil {
		return nil
	}
	return *data.Amr
}

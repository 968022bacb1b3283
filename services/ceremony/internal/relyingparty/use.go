package relyingparty

import (
	"slices"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/ident"
)

// CountAfter says what a signature counter says of a passkey of the account once that has taken up events that it may lack, and which
// counter was known of it.
func CountAfter(
	a account.Account, lacking []eventlog.Found, passkey ident.CredentialID, counter uint32,
) (stored uint32, counted Counted) {
	a = a.Knowing(lacking...)
	i := slices.IndexFunc(a.Credentials, func(c account.Credential) bool { return c.ID == passkey })
	stored = a.Credentials[i].SignCount
	return stored, CountSignature(&a.Credentials[i], counter)
}

// Route derives how a passkey was used from what the client said of the authenticator and from what the passkey is. Clients that say
// nothing of the authenticator are taken to have done what they were offered, as far as the passkey can do it.
func Route(c account.Credential, attachment string, offered event.Route) event.Route {
	hybrid := len(c.Transports) == 0 || c.Hybrid()
	switch {
	case attachment == string(protocol.Platform):
		return event.Local
	case c.Roaming():
		return event.SecurityKey
	case attachment == string(protocol.CrossPlatform) && hybrid:
		return event.CDA
	case attachment == "" && offered == event.CDA && hybrid:
		return event.CDA
	default:
		return event.Local
	}
}

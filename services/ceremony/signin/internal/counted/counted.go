// Package counted says what the messages and the wrong codes of a sign-up or login are counted under. Identifiers and addresses stand in it
// as digests under a key of the project: nobody reads in a count who was asked for, and whoever is asked for counts alike, whether there is
// such a user or not. The same project, identifier and source are counted under the same; the package stores nothing.
package counted

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/netip"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony/internal/code"
	"github.com/keyward/keyward/services/ceremony/internal/signin"
)

// Sends is what the messages to one address are counted under, whoever has it or has it not: all of them, and those that one source has
// asked for. So a stranger uses up a part, and leaves room for whom the address belongs to.
type Sends struct {
	Ref      code.Ref
	All, Own ident.IdentifierID
}

// ToSend returns what a message is counted under that the source at an address asks for.
func ToSend(p project.Project, m signin.Means, from string) Sends {
	key := p.Ring.Newest(keyring.SendCount).Secret
	to := named(m)
	return Sends{
		Ref: code.Ref{Project: p.ID, User: "sign-in"},
		All: ident.IdentifierID(digest(key, "messages of sign-ups and logins\x00"+to)),
		Own: ident.IdentifierID(digest(key, "messages that a source has asked for\x00"+to+"\x00"+sourceOf(from))),
	}
}

// Wrong is what a wrong code is counted under.
type Wrong struct {
	Identifier code.Guesser // whoever it belongs to
	InARow     code.Nobody  // the same, of somebody who does not exist: what an account counts in itself
	Source     code.Guesser // where the code comes from
}

// WrongCodes returns what a code for an identifier is counted under, if it is wrong and comes from the source at an address.
func WrongCodes(p project.Project, m signin.Means, from string) Wrong {
	key := p.Ring.Newest(keyring.SendCount).Secret
	to := named(m)
	return Wrong{
		Identifier: code.Stranger(p.ID, digest(key, "wrong codes for an identifier\x00"+to)),
		InARow:     code.NobodyOf(p.ID, digest(key, "wrong codes in a row for an identifier\x00"+to)),
		Source:     code.Stranger(p.ID, digest(key, "wrong codes from an address\x00"+sourceOf(from))),
	}
}

// named is the identifier that a message goes to, or would.
func named(m signin.Means) string {
	value := m.Value
	if value == "" {
		value = m.Shown
	}
	return string(m.Type) + "\x00" + account.IdentifierKey(m.Type, value)
}

func digest(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// sourceOf is what one source has in common: an address, or of IPv6 the network of 64 bits that one subscriber has.
func sourceOf(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}

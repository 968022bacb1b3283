package lists

import (
	"fmt"
	"strings"

	"github.com/keyward/keyward/core/account"
)

// identifier returns the one form of an entry: an email address, @ and the domain of some, a phone number that begins with +, or a user
// name.
func identifier(text string) (string, error) {
	text = strings.TrimSpace(text)
	local, domain, isAddress := strings.Cut(text, "@")
	switch {
	case text == "", isAddress && domain == "", strings.ContainsAny(text, " \t\n"):
		const forms = "ada@example.com, @example.com for all of a domain, +15551234567 or a user name"
		return "", fmt.Errorf("%q: not an identifier, such as %s", text, forms)
	case isAddress && local == "":
		return strings.TrimPrefix(account.IdentifierKey(account.IdentifierTypeEmail, "a"+text), "a"), nil
	case isAddress:
		return account.IdentifierKey(account.IdentifierTypeEmail, text), nil
	case strings.HasPrefix(text, "+"):
		return account.IdentifierKey(account.IdentifierTypePhone, text), nil
	default:
		return account.IdentifierKey(account.IdentifierTypeUsername, text), nil
	}
}

// names reports whether a list of identifiers has one of a user, or its domain. One that is pending counts: who has it in vain is no other.
func (o *list) names(of account.Identifier) bool {
	key := account.IdentifierKey(of.Type, of.Value)
	if o.Texts[key] {
		return true
	}
	at := strings.LastIndexByte(key, '@')
	return of.Type == account.IdentifierTypeEmail && at >= 0 && o.Texts[key[at:]]
}

package signin

import (
	"strings"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/account"
)

// MeansOf returns how a user can be proven beside a passkey. Of one whom the client does not know to be there it is what was typed, or
// nothing if that takes no message; once a passkey is asked for, it is everything, with what was not typed made unreadable.
func MeansOf(a *account.Account, typed Identifier, known bool) []Means {
	var all []Means
	add := func(kind account.IdentifierType, value, shown string) {
		method := frontend.VerificationMethodEmailOtp
		if kind == account.IdentifierTypePhone {
			method = frontend.VerificationMethodPhoneOtp
		}
		all = append(all, Means{Type: kind, Method: method, Value: value, Shown: shown})
	}
	takesMessage := typed.Type == account.IdentifierTypeEmail || typed.Type == account.IdentifierTypePhone
	switch {
	case takesMessage && a == nil:
		add(typed.Type, "", typed.Value)
	case takesMessage:
		add(typed.Type, a.Identifier(typed.Type, typed.Value).Value, typed.Value)
	}
	if a == nil || (takesMessage && !known) {
		return all
	}
	for _, kind := range []account.IdentifierType{account.IdentifierTypeEmail, account.IdentifierTypePhone} {
		if i := a.Foremost(kind); i != nil && kind != typed.Type {
			add(kind, i.Value, obscure(i.Value))
		}
	}
	return all
}

// obscure leaves of an address or number what its owner recognises it by.
func obscure(value string) string {
	const stars = "***"
	if name, host, ok := strings.Cut(value, "@"); ok {
		return firstRune(name) + stars + "@" + host
	}
	const ends = 3
	if len(value) <= 2*ends {
		return stars
	}
	return value[:ends] + stars + value[len(value)-ends+1:]
}

func firstRune(text string) string {
	for _, r := range text {
		return string(r)
	}
	return ""
}

package account

import (
	"errors"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The bounds of identifiers. Of each kind, a user has at most MaxIdentifiers, social accounts apart.
const (
	MaxIdentifiers    = 100
	MaxSocialAccounts = 100
	maxEmail          = 320 // bytes, RFC 3696 erratum 1690: 64 before the @ and 255 after it
	maxUsername       = 128 // characters
	minPhoneDigits    = 7
	maxPhoneDigits    = 15 // ITU-T E.164
)

// What is wrong with a value, in the words of the API.
var (
	errBlank    = errors.New("cannot be blank")
	errType     = errors.New("must be one of email, phone, username")
	errEmail    = errors.New("must be an email address")
	errPhone    = errors.New("must be a phone number of the form +<digits>")
	errUsername = errors.New("must be at most 128 characters long, without control characters and without spaces at its ends")
)

// CleanIdentifier returns the value of an identifier as it is to be kept, or an error that says what form it must have. Email
// addresses lose the space around them; a phone number is taken as ITU-T E.164 writes it, and with nothing between its digits.
func CleanIdentifier(kind IdentifierType, value string) (string, error) {
	if !utf8.ValidString(value) {
		return "", errUsername
	}
	if strings.TrimSpace(value) == "" {
		return "", errBlank
	}
	switch kind {
	case IdentifierTypeEmail:
		return cleanEmail(strings.TrimSpace(value))
	case IdentifierTypePhone:
		return value, checkPhone(value)
	case IdentifierTypeUsername:
		return value, checkUsername(value)
	default:
		return "", errType
	}
}

// IdentifierKey returns what two values of one type have in common if and only if they are the same identifier: letters of an
// email address are compared without regard to case, and characters of all by what they mean, not by how they are composed
// (Unicode NFC).
func IdentifierKey(kind IdentifierType, value string) string {
	value = strings.TrimSpace(value)
	if kind == IdentifierTypeEmail {
		value = strings.ToLower(value)
	}
	return norm.NFC.String(value)
}

func cleanEmail(value string) (string, error) {
	address, err := mail.ParseAddress(value)
	// A parsed address that differs has a display name, a comment or quotes, none of which belongs to it.
	if err != nil || address.Address != value || len(value) > maxEmail {
		return "", errEmail
	}
	return value, nil
}

func checkPhone(value string) error {
	digits, plus := strings.CutPrefix(value, "+")
	if !plus || len(digits) < minPhoneDigits || len(digits) > maxPhoneDigits || digits[0] == '0' {
		return errPhone
	}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return errPhone
		}
	}
	return nil
}

func checkUsername(value string) error {
	if utf8.RuneCountInString(value) > maxUsername || strings.TrimSpace(value) != value || strings.ContainsFunc(value, unicode.IsControl) {
		return errUsername
	}
	return nil
}

// Identifier returns the account's identifier of a type and value, or nil.
func (a *Account) Identifier(kind IdentifierType, value string) *Identifier {
	key := IdentifierKey(kind, value)
	for i := range a.Identifiers {
		if known := &a.Identifiers[i]; known.Type == kind && IdentifierKey(kind, known.Value) == key {
			return known
		}
	}
	return nil
}

// SocialAccount returns the user's account at a provider, or nil.
func (a *Account) SocialAccount(provider SocialProvider, foreignID string) *SocialAccount {
	for i := range a.SocialAccounts {
		if known := &a.SocialAccounts[i]; known.Provider == provider && known.ForeignID == foreignID {
			return known
		}
	}
	return nil
}

package account

import (
	"cmp"
	"errors"
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// The bounds of identifiers. Of each kind, a user has at most MaxIdentifiers, social accounts apart.
const (
	MaxIdentifiers    = 100
	MaxSocialAccounts = 100
	maxLocalPart      = 64  // bytes of an email address before the @, RFC 5321 §4.5.3.1.1
	maxMailDomain     = 255 // bytes after it, §4.5.3.1.2
	maxLabel          = 63  // bytes between two dots of a domain, RFC 1035 §2.3.4
	maxUsername       = 128 // characters
	minPhoneDigits    = 7
	maxPhoneDigits    = 15 // ITU-T E.164
)

// What is wrong with a value, in the words of the API.
var (
	errBlank    = errors.New("cannot be blank")
	errType     = errors.New("must be a valid value")
	errEmail    = errors.New("must be an email address such as ada@example.com")
	errDomain   = errors.New("must have a domain after the @ that there can be, in labels of 1 to 63 letters, digits and inner hyphens")
	errLocal    = errors.New("must have at most 64 bytes before the @ (RFC 5321)")
	errPhone    = errors.New("must be a phone number with the country's code and nothing between its digits, such as +4915112345678")
	errUsername = errors.New("must be at most 128 characters long, without control characters and without spaces at its ends")
	errName     = errors.New(
		"must be a user name of RFC 8265: without invisible characters, symbols and marks that change the direction of text",
	)
)

// CleanIdentifier returns the value of an identifier as it is to be kept, or an error that says what form it must have. Email
// addresses lose the space around them; a phone number is taken as ITU-T E.164 writes it, and with nothing between its digits; a user
// name is kept in the form of RFC 8265, UsernameCasePreserved.
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
		return cleanUsername(value)
	default:
		return "", errType
	}
}

// IdentifierKey returns what two values of one type have in common if and only if they are the same identifier: letters of an
// email address are compared without regard to case, its domain in Unicode (RFC 5891), user names in the form of RFC 8265, and
// characters of all by what they mean, not by how they are composed (Unicode NFC).
func IdentifierKey(kind IdentifierType, value string) string {
	key := EarlierIdentifierKey(kind, value)
	switch kind {
	case IdentifierTypeEmail:
		local, domain, _ := cutAddress(strings.TrimSpace(value))
		if unicode, err := idna.Lookup.ToUnicode(domain); err == nil && domain != "" {
			return norm.NFC.String(lower(local) + "@" + unicode)
		}
	case IdentifierTypeUsername:
		if name, err := precisName(key); err == nil {
			return name
		}
	}
	return key
}

// EarlierIdentifierKey is what IdentifierKey was until domains and user names had forms of their own. What was entered under such keys is
// still there, and IDs that were made of them stay.
func EarlierIdentifierKey(kind IdentifierType, value string) string {
	value = strings.TrimSpace(value)
	if kind == IdentifierTypeEmail {
		value = lower(value)
	}
	return norm.NFC.String(value)
}

// lower writes letters small. The one letter beyond ASCII whose simple form is an ASCII letter gets its full one (Unicode SpecialCasing):
// a domain with it is another domain, and may be another's.
func lower(text string) string {
	return strings.ToLower(strings.ReplaceAll(text, "\u0130", "i\u0307"))
}

// IdentifierForms returns the keys under which the same identifier may have been entered, in the order to look: first what it is written
// as, so that of two accounts of earlier days each stays its owner's.
func IdentifierForms(kind IdentifierType, value string) []string {
	forms := []string{EarlierIdentifierKey(kind, value)}
	add := func(form string) {
		if !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	key := IdentifierKey(kind, value)
	add(key)
	if local, domain, ok := cutAddress(key); ok && kind == IdentifierTypeEmail {
		if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
			add(EarlierIdentifierKey(kind, local+"@"+ascii))
		}
	}
	return forms
}

func cutAddress(value string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(value, '@')
	if at < 0 {
		return value, "", false
	}
	return value[:at], value[at+1:], true
}

func cleanEmail(value string) (string, error) {
	address, err := mail.ParseAddress(value)
	// A parsed address that differs has a display name, a comment or quotes, none of which belongs to it.
	if err != nil || address.Address != value || strings.ContainsFunc(value, invisible) {
		return "", errEmail
	}
	local, domain, _ := cutAddress(value)
	switch {
	case len(local) > maxLocalPart:
		return "", errLocal
	case len(domain) > maxMailDomain:
		return "", errEmail
	}
	if !deliverable(domain) {
		return "", errDomain
	}
	return value, nil
}

// deliverable reports whether mail can be sent to a domain, or to an address in its place (RFC 5321 §4.1.3). Names of hosts that have
// underscores get mail, whatever RFC 1123 says.
func deliverable(domain string) bool {
	if strings.HasPrefix(domain, "[") {
		return true
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil && (strings.ContainsFunc(domain, beyondASCII) || strings.Contains(strings.ToLower(domain), "xn--")) {
		return false
	}
	for label := range strings.SplitSeq(cmp.Or(ascii, domain), ".") {
		if label == "" || len(label) > maxLabel || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return true
}

func invisible(r rune) bool { return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) }

func beyondASCII(r rune) bool { return r > unicode.MaxASCII }

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

func cleanUsername(value string) (string, error) {
	if utf8.RuneCountInString(value) > maxUsername || strings.TrimSpace(value) != value || strings.ContainsFunc(value, unicode.IsControl) {
		return "", errUsername
	}
	name, err := precisName(value)
	if err != nil {
		return "", errName
	}
	return name, nil
}

// precisName prepares a user name as RFC 8265 §3.4 has it: parts with spaces between them, letters of any width and composition in one
// form.
func precisName(value string) (string, error) {
	parts := strings.Split(value, " ")
	for i, part := range parts {
		if part == "" {
			continue
		}
		enforced, err := precis.UsernameCasePreserved.String(part)
		if err != nil {
			return "", err
		}
		parts[i] = enforced
	}
	return strings.Join(parts, " "), nil
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

// Foremost returns the identifier of a type that stands for the user: the primary one, otherwise a verified one, otherwise the first; nil =
// there is none.
func (a *Account) Foremost(kind IdentifierType) *Identifier {
	rank := func(i Identifier) int {
		return slices.Index([]IdentifierStatus{
			IdentifierStatusPending, IdentifierStatusVerified, IdentifierStatusPrimary,
		}, i.Status)
	}
	var best *Identifier
	for i := range a.Identifiers {
		if one := &a.Identifiers[i]; one.Type == kind && (best == nil || rank(*one) > rank(*best)) {
			best = one
		}
	}
	return best
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

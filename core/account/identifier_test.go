package account_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/idna"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/account"
)

func TestValuesOfIdentifiersAreChecked(t *testing.T) {
	t.Parallel()
	const (
		email    = account.IdentifierTypeEmail
		phone    = account.IdentifierTypePhone
		username = account.IdentifierTypeUsername
	)
	const (
		badEmail    = "must be an email address such as ada@example.com"
		badDomain   = "must have a domain after the @ that there can be, in labels of 1 to 63 letters, digits and inner hyphens"
		badPhone    = "must be a phone number with the country's code and nothing between its digits, such as +4915112345678"
		badUsername = "must be at most 128 characters long, without control characters and without spaces at its ends"
	)
	const badName = "must be a user name of RFC 8265: without invisible characters, symbols and marks that change the direction of text"
	cases := map[string]struct {
		kind         account.IdentifierType
		value        string
		kept, refuse string
	}{
		"an email address":                   {email, "Ada@Example.com", "Ada@Example.com", ""},
		"an email address with space around": {email, "  ada@example.com\t", "ada@example.com", ""},
		"an email address with a tag":        {email, "ada+x@example.com", "ada+x@example.com", ""},
		"an email address beyond ASCII":      {email, "ädä@exämple.com", "ädä@exämple.com", ""},
		"no email address":                   {email, "ada", "", badEmail},
		"an email address with a name":       {email, "Ada <ada@example.com>", "", badEmail},
		"two email addresses":                {email, "a@example.com,b@example.com", "", badEmail},
		"a local part of 64 bytes":           {email, strings.Repeat("a", 64) + "@example.com", strings.Repeat("a", 64) + "@example.com", ""},
		"a local part of 65 bytes": {
			email, strings.Repeat("a", 65) + "@example.com", "", "must have at most 64 bytes before the @ (RFC 5321)",
		},
		"a domain too long":                   {email, "a@" + strings.Repeat("a.", 128) + "com", "", badEmail},
		"an email address in another script":  {email, "a@xn--mnchen-3ya.de", "a@xn--mnchen-3ya.de", ""},
		"a domain that is none":               {email, "a@m\u00fcn chen.de", "", badEmail},
		"a domain of forbidden characters":    {email, "a@\u0378.de", "", badDomain},
		"a domain of Punycode that is none":   {email, "a@xn--a.com", "", badDomain},
		"a domain with a label too long":      {email, "a@" + strings.Repeat("a", 64) + ".com", "", badDomain},
		"a domain with the longest label":     {email, "a@" + strings.Repeat("a", 63) + ".com", "a@" + strings.Repeat("a", 63) + ".com", ""},
		"a domain with a hyphen before":       {email, "a@-b.com", "", badDomain},
		"a domain with a hyphen behind":       {email, "a@b-.com", "", badDomain},
		"a domain with an underscore":         {email, "a@b_c.com", "a@b_c.com", ""},
		"a domain without a dot":              {email, "ada@localhost", "ada@localhost", ""},
		"an address in the place of a domain": {email, "a@[192.0.2.1]", "a@[192.0.2.1]", ""},
		"an email address with a zero width":  {email, "a\u200bda@example.com", "", badEmail},
		"an email address that turns around":  {email, "a\u202eda@example.com", "", badEmail},
		"an empty value":                      {email, "", "", "cannot be blank"},
		"spaces alone":                        {username, "  ", "", "cannot be blank"},
		"a phone number":                      {phone, "+4915112345678", "+4915112345678", ""},
		"a phone number without a plus":       {phone, "4915112345678", "", badPhone},
		"a phone number with spaces":          {phone, "+49 151 12345678", "", badPhone},
		"a phone number with a leading zero":  {phone, "+04915112345678", "", badPhone},
		"a phone number of six digits":        {phone, "+491511", "", badPhone},
		"a phone number of sixteen digits":    {phone, "+4915112345678901", "", badPhone},
		"a phone number in another script":    {phone, "+٤٩١٥١١٢٣٤", "", badPhone},
		"a user name":                         {username, "ada lovelace", "ada lovelace", ""},
		"a user name as long as it may be":    {username, strings.Repeat("ä", 128), strings.Repeat("ä", 128), ""},
		"a user name too long":                {username, strings.Repeat("ä", 129), "", badUsername},
		"a user name in full width":           {username, "\uff41\uff44\uff41", "ada", ""},
		"a user name in Greek":                {username, "\u0391\u03b4\u03b1", "\u0391\u03b4\u03b1", ""},
		"a user name in Hebrew":               {username, "\u05d0\u05d1\u05d2", "\u05d0\u05d1\u05d2", ""},
		"a user name with a zero width":       {username, "a\u200bda", "", badName},
		"a user name with a soft hyphen":      {username, "a\u00adda", "", badName},
		"a user name that turns around":       {username, "a\u202eda", "", badName},
		"a user name in two directions":       {username, "a\u05d0b", "", badName},
		"a user name with another space":      {username, "ada\u00a0lovelace", "", badName},
		"a user name with a space at its end": {username, "ada ", "", badUsername},
		"a user name with a line break":       {username, "a\nda", "", badUsername},
		"a user name that is not UTF-8":       {username, "a\xff", "", badUsername},
		"an unknown type":                     {"pager", "123", "", "must be a valid value"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kept, err := account.CleanIdentifier(c.kind, c.value)
			if c.refuse == "" {
				if err != nil || kept != c.kept {
					t.Errorf("kept %q, %v", kept, err)
				}
				return
			}
			if err == nil || err.Error() != c.refuse {
				t.Errorf("got %q, %v, want %q", kept, err, c.refuse)
			}
		})
	}
}

func TestIdentifiersAreTheSameByWhatTheyMean(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind account.IdentifierType
		a, b string
		same bool
	}{
		"email addresses in another case":             {account.IdentifierTypeEmail, "Ada@Example.COM", "ada@example.com", true},
		"email addresses composed in another way":     {account.IdentifierTypeEmail, "jos\u00e9@example.com", "jose\u0301@example.com", true},
		"email addresses of two people":               {account.IdentifierTypeEmail, "ada@example.com", "bob@example.com", false},
		"email addresses of one domain":               {account.IdentifierTypeEmail, "a@m\u00fcnchen.de", "A@XN--MNCHEN-3YA.de", true},
		"email addresses with another dot":            {account.IdentifierTypeEmail, "a@example\u3002com", "a@example.com", true},
		"email addresses that one letter tells apart": {account.IdentifierTypeEmail, "ada@\u0130cloud.example", "ada@icloud.example", false},
		"user names in full width":                    {account.IdentifierTypeUsername, "\uff21da", "Ada", true},
		"user names of several words":                 {account.IdentifierTypeUsername, "\uff21da Lovelace", "Ada Lovelace", true},
		"user names in another case":                  {account.IdentifierTypeUsername, "Ada", "ada", false},
		"user names composed in another way":          {account.IdentifierTypeUsername, "Jos\u00e9", "Jose\u0301", true},
		"a user name that only looks like the other":  {account.IdentifierTypeUsername, "\u0430da", "ada", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if same := account.IdentifierKey(c.kind, c.a) == account.IdentifierKey(c.kind, c.b); same != c.same {
				t.Errorf("same: %v", same)
			}
			a := account.Account{Identifiers: []account.Identifier{{ID: "ide-1", Type: c.kind, Value: c.a}}}
			if found := a.Identifier(c.kind, c.b) != nil; found != c.same {
				t.Errorf("found: %v", found)
			}
		})
	}
}

// Whoever owns a domain whose name another name only resembles must not get at the other's mailboxes by it.
func TestAddressesAreTheSameOnlyIfTheirDomainsAre(t *testing.T) {
	t.Parallel()
	of := func(letter rune) (address, domain string, ok bool) {
		typed := string(letter) + "cloud.example"
		ascii, err := idna.Lookup.ToASCII(typed)
		return "ada@" + typed, ascii, err == nil
	}
	for letter := rune(0x80); letter <= unicode.MaxRune; letter++ {
		one, itsDomain, ok := of(letter)
		if !ok {
			continue
		}
		for _, like := range []rune{unicode.ToLower(letter), unicode.ToUpper(letter), unicode.SimpleFold(letter)} {
			other, otherDomain, ok := of(like)
			same := account.IdentifierKey(account.IdentifierTypeEmail, one) == account.IdentifierKey(account.IdentifierTypeEmail, other)
			if ok && same != (itsDomain == otherDomain) {
				t.Errorf("%q and %q are the same: %v, their domains are %s and %s", one, other, same, itsDomain, otherDomain)
			}
		}
	}
}

func TestAKeyDoesNotChangeWhenItIsMadeAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]account.IdentifierType{"email", "phone", "username"}).Draw(t, "kind")
		value := rapid.String().Draw(t, "value")
		key := account.IdentifierKey(kind, value)
		if again := account.IdentifierKey(kind, key); again != key {
			t.Errorf("%q became %q, then %q", value, key, again)
		}
		if kept, err := account.CleanIdentifier(kind, value); err == nil && account.IdentifierKey(kind, kept) != key {
			t.Errorf("what is kept of %q is another identifier: %q", value, kept)
		}
	})
}

func TestAnIdentifierIsLookedForUnderItsEarlierKeys(t *testing.T) {
	t.Parallel()
	const unicode, ascii = "a@m\u00fcnchen.de", "a@xn--mnchen-3ya.de"
	for name, c := range map[string]struct {
		kind  account.IdentifierType
		value string
		want  []string
	}{
		"an ASCII address is one":              {account.IdentifierTypeEmail, " Ada@Example.com", []string{"ada@example.com"}},
		"a domain in Unicode, then in ASCII":   {account.IdentifierTypeEmail, unicode, []string{unicode, ascii}},
		"a domain in ASCII, then in Unicode":   {account.IdentifierTypeEmail, ascii, []string{ascii, unicode}},
		"a user name":                          {account.IdentifierTypeUsername, "Ada", []string{"Ada"}},
		"a user name as it was, then as it is": {account.IdentifierTypeUsername, "\uff21da", []string{"\uff21da", "Ada"}},
		"a user name that is refused now":      {account.IdentifierTypeUsername, "a\u200bda", []string{"a\u200bda"}},
		"a phone number":                       {account.IdentifierTypePhone, "+4915112345678", []string{"+4915112345678"}},
	} {
		if got := account.IdentifierForms(c.kind, c.value); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

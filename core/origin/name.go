package origin

import (
	"strings"

	"golang.org/x/net/idna"
)

const (
	maxName  = 253 // RFC 1035 §2.3.4, written without the dot at its end
	maxLabel = 63
)

// toASCII writes names as browsers do, and minds which characters a name may have (UTS #46, RFC 1123 §2.1).
var toASCII = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true))

// checkName says why a text is no domain name in the form that browsers compare: lower case, ASCII, no dot at its end.
func checkName(name string) error {
	ascii, err := toASCII.ToASCII(strings.TrimSuffix(name, "."))
	if err != nil && (strings.Contains("."+name, ".-") || strings.Contains(name+".", "-.")) {
		return breaks(name, "", "must be a domain name whose labels neither begin nor end with a hyphen")
	}
	if err != nil {
		return breaks(name, "", "must be a domain name of letters, digits, hyphens and dots")
	}
	for label := range strings.SplitSeq(ascii, ".") {
		switch {
		case label == "":
			return breaks(name, strings.Join(strings.FieldsFunc(ascii, func(r rune) bool { return r == '.' }), "."),
				"must be a domain name without empty labels: no dots at its beginning or beside each other")
		case len(label) > maxLabel:
			return breaks(name, "", "must be a domain name whose labels have at most %d characters", maxLabel)
		case label[0] == '-' || label[len(label)-1] == '-':
			return breaks(name, "", "must be a domain name whose labels neither begin nor end with a hyphen")
		}
	}
	switch {
	case len(ascii) > maxName:
		return breaks(name, "", "must be a domain name of at most %d characters", maxName)
	case strings.HasSuffix(name, "."):
		return breaks(name, ascii, "must not end with a dot")
	case ascii != name && ascii == strings.ToLower(name):
		return breaks(name, ascii, "must be in lower case")
	case ascii != name:
		return breaks(name, ascii, "must be in its ASCII form")
	}
	return nil
}

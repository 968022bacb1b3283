// Package origin knows the names that a relying party has on the web: its RP ID, the origins of its pages and apps, and host names.
//
// What it takes can work in browsers, and is in the one form that browsers compare. What it refuses, it refuses with an *Error that
// names the rule and, where it can be told, the form that would do. It is pure: which domains are public suffixes is compiled in.
package origin

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// MaxRelatedLabels is how many registrable labels browsers look at in the document of related origins: what W3C WebAuthn Level 3
// §5.11.1 asks of them at least, and what they do. Origins after that are not found.
const MaxRelatedLabels = 5

const (
	androidPrefix = "android:apk-key-hash:"
	keyHashLength = 32 // bytes of SHA-256
	localhost     = "localhost"
)

// Error is a name that cannot work.
type Error struct {
	Given string
	Rule  string // what it breaks, as the end of a sentence that begins with it
	Form  string // what would do; empty = nothing that could be told
}

// Error implements error.
func (e *Error) Error() string {
	if e.Form == "" {
		return e.Rule
	}
	return e.Rule + ": use " + e.Form
}

func breaks(given, form, rule string, args ...any) *Error {
	return &Error{Given: given, Rule: fmt.Sprintf(rule, args...), Form: form}
}

// CheckRPID says why a text is no RP ID that a browser would take (W3C WebAuthn Level 3 §5.1.2, HTML "is a registrable domain suffix
// of or is equal to").
func CheckRPID(id string) error {
	if id == "" {
		return breaks(id, "the domain of your pages, such as example.com", "cannot be blank")
	}
	if address(id) {
		return breaks(id, "localhost, or a domain of yours", "must be a domain: passkeys cannot belong to an IP address")
	}
	if err := checkBare(id, "a domain"); err != nil {
		return err
	}
	if id != localhost && public(id) {
		return breaks(
			id, "example."+id+" with the name that you registered",
			"must not be a public suffix, under which anybody can register: browsers refuse it",
		)
	}
	return nil
}

// checkBare says why a text is more than a name, or none; what is how callers call it.
func checkBare(name, what string) error {
	if scheme, rest, ok := strings.Cut(name, "://"); ok {
		return breaks(name, hostIn(rest), "must be %s without the scheme %s", what, scheme)
	}
	if strings.ContainsAny(name, "/?#@") {
		return breaks(name, hostIn(name), "must be %s, without path, query, fragment or user", what)
	}
	if host, port, ok := strings.Cut(name, ":"); ok {
		return breaks(name, host, "must be %s without the port %s", what, port)
	}
	return checkName(name)
}

// CheckHost says why a text is no name of a host of at least two labels.
func CheckHost(host string) error {
	if host == "" {
		return breaks(host, "", "cannot be blank")
	}
	if address(host) {
		return breaks(host, "", "must be a host name, not an IP address")
	}
	if err := checkBare(host, "a host name"); err != nil {
		return err
	}
	if !strings.Contains(host, ".") {
		return breaks(host, "", "must be a host name of at least two labels, such as login.example.com")
	}
	if public(host) {
		return breaks(host, "", "must not be a public suffix, under which anybody can register")
	}
	return nil
}

// CheckPattern says why a text is neither a host name nor *. and a host name, which stands for all that are one label longer. localhost
// is taken, too.
func CheckPattern(pattern string) error {
	name := strings.TrimPrefix(pattern, "*.")
	if name == localhost {
		return nil
	}
	if strings.Contains(name, "*") {
		return breaks(pattern, "", "must have no * but the one that it begins with, as in *.example.com")
	}
	err := CheckHost(name)
	var e *Error
	if name != pattern && errors.As(err, &e) && e.Form != "" {
		return breaks(pattern, "*."+e.Form, "%s", e.Rule)
	}
	return err
}

// Parse returns an origin in the form in which browsers and Android send it: that of a web page, or android:apk-key-hash: and the
// SHA-256 fingerprint of an app's certificate, whose base64 may be of either alphabet and padded.
func Parse(text string) (string, error) {
	if strings.HasPrefix(text, "android:") {
		return parseAndroid(text)
	}
	return text, checkWeb(text)
}

// Web reports whether an origin is that of a web page.
func Web(text string) bool {
	return strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://")
}

// On reports whether an origin needs no more than the RP ID: its host is that, or under it, or it is an app's.
func On(text, rpID string) bool {
	if !Web(text) {
		return true
	}
	host := hostIn(text)
	return host == rpID || strings.HasSuffix(host, "."+rpID)
}

// ParseOwn returns an origin as Parse does, and refuses one that needs more than the RP ID.
func ParseOwn(text, rpID string) (string, error) {
	read, err := Parse(text)
	if err == nil && !On(read, rpID) {
		return "", breaks(text, "", "must be on the RP ID %s or a subdomain of it, or be named as a related origin", rpID)
	}
	return read, err
}

// ParseRelated returns an origin as Parse does, and refuses one that cannot use the RP ID by being named in its document (W3C WebAuthn
// Level 3 §5.11).
func ParseRelated(text, rpID string) (string, error) {
	read, err := Parse(text)
	switch {
	case err != nil:
		return "", err
	case !strings.HasPrefix(read, "https://"):
		return "", breaks(text, "", "must be an origin of https to be a related one")
	case rpID == localhost:
		return "", breaks(text, "", "cannot be related to the RP ID localhost, whose document browsers would fetch over https from a public host")
	case On(read, rpID):
		return "", breaks(text, "", "is on the RP ID %s, and belongs with the other origins", rpID)
	case label(read) == "":
		return "", breaks(text, "", "must be on a domain that somebody can register")
	}
	return read, nil
}

// CheckLabels says which of several related origins browsers would not find.
func CheckLabels(related []string) error {
	var seen []string
	for _, text := range related {
		name := label(text)
		if slices.Contains(seen, name) {
			continue
		}
		if len(seen) == MaxRelatedLabels {
			return breaks(text, "", "would not be found: browsers look at %d registrable labels, and those are %s",
				MaxRelatedLabels, strings.Join(seen, ", "))
		}
		seen = append(seen, name)
	}
	return nil
}

// label returns the registrable label of an origin: example of https://www.example.co.uk, "" if there is none.
func label(text string) string {
	host := hostIn(text)
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(domain, ".")
	return first
}

// checkWeb compares a text with what a browser would make of it.
func checkWeb(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http" {
		return breaks(text, "https://host[:port], or android:apk-key-hash: and base64url", "is not an origin")
	}
	host := u.Hostname()
	switch {
	case strings.Contains(host, "*"):
		return breaks(text, "", "must name one host: there are no wildcards in origins, so name each")
	case address(host):
		return breaks(text, "", "must be on a domain or on localhost: passkeys cannot belong to an IP address")
	}
	if err := checkName(strings.ToLower(host)); err != nil {
		var e *Error
		if errors.As(err, &e) && e.Form != "" {
			return breaks(text, written(u.Scheme, e.Form, u.Port()), "%s", e.Rule)
		}
		return err
	}
	form := written(u.Scheme, strings.ToLower(host), u.Port())
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return breaks(text, "", "must have a port between 1 and 65535, not %s", port)
		}
	}
	if u.Scheme == "http" && !loopback(strings.ToLower(host)) {
		return breaks(text, "https"+strings.TrimPrefix(form, "http"), "must be of https: browsers have passkeys over http on localhost alone")
	}
	if text != form {
		return breaks(text, form, "must have scheme, host and port only, in the form that browsers send")
	}
	return nil
}

// written is an origin as browsers serialise it (RFC 6454 §6.2): a port without leading zeros, and none if it is the scheme's own.
func written(scheme, host, port string) string {
	port = strings.TrimLeft(port, "0")
	if port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return scheme + "://" + host
	}
	return scheme + "://" + host + ":" + port
}

func parseAndroid(text string) (string, error) {
	form := androidPrefix + "<the SHA-256 fingerprint of the app's certificate in base64url>"
	hash, ok := strings.CutPrefix(text, androidPrefix)
	if !ok {
		return "", breaks(text, form, "is not the origin of an Android app")
	}
	if sum, err := hex.DecodeString(strings.ReplaceAll(hash, ":", "")); err == nil && len(sum) == keyHashLength {
		return "", breaks(
			text, androidPrefix+base64.RawURLEncoding.EncodeToString(sum), "must have the fingerprint in base64url, not in hexadecimal",
		)
	}
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(hash, "="))
	sum, err := base64.RawStdEncoding.Strict().DecodeString(standard)
	if err != nil || strings.ContainsAny(hash, "\r\n") || len(hash)-len(strings.TrimRight(hash, "=")) > 2 {
		return "", breaks(text, form, "must have the fingerprint in base64url")
	}
	if len(sum) != keyHashLength {
		return "", breaks(text, form, "must have a fingerprint of %d bytes, not %d", keyHashLength, len(sum))
	}
	return androidPrefix + base64.RawURLEncoding.EncodeToString(sum), nil
}

func hostIn(text string) string {
	if _, rest, ok := strings.Cut(text, "://"); ok {
		text = rest
	}
	if end := strings.IndexAny(text, "/?#"); end >= 0 {
		text = text[:end]
	}
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		text = text[at+1:]
	}
	if strings.HasPrefix(text, "[") {
		return text
	}
	host, _, _ := strings.Cut(text, ":")
	return host
}

// public reports whether a name is a public suffix. A name of one label that no registry has, such as that of a host in an intranet, is
// none: a browser takes it for itself.
func public(name string) bool {
	suffix, icann := publicsuffix.PublicSuffix(name)
	return suffix == name && (icann || strings.Contains(name, "."))
}

func loopback(host string) bool { return host == localhost || strings.HasSuffix(host, "."+localhost) }

func address(text string) bool {
	text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	if _, err := netip.ParseAddrPort(text); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(hostIn("x://"+text), "[]"))
	return err == nil || endsInNumber(text)
}

// endsInNumber knows what browsers take for an IPv4 address, such as 127.1 and 0x7f000001 (WHATWG URL, "ends in a number").
func endsInNumber(text string) bool {
	last := text[strings.LastIndexByte(strings.TrimSuffix(text, "."), '.')+1:]
	last = strings.TrimSuffix(last, ".")
	if last == "" {
		return false
	}
	if strings.Trim(last, "0123456789") == "" {
		return true
	}
	digits, ok := strings.CutPrefix(strings.ToLower(last), "0x")
	return ok && strings.Trim(digits, "0123456789abcdef") == ""
}

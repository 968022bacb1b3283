package webhook

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/origin"
)

// Bounds of what an endpoint may ask for.
const (
	maxURL        = 2048
	maxHeaders    = 20
	maxHeaderName = 128
	maxHeader     = 1024
	maxEvents     = 64
	maxCredential = 255
)

// Check returns every field of the endpoint that is at fault, in the wire's names.
func (c Config) Check(e *Endpoint) []fault.FieldError {
	var faults []fault.FieldError
	add := func(field, message string) {
		if message != "" {
			faults = append(faults, fault.FieldError{Field: field, Message: message})
		}
	}
	add("url", c.checkURL(e.URL))
	add("subscribedEvents", checkEvents(e.Events))
	add("basicAuthUsername", checkUsername(e.Username))
	add("basicAuthPassword", checkCredential(e.Password.Reveal()))
	add("customHeaders", checkHeaders(e.Headers, e.Username != "" || e.Password != ""))
	return faults
}

// checkURL returns what is wrong with a URL, or nothing. That a name resolves to an address that may be reached shows when it is dialled.
func (c Config) checkURL(raw string) string {
	if raw == "" {
		return "cannot be blank"
	}
	if len(raw) > maxURL {
		return "must be at most " + strconv.Itoa(maxURL) + " bytes long"
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "must be printable ASCII: write other characters percent-encoded, and names as Punycode"
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return "must be an absolute URL such as https://example.com/hook"
	}
	switch err := origin.CheckURL(raw, origin.Parts{User: true, Query: true}); {
	case u.Scheme == "http" && !c.AllowHTTP:
		return "must be https: this installation does not allow http (webhooks_allow_http)"
	case u.Scheme != "https" && u.Scheme != "http":
		return "must be https"
	case u.User != nil:
		return "must hold no credentials: use basicAuthUsername and basicAuthPassword"
	case err != nil:
		return err.Error()
	}
	return c.checkHost(u)
}

func (c Config) checkHost(u *url.URL) string {
	host := u.Hostname()
	literal := host
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		literal = "127.0.0.1"
	}
	address, err := netip.ParseAddr(literal)
	if err != nil {
		return "" // a name
	}
	if !c.Allowed(address) {
		return "must not be a private address (webhooks_allow_private, webhooks_allow_cidrs)"
	}
	return ""
}

func checkEvents(subscribed []string) string {
	if len(subscribed) == 0 {
		return "cannot be blank"
	}
	if len(subscribed) > maxEvents {
		return "must have at most " + strconv.Itoa(maxEvents) + " items"
	}
	seen := make(map[event.Type]string, len(subscribed))
	for _, s := range subscribed {
		if s == All {
			if len(subscribed) > 1 {
				return "must hold nothing beside *"
			}
			return ""
		}
		t, err := TypeOf(s)
		if err != nil {
			return err.Error()
		}
		if before, ok := seen[t]; ok {
			return quoted(s) + " is named twice, the other time as " + quoted(before)
		}
		seen[t] = s
	}
	return ""
}

func quoted(s string) string { return strconv.Quote(s) }

func checkUsername(name string) string {
	if strings.Contains(name, ":") {
		return "must not contain a colon (RFC 7617)"
	}
	return checkCredential(name)
}

func checkCredential(text string) string {
	if len(text) > maxCredential {
		return "must be at most " + strconv.Itoa(maxCredential) + " bytes long"
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "must be text without control characters"
	}
	return ""
}

// reserved reports whether a header, in lower case, is Keyward's own to set or concerns the connection only (RFC 9110 section 7.6.1).
func reserved(name string) bool {
	switch name {
	case "host", "content-length", "content-type", "content-encoding", "user-agent", "expect", "cookie",
		"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization",
		"te", "trailer", "transfer-encoding", "upgrade":
		return true
	default:
		return strings.HasPrefix(name, "webhook-")
	}
}

func checkHeaders(headers map[string]string, basic bool) string {
	if len(headers) > maxHeaders {
		return "must be at most " + strconv.Itoa(maxHeaders)
	}
	seen := make(map[string]bool, len(headers))
	for name, value := range headers {
		lower := strings.ToLower(name)
		switch {
		case !token(name):
			return quoted(name) + " is no name of a header"
		case reserved(lower):
			return quoted(name) + " cannot be set"
		case lower == "authorization" && basic:
			return quoted(name) + " cannot be set beside basic authentication"
		case seen[lower]:
			return quoted(name) + " is named twice"
		case !fieldValue(value):
			return "the value of " + quoted(name) + " must be at most " + strconv.Itoa(maxHeader) + " bytes of visible text"
		}
		seen[lower] = true
	}
	return ""
}

// token reports whether s is a token (RFC 9110 section 5.6.2) of a length that servers take.
func token(s string) bool {
	if s == "" || len(s) > maxHeaderName {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// fieldValue reports whether s can be the value of a header (RFC 9110 section 5.5): visible characters, with spaces and tabs between them
// only.
func fieldValue(s string) bool {
	if len(s) > maxHeader || s != strings.Trim(s, " \t") {
		return false
	}
	for _, c := range []byte(s) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

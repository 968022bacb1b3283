// Package secret holds the type of values that must never be printed: configuration carries its secrets as Text, so that a log line, an
// error or a dump of the configuration shows stars. It does no I/O.
package secret

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// Stars is what a secret prints as, whatever its length.
const Stars = "********"

// Text is a secret. Every way of printing or encoding it gives Stars, or nothing if it is empty; Reveal gives the value.
type Text string

// Reveal returns the value. What is done with it is the caller's responsibility.
func (t Text) Reveal() string { return string(t) }

// String implements fmt.Stringer.
func (t Text) String() string {
	if t == "" {
		return ""
	}
	return Stars
}

// Format implements fmt.Formatter, so that no verb prints the value.
func (t Text) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, t.String()) }

// LogValue implements slog.LogValuer.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText implements encoding.TextMarshaler, for JSON and YAML.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// URL returns a URL, or several separated by commas, with passwords and tokens as stars. What cannot be read as a URL is all stars, since
// nobody knows what it holds.
func URL(raw string) string {
	if raw == "" {
		return ""
	}
	var masked []string
	for part := range strings.SplitSeq(raw, ",") {
		masked = append(masked, maskURL(part))
	}
	return strings.Join(masked, ",")
}

func maskURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || u.Opaque != "" {
		return Stars
	}
	if u.User == nil {
		return raw
	}
	user := u.User.Username()
	if _, ok := u.User.Password(); !ok {
		// NATS reads a user name alone as a token.
		user = ""
	}
	const mark = "masked"
	u.User = url.UserPassword(user, mark)
	return strings.Replace(u.String(), ":"+mark+"@", ":"+Stars+"@", 1)
}

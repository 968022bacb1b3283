package origin

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Parts are what a URL may have beside scheme, host, port and path.
type Parts struct{ User, Query, Fragment bool }

// CheckURL says why a text is no absolute URL of https or http that a server could be asked at. A host may be an address, and a name may
// have what only the DNS of an intranet has, such as an underscore. The form that is offered holds what the text holds: a caller whose URL
// is secret tells the rule alone.
func CheckURL(text string, may Parts) error {
	const form = "https://host[:port]/path"
	if text == "" {
		return breaks(text, form, "cannot be blank")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return breaks(text, "", "must have no blanks and control characters")
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http" {
		return breaks(text, form, "must be an absolute URL of https or http")
	}
	if u.Hostname() == "" {
		return breaks(text, form, "must name a host")
	}
	if strings.Contains(u.Host, ":") && !strings.HasSuffix(u.Host, "]") {
		if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
			return breaks(text, "", "must have a port from 1 to 65535, or none and no colon")
		}
	}
	if err := checkURLHost(text, u); err != nil {
		return err
	}
	return checkParts(text, u, may)
}

func checkURLHost(text string, u *url.URL) error {
	host := strings.ToLower(u.Hostname())
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	if endsInNumber(host) {
		return breaks(text, "", "must have an address in its whole form, such as 192.0.2.1")
	}
	err := checkName(strings.ReplaceAll(strings.TrimSuffix(host, "."), "_", "x"))
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Form == "" || strings.Contains(host, "_") {
		return breaks(text, "", "%s", e.Rule)
	}
	better := *u
	if better.Host = e.Form; u.Port() != "" {
		better.Host += ":" + u.Port()
	}
	return breaks(text, better.String(), "%s", e.Rule)
}

func checkParts(text string, u *url.URL, may Parts) error {
	better := *u
	var extra []string
	if u.User != nil && !may.User {
		better.User, extra = nil, append(extra, "user")
	}
	if (u.RawQuery != "" || u.ForceQuery) && !may.Query {
		better.RawQuery, better.ForceQuery, extra = "", false, append(extra, "query")
	}
	if strings.Contains(text, "#") && !may.Fragment {
		better.Fragment, better.RawFragment, extra = "", "", append(extra, "fragment")
	}
	if len(extra) == 0 {
		return nil
	}
	return breaks(text, better.String(), "must have no %s", strings.Join(extra, " and no "))
}

package settings

import (
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/keyward/keyward/services/ceremony/delivery"
)

// validateDevelopment refuses what is for development where others sign in: an https frontend_url that is not this machine's says so.
func (c Config) validateDevelopment() error {
	if c.DevOverHTTPS || !c.public() {
		return nil
	}
	var errs []error
	if c.Runs(Gateway) && c.HTTP.TryingPage {
		errs = append(
			errs,
			errors.New("trying_page: lets anybody sign up and see why decisions were made, and frontend_url is https; set it to false, or "+
				"development_over_https to true"),
		)
	}
	if c.Runs(Ceremony) && c.DeliveryConfig().Kind == delivery.Outbox {
		errs = append(
			errs,
			errors.New("delivery: outbox prints the codes that sign users in, and frontend_url is https; set smtp, webhook or off, or "+
				"development_over_https to true"),
		)
	}
	return errors.Join(errs...)
}

// public reports whether frontend_url is https at a name that is not this machine's own.
func (c Config) public() bool {
	u, err := url.Parse(c.Ceremony.FrontendURL)
	return err == nil && u.Scheme == "https" && !Own(u.Hostname())
}

// Own reports whether a host is always the machine itself.
func Own(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// Unsafe says, a sentence each, what in the configuration is good for a laptop and not for where others sign in.
func (c Config) Unsafe() []string {
	var found []string
	if c.Runs(Gateway) && c.HTTP.TryingPage {
		found = append(
			found,
			"trying_page is on: anybody who reaches / can sign up and sees why decisions were made; set trying_page to false (KEYWARD_TRYING_PAGE)",
		)
	}
	if c.Runs(Ceremony) && c.DeliveryConfig().Kind == delivery.Outbox {
		found = append(
			found,
			"one-time codes are printed to the terminal: who reads it can sign in as anybody; set delivery to smtp or webhook (KEYWARD_DELIVERY)",
		)
	}
	if host, _, err := net.SplitHostPort(c.AdminAddr); err == nil && !Own(host) {
		found = append(
			found,
			"admin_addr listens beyond this machine and asks for no credentials; set it to 127.0.0.1 or keep it off the public network "+
				"(KEYWARD_ADMIN_ADDR)",
		)
	}
	if c.TLSDev {
		found = append(
			found,
			"tls_dev is on: only who was told to trusts the certificate; set tls_cert and tls_key to one of an authority that all trust "+
				"(KEYWARD_TLS_DEV)",
		)
	}
	if c.AdminProfiles {
		found = append(
			found,
			"admin_profiles is on: who reaches the admin port sees what the process does and can make it work; turn it off when done "+
				"(KEYWARD_ADMIN_PROFILES)",
		)
	}
	return found
}

package settings

import (
	"net"
	"net/url"

	"github.com/keyward/keyward/cmd/keyward/app/devtls"
	"github.com/keyward/keyward/services/gateway"
)

// Follow gives what is not set by itself the value that follows from what is: at another port only http_addr has to be changed. set says
// which keys are set. An address whose port the system chooses tells nothing.
func (c *Config) Follow(set func(key string) bool) {
	if c.TLSDev && !set("tls_cert") && !set("tls_key") {
		c.HTTP.TLSCert, c.HTTP.TLSKey = devtls.Server(devtls.Dir(c.NATS.DataDir))
		if !set("hsts_max_age") {
			c.HTTP.HSTSMaxAge = 0 // browsers would call whatever else runs at localhost by https
		}
	}
	_, port, err := net.SplitHostPort(c.HTTP.Addr)
	if err == nil && port != "" && port != "0" && !set("frontend_url") {
		c.Ceremony.FrontendURL = localURL(port, c.HTTP.UsesTLS(gateway.TLSHTTP))
	}
	if !set("bootstrap_origins") {
		c.Bootstrap.Origins = []string{c.Origin()}
	}
}

// Origin returns the origin of the pages at frontend_url.
func (c Config) Origin() string {
	u, err := url.Parse(c.Ceremony.FrontendURL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// localURL is where a browser on this machine opens a page: passkeys work at a name, not at an address.
func localURL(port string, secure bool) string {
	scheme, usual := "http", "80"
	if secure {
		scheme, usual = "https", "443"
	}
	if port == usual {
		return scheme + "://localhost"
	}
	return scheme + "://localhost:" + port
}

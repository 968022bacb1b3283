package gateway_test

import (
	"testing"
	"time"

	"github.com/keyward/keyward/services/gateway"
)

func TestBrowsersAreHeldToHTTPSWhereItIsAndNowhereElse(t *testing.T) {
	t.Parallel()
	const year = "max-age=31536000"
	served := gateway.Config{TLSCert: "tls.crt", TLSKey: "tls.key", TLSPorts: gateway.TLSBoth, HSTSMaxAge: 365 * 24 * time.Hour}
	grpcOnly, untold := served, served
	grpcOnly.TLSPorts, untold.HSTSMaxAge = gateway.TLSGRPC, 0
	for name, c := range map[string]struct {
		cfg  gateway.Config
		host string
		want string
	}{
		"a name":                {served, "auth.example.com", year},
		"a name with a port":    {served, "auth.example.com:8443", year},
		"this machine":          {served, "localhost:8080", ""},
		"a name of it":          {served, "shop.localhost", ""},
		"no name":               {served, "", ""},
		"without TLS":           {gateway.Config{HSTSMaxAge: time.Hour}, "auth.example.com", ""},
		"with TLS for gRPC":     {grpcOnly, "auth.example.com", ""},
		"if it is switched off": {untold, "auth.example.com", ""},
	} {
		if got := gateway.StrictTransport(c.cfg, c.host); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

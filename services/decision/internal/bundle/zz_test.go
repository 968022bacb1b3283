package bundle_test

import (
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/bundle"
)

func BenchmarkZZ(b *testing.B) {
	p, err := bundle.Load(b.Context(), policies.Bundle, entrypoints...)
	if err != nil {
		b.Fatal(err)
	}
	base := `{"complete": %C, "account": "active","strategy": "standard","client": {"os": "macos", "osVersion": 15, "browser": "safari", "native": false, "mobile": false, "desktop": true, "privateMode": false, "webdriver": false},
	"support": {"webauthn": true, "uvpa": true, "ble": "on", "conditionalGet": true, "conditionalCreate": true, "hybrid": "yes", "immediateGet": false},
	"environment": {"known": true, "rejected": false, "listed": "none"},
	"credentials": {"total": 1, "likely": 0, "uncertain": 0, "remote": 1, "securityKey": 0},
	"cda": {"client": false, "remoteHigh": false, "remoteLow": true, "route": false},
	"securityKeyOnly": false,
	"pair": {
		"localStreak": 0, "cdaStreak": 0, "securityKeyStreak": 0, "noCredentials": false, "lastFailedRoute": "",
		"positive": false, "lastRoute": "", "positiveSecurityKey": false, "existsHere": false, "createdHere": false
	},
	"experiments": {},
	"blacklist": {"login": false, "appendAfterHybrid": false, "appendAfterError": false}}`
	for _, c := range []string{"true", "false"} {
		in := ast.MustParseTerm(replaceAll(base, c)).Value
		b.Run(c, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Eval(b.Context(), time.Second, login, in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
func replaceAll(s, c string) string {
	for i := 0; i+2 <= len(s); i++ {
		if s[i:i+2] == "%C" {
			return s[:i] + c + s[i+2:]
		}
	}
	return s
}

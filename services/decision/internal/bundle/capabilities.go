package bundle

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Capabilities returns what a policy may call: every builtin whose answer depends on its arguments alone. A decision can therefore be replayed.
func Capabilities() *ast.Capabilities {
	capabilities := ast.CapabilitiesForThisVersion()
	capabilities.Builtins = slices.DeleteFunc(capabilities.Builtins, forbidden)
	// Empty, not nil: schemas may not be fetched from anywhere.
	capabilities.AllowNet = []string{}
	return capabilities
}

// forbidden goes beyond OPA's own mark: certificate checks read the clock, and the rest has no use in a decision and reaches outside it.
func forbidden(builtin *ast.Builtin) bool {
	if builtin.IsNondeterministic() {
		return true
	}
	switch builtin.Name {
	case "rego.parse_module", "opa.runtime", "time.now_ns", "uuid.rfc4122", "io.jwt.decode_verify",
		"crypto.x509.parse_and_verify_certificates", "crypto.x509.parse_and_verify_certificates_with_options":
		return true
	}
	for _, family := range []string{"http.", "net.lookup", "rand.", "providers."} {
		if strings.HasPrefix(builtin.Name, family) {
			return true
		}
	}
	return false
}

package limits

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Capabilities returns what a policy may call: every builtin whose answer depends on its arguments alone, so that a decision can be
// replayed, and whose cost is bounded by the size of its arguments or by the deadline of the evaluation.
func Capabilities() *ast.Capabilities {
	capabilities := ast.CapabilitiesForThisVersion()
	capabilities.Builtins = slices.DeleteFunc(capabilities.Builtins, forbidden)
	// Empty, not nil: schemas may not be fetched from anywhere.
	capabilities.AllowNet = []string{}
	return capabilities
}

// forbidden goes beyond OPA's own mark: certificate checks read the clock, and the rest has no use in a decision and reaches outside it.
func forbidden(builtin *ast.Builtin) bool {
	if builtin.Name == guardName || builtin.IsNondeterministic() || Unbounded(builtin.Name) {
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

// Unbounded names the builtins that a few bytes of arguments can make take all memory or hours, and that no deadline interrupts: a number
// says how large the result is, or every path of a graph is listed.
func Unbounded(name string) bool {
	switch name {
	case "bits.lsh", "graph.reachable_paths", "units.parse", "units.parse_bytes", "yaml.unmarshal":
		return true
	}
	return false
}

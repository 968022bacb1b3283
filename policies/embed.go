// Package policies carries the default bundle inside the binary: rules, parameters, input schemas and the rules' tests. It holds no logic.
package policies

import "embed"

// Bundle is the default Rego bundle with its root at the top, as a directory given by configuration would be.
//
//go:embed .manifest data.json login append mediation schemas
var Bundle embed.FS

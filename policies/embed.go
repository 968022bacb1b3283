// Package policies carries the default bundle inside the binary: rules, parameters, schemas, the rules' tests and scenarios. It holds no
// logic.
package policies

import "embed"

// Bundle is the default Rego bundle with its root at the top, as a directory given by configuration would be.
//
//go:embed .manifest data.json aaguids.json login append mediation rollout risk schemas scenarios
var Bundle embed.FS

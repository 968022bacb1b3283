package project

import "github.com/keyward/keyward/core/fault"

// What may be wrong with a project that is asked for.
var (
	ErrUnknown = fault.Unknown("id").Named("project-unknown")
	ErrExists  = fault.Conflict("id", "exists already").Named("project-exists")
)

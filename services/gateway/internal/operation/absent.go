package operation

import "github.com/keyward/keyward/core/fault"

// ErrNoProject is what is told of a project that there is not, and of one that an operator does not see.
var ErrNoProject = fault.NotFound("there is no such project").Named("project-unseen")

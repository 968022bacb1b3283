package velocity

import "errors"

// ErrNotKept says that a record has no count of what a policy counts: nobody counted it then.
var ErrNotKept = errors.New("nobody counted it when the decision was made")

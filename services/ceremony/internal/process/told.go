package process

import (
	"errors"

	"github.com/keyward/keyward/core/fault"
)

// IsWithheld reports whether err says that so much was told of a user without a proof that nothing more is recorded. That is nothing to a
// client, who may be the user, and can do nothing about it.
func IsWithheld(err error) bool { return errors.Is(err, fault.TypeRateLimited) }

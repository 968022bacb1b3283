package ceremony

import (
	"github.com/keyward/keyward/services/ceremony/internal/readmodel"
)

// Lists answers the lists of users, identifiers, social accounts, sessions and connect tokens, from a file that is made from the buckets.
// Run it, and close it when Run has ended.
type Lists = readmodel.Store

// ListsDeps is what Lists works with.
type ListsDeps = readmodel.Deps

// OpenLists returns lists that answer as soon as they run and have read what the buckets hold; meanwhile callers wait or are answered 503.
func OpenLists(deps ListsDeps) (*Lists, error) { return readmodel.Open(deps) }

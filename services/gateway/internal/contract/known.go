package contract

import (
	"sync"

	"github.com/keyward/keyward/api"
)

// A process reads each document once, however many gateways it has: they are part of the binary and never change, and to compile their
// schemas costs more than all else that a gateway does before it serves.
var (
	backend  = sync.OnceValues(func() (*Document, error) { return Parse(api.OpenAPI) })
	frontend = sync.OnceValues(func() (*Document, error) { return Parse(api.Frontend) })
	operated = sync.OnceValues(func() (*Document, error) { return Parse(api.Operator) })
)

// Backend returns the document of the Backend API. The error is that of Parse.
func Backend() (*Document, error) { return backend() }

// Frontend returns the document of the Frontend API. The error is that of Parse.
func Frontend() (*Document, error) { return frontend() }

// Operator returns the document of the Operator API. The error is that of Parse.
func Operator() (*Document, error) { return operated() }

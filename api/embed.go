// Package api holds the contracts as files. It is the truth for HTTP: types and routes are generated from it, and the gateway serves it.
package api

import _ "embed"

// OpenAPI is the OpenAPI 3.1 document of the Backend API, as YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte

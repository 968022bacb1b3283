// Package api holds the contracts as files. It is the truth for HTTP: types and routes are generated from it, and the gateway serves it.
package api

import "embed"

// OpenAPI is the OpenAPI 3.1 document of the Backend API, as YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte

// Frontend is the OpenAPI 3.1 document of the Frontend API, as YAML.
//
//go:embed frontend.yaml
var Frontend []byte

// Operator is the OpenAPI 3.1 document of the Operator API, as YAML.
//
//go:embed operator.yaml
var Operator []byte

// AsyncAPI is the AsyncAPI 3.0 document of the event streams, as YAML.
//
//go:embed asyncapi.yaml
var AsyncAPI []byte

// Events holds the JSON Schemas (draft 2020-12) of what the streams carry: events/<type>.json, events/decision-<action>.json and
// events/audit-<type>.json, and in events/base what they share.
//
//go:embed events
var Events embed.FS

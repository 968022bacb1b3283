// Package route is generated from api/openapi.yaml: the routes, and the strict handlers that decode requests and encode answers. It decides nothing.
package route

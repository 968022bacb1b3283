// Package frontroute is generated from api/frontend.yaml: the routes of the Frontend API, and the strict handlers that decode requests and encode answers. It decides nothing.
package frontroute

// Package webhook says what a webhook endpoint is and how an event is sent to it: what a project may configure, the payload, its
// signature, one attempt, and how long to wait for the next. It touches the endpoints' addresses and nothing of ours; which event is sent
// when is the business of dispatch.
//
// # Addresses
//
// Where a connection really goes is judged after the name was resolved, on the address that is dialled, so a name cannot point inside.
// Proxies of the environment are not used, and redirects not followed.
package webhook

// Package logins measures full logins, each begun, signed by a software authenticator and finished: in the shapes that Keyward runs in,
// beside the verification of such answers alone, and before and after many logins were begun that nobody finished. It touches the servers
// of a fleet.
package logins

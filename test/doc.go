// Package test holds the end-to-end tests: whole servers, in every shape, driven over HTTP with real signatures. Nothing in it is mocked.
package test

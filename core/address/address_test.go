package address_test

import (
	"testing"

	"github.com/keyward/keyward/core/address"
)

func TestFormsOfOneAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"203.0.113.9": "203.0.113.9", "203.0.113.9:4711": "203.0.113.9", " 203.0.113.9 ": "203.0.113.9", "::ffff:203.0.113.9": "203.0.113.9",
		"[::ffff:203.0.113.9]:1": "203.0.113.9", "2001:db8::1": "2001:db8::1", "[2001:db8::1]": "2001:db8::1", "[2001:db8::1]:443": "2001:db8::1",
		"2001:DB8:0:0::1": "2001:db8::1", "fe80::1%eth0": "fe80::1", `"[2001:db8::1]:443"`: "2001:db8::1",
		"": "", "unknown": "", "203.0.113": "", "203.0.113.9:": "", "203.0.113.9:99999": "", "[2001:db8::1": "", "host.example": "",
		"203.0.113.7, 10.0.0.1": "",
	} {
		found, ok := address.Parse(text)
		if ok != (want != "") || (ok && found.String() != want) {
			t.Errorf("%q is %v, %v; want %q", text, found, ok, want)
		}
	}
}

// Whoever forwards a list lets its client choose where to be: the beginning of one is what the client wrote.
func TestAListOfAddressesIsNoClients(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "203.0.113.7:80": "203.0.113.7", "203.0.113.7, 10.0.0.1": "", "203.0.113.7:80,[2001:db8::1]:443": "",
		"203.0.113.7,203.0.113.7": "", "unknown, 10.0.0.1": "", "203.0.113.7,": "", ",203.0.113.7": "", "203.0.113.7 10.0.0.1": "", ",": "",
	} {
		found, ok := address.Client(text)
		if ok != (want != "") || (ok && found.String() != want) {
			t.Errorf("%q is %v, %v; want %q", text, found, ok, want)
		}
	}
}

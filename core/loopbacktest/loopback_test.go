package loopbacktest_test

import (
	"net"
	"testing"

	"github.com/keyward/keyward/core/loopbacktest"
)

func TestAnAddressIsFreeAndGivenOnce(t *testing.T) {
	t.Parallel()
	given := map[string]bool{}
	for range 500 {
		address := loopbacktest.Address(t)
		if given[address] {
			t.Fatalf("%s is given twice", address)
		}
		given[address] = true
	}
	for address := range given {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = listener.Close()
	}
}

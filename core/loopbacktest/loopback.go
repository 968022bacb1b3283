// Package loopbacktest finds addresses for servers that a test starts and that have to be told one, such as a member of a cluster or a
// process. It touches ports of 127.0.0.1 for a moment, and one of UDP until the test ends.
package loopbacktest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Below the ports that the kernel gives to whoever asks for any, and to outgoing connections: nobody is given one between its being found
// free and its being used.
const first, last = 10_000, 30_000

// Address returns an address, as 127.0.0.1:12345, at which nobody listens, and which no other test is given until this one ends, also of
// another process.
func Address(tb testing.TB) string {
	tb.Helper()
	var listen net.ListenConfig
	for range last - first {
		port := first + rand.IntN(last-first) //nolint:gosec // nobody has to be kept from guessing it
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		mark, err := listen.ListenPacket(tb.Context(), "udp", address) // by which others see that it is given away
		if err != nil {
			continue
		}
		listener, err := listen.Listen(tb.Context(), "tcp", address)
		if err != nil {
			_ = mark.Close()
			continue
		}
		_ = listener.Close()
		tb.Cleanup(func() { _ = mark.Close() })
		return address
	}
	tb.Fatal("no port of 127.0.0.1 is free")
	return ""
}

// Port returns the port of an Address.
func Port(tb testing.TB) int {
	tb.Helper()
	_, port, err := net.SplitHostPort(Address(tb))
	if err != nil {
		tb.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		tb.Fatal(err)
	}
	return number
}

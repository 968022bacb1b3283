package demo

import (
	_ "embed"
	"fmt"
)

// Places is a database of locations in the MaxMind DB format that has the addresses of the demo: people are in Berlin, at home and on the
// way, and who stole a browser's handle is in São Paulo. Who tries passwords, or has copied keys, cannot be located.
//
//go:embed places.mmdb
var Places []byte

// The networks of the demo, which are for benchmarks (RFC 2544) and for documentation (RFC 5737).
const (
	homes    = "198.18"
	onTheWay = "198.19"
	robots   = "198.51.100"
	abroad   = "192.0.2.50"
)

// atHome is the address that a user has at home, and mobile the one that they have on the way.
func atHome(i int) string { return numbered(homes, i) }

func mobile(i int) string { return numbered(onTheWay, i) }

func numbered(network string, i int) string {
	return fmt.Sprintf("%s.%d.%d", network, i/250%250, 1+i%250)
}

//go:build !unix

package admit

import "runtime/debug"

// Bound makes the collector work harder near the bound; this system knows no harder one.
func Bound(memory int64) error {
	debug.SetMemoryLimit(memory)
	return nil
}

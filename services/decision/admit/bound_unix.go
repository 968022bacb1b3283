//go:build unix

package admit

import (
	"fmt"
	"runtime/debug"
	"syscall"
)

// spacious is how much more than what is in use the heap may hold, in percent: a check may take all its memory, and lasts a third longer
// with a collector that keeps it small.
const spacious = 400

// Bound bounds the memory of this process for good: what goes beyond ends it.
func Bound(memory int64) error {
	debug.SetGCPercent(spacious)
	// The collector works harder before the system says no.
	debug.SetMemoryLimit(memory / 4 * 3)
	limit := syscall.Rlimit{Cur: uint64(memory), Max: uint64(memory)}
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &limit); err != nil {
		return fmt.Errorf("bound the memory: %w", err)
	}
	return nil
}

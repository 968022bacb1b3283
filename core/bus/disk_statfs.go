//go:build linux || darwin

package bus

import (
	"fmt"
	"syscall"
)

// measure returns how large the volume of a directory is and how much of it is free for us.
func measure(dir string) (volume, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return volume{}, fmt.Errorf("ask for the free space of %s: %w", dir, err)
	}
	size := uint64(fs.Bsize)
	return volume{total: int64(fs.Blocks * size), free: int64(fs.Bavail * size)}, nil
}

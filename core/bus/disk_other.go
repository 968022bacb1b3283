//go:build !linux && !darwin

package bus

// measure knows nothing here: the disk is taken to be large enough.
func measure(string) (volume, error) { return volume{}, nil }

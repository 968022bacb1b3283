package seal

import "github.com/keyward/keyward/core/keyring"

// SealBefore seals as earlier versions did, which knew of marks alone.
func SealBefore(keys *keyring.Ring, to To, c Ceremony) (string, error) {
	return seal(keys, to, c, spentByMark)
}

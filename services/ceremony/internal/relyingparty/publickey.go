package relyingparty

import (
	"errors"
	"fmt"
	"math/big"

	"filippo.io/edwards25519"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// minModulus is the shortest RSA modulus in bits that NIST SP 800-131A lets verify signatures; longer than maxModulus costs more than a
// login is worth.
const (
	minModulus = 2048
	maxModulus = 8192
)

// CheckPublicKey reports why a COSE key (RFC 9052) cannot verify the assertions of a passkey: of an algorithm that is not offered, or not a
// key of it (W3C WebAuthn §5.8.5).
func CheckPublicKey(key []byte) error {
	// The library has a point on the curve of its algorithm, in coordinates of full length.
	parsed, err := webauthncose.ParsePublicKey(key)
	if err != nil {
		return fmt.Errorf("parse the public key: %w", err)
	}
	var algorithm int64
	switch k := parsed.(type) {
	case webauthncose.EC2PublicKeyData:
		algorithm = k.Algorithm
	case webauthncose.RSAPublicKeyData:
		algorithm = k.Algorithm
		if err := checkRSA(k); err != nil {
			return err
		}
	case webauthncose.OKPPublicKeyData:
		algorithm = k.Algorithm
		if err := checkEdwards(k.XCoord); err != nil {
			return err
		}
	}
	for _, offered := range algorithms() {
		if int64(offered.Algorithm) == algorithm {
			return nil
		}
	}
	return fmt.Errorf("algorithm %d is not offered", algorithm)
}

// checkEdwards refuses what is no point of the curve, under which nothing verifies, and a point of small order, under which signatures
// verify that nobody made.
func checkEdwards(x []byte) error {
	point, err := new(edwards25519.Point).SetBytes(x)
	if err != nil {
		return fmt.Errorf("read the Ed25519 key: %w", err)
	}
	if new(edwards25519.Point).MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return errors.New("the Ed25519 key is a point of small order")
	}
	return nil
}

func checkRSA(k webauthncose.RSAPublicKeyData) error {
	modulus := new(big.Int).SetBytes(k.Modulus)
	exponent := new(big.Int).SetBytes(k.Exponent)
	switch bits := modulus.BitLen(); {
	case bits < minModulus || bits > maxModulus || modulus.Bit(0) == 0:
		return fmt.Errorf("an RSA modulus is odd and has %d to %d bits, this one %d", minModulus, maxModulus, bits)
	case exponent.Bit(0) == 0 || exponent.Cmp(big.NewInt(1)) <= 0 || exponent.BitLen() > 31:
		return fmt.Errorf("an RSA exponent is odd and between 3 and 2147483647, not %s", exponent)
	default:
		return nil
	}
}

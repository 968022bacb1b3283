package relyingparty_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
)

// Labels of RFC 9052 §7.1 and RFC 9053 §7.
const (
	kty, alg, crv, x, y = 1, 3, -1, -2, -3
	modulus, exponent   = -1, -2
)

func encodeKey(t *testing.T, key map[int]any) []byte {
	t.Helper()
	raw, err := cbor.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func coseOf(t *testing.T, key *ecdsa.PrivateKey) map[int]any {
	t.Helper()
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	half := len(point) / 2
	return map[int]any{kty: 2, alg: -7, crv: 1, x: point[1 : 1+half], y: point[1+half:]}
}

func cose(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	return encodeKey(t, coseOf(t, key))
}

func TestAPublicKeyIsTakenIfItCanVerify(t *testing.T) {
	t.Parallel()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	n := long.N.Bytes()
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec := func(change map[int]any) map[int]any { return changed(coseOf(t, p256), change) }
	es384 := func(change map[int]any) map[int]any {
		return changed(changed(coseOf(t, p384), map[int]any{alg: -35, crv: 2}), change)
	}
	okp := func(change map[int]any) map[int]any {
		return changed(map[int]any{kty: 1, alg: -8, crv: 6, x: []byte(edwards)}, change)
	}
	rs := func(change map[int]any) map[int]any {
		return changed(map[int]any{kty: 3, alg: -257, modulus: n, exponent: []byte{1, 0, 1}}, change)
	}
	for name, c := range map[string]struct {
		key  map[int]any
		good bool
	}{
		"ES256":                                  {ec(nil), true},
		"ES384":                                  {es384(nil), true},
		"EdDSA":                                  {okp(nil), true},
		"RS256":                                  {rs(nil), true},
		"PS256":                                  {rs(map[int]any{alg: -37}), true},
		"a point beside the curve":               {ec(map[int]any{y: bytes.Repeat([]byte{1}, 32)}), false},
		"the point at infinity":                  {ec(map[int]any{x: make([]byte, 32), y: make([]byte, 32)}), false},
		"a curve of another algorithm":           {ec(map[int]any{crv: 2}), false},
		"an algorithm of another curve":          {ec(map[int]any{alg: -35}), false},
		"no curve":                               {ec(map[int]any{crv: nil}), false},
		"a coordinate that is too short":         {ec(map[int]any{x: make([]byte, 31)}), false},
		"a coordinate that is too long":          {ec(map[int]any{x: make([]byte, 33)}), false},
		"a compressed point, of y its sign":      {ec(map[int]any{y: true}), false},
		"no y":                                   {ec(map[int]any{y: nil}), false},
		"an algorithm that is not offered":       {ec(map[int]any{alg: -47}), false},
		"a key type of another algorithm":        {ec(map[int]any{kty: 3}), false},
		"Ed25519 of 31 bytes":                    {okp(map[int]any{x: make([]byte, 31)}), false},
		"Ed25519 that is no point":               {okp(map[int]any{x: append([]byte{2}, make([]byte, 31)...)}), false},
		"Ed25519 of small order":                 {okp(map[int]any{x: append([]byte{1}, make([]byte, 31)...)}), false},
		"EdDSA on X25519":                        {okp(map[int]any{crv: 4}), false},
		"RSA with the exponent 1":                {rs(map[int]any{exponent: []byte{1}}), false},
		"RSA with an even exponent":              {rs(map[int]any{exponent: []byte{1, 0, 0}}), false},
		"RSA with an exponent of 5 bytes":        {rs(map[int]any{exponent: []byte{1, 0, 0, 0, 1}}), false},
		"RSA without an exponent":                {rs(map[int]any{exponent: nil}), false},
		"RSA of 1024 bits":                       {rs(map[int]any{modulus: n[:128]}), false},
		"RSA of 16384 bits":                      {rs(map[int]any{modulus: bytes.Repeat([]byte{0xff}, 2048)}), false},
		"RSA with an even modulus":               {rs(map[int]any{modulus: append(append([]byte{}, n[:255]...), 2)}), false},
		"RSA with a digest that nobody uses now": {rs(map[int]any{alg: -65535}), false},
	} {
		if err := relyingparty.CheckPublicKey(encodeKey(t, c.key)); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func changed(key, change map[int]any) map[int]any {
	for label, value := range change {
		if value == nil {
			delete(key, label)
			continue
		}
		key[label] = value
	}
	return key
}

// A passkey whose key cannot verify would bar its owner at the first login.
func TestAPasskeyWhoseKeyCannotVerifyIsNotRegistered(t *testing.T) {
	t.Parallel()
	answer, register := created(t, authenticator.Phone())
	// The key is the end of the authenticator data, and that of the attestation object.
	spoilt := authenticator.Edit(t, answer, func(_, response map[string]any) { authenticator.Flip(t, response, "attestationObject", -1) })
	if _, err := register(spoilt); err == nil {
		t.Error("a key beside its curve was registered")
	}
}

package relyingparty_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/keyward/keyward/core/fault"
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

func TestARefusedAttestationObjectNamesItsMemberAndTheStep(t *testing.T) {
	t.Parallel()
	const badKey = "the public key in response.attestationObject could not verify a login (W3C WebAuthn §5.8.5)"
	const badStatement = "the attestation statement in response.attestationObject is invalid, or of no known format (W3C WebAuthn §8)"
	key := func(change func(key map[any]any)) func(object map[string]any) {
		return func(object map[string]any) {
			head, old := splitKey(t, object)
			var members map[any]any
			if err := cbor.Unmarshal(old, &members); err != nil {
				t.Fatal(err)
			}
			change(members)
			raw, err := cbor.Marshal(members)
			if err != nil {
				t.Fatal(err)
			}
			object["authData"] = append(head, raw...)
		}
	}
	raw := func(bytes ...byte) func(object map[string]any) {
		return func(object map[string]any) {
			head, _ := splitKey(t, object)
			object["authData"] = append(head, bytes...)
		}
	}
	for name, c := range map[string]struct {
		change func(object map[string]any)
		want   string
	}{
		"a key type that is a text":      {key(func(k map[any]any) { k[uint64(kty)] = "EC2" }), badKey},
		"no key type":                    {key(func(k map[any]any) { delete(k, uint64(kty)) }), badKey},
		"a key type of nobody":           {key(func(k map[any]any) { k[uint64(kty)] = 77 }), badKey},
		"an algorithm that is a text":    {key(func(k map[any]any) { k[uint64(alg)] = "ES256" }), badKey},
		"no algorithm":                   {key(func(k map[any]any) { delete(k, uint64(alg)) }), badKey},
		"an algorithm of nobody":         {key(func(k map[any]any) { k[uint64(alg)] = -7777 }), badKey},
		"a curve that is a text":         {key(func(k map[any]any) { k[int64(crv)] = "P-256" }), badKey},
		"a coordinate that is a text":    {key(func(k map[any]any) { k[int64(x)] = "x" }), badKey},
		"a coordinate that is a list":    {key(func(k map[any]any) { k[int64(x)] = []int{1} }), badKey},
		"a key that is a text":           {raw(0x61, 'x'), badKey},
		"a key that is a number":         {raw(0x07), badKey},
		"a key that is nothing":          {raw(0xf6), badKey},
		"a key that is a list":           {raw(0x80), badKey},
		"a key without a member":         {raw(0xa0), badKey},
		"a statement of the format none": {func(o map[string]any) { o["fmt"] = "none" }, badStatement},
		"a statement without members":    {func(o map[string]any) { o["fmt"], o["attStmt"] = "packed", map[string]any{"x": 1} }, badStatement},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer, register := created(t, authenticator.Phone())
			_, err := register(authenticator.Edit(t, answer, func(_, response map[string]any) {
				response["attestationObject"] = edited(t, response["attestationObject"], c.change)
			}))
			var refused *fault.Refusal
			if !errors.As(err, &refused) || refused.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// idAt is where the ID of a credential begins in authenticator data; its length is in the two bytes before (W3C WebAuthn §6.5.1).
const idAt = 55

func splitKey(t *testing.T, object map[string]any) (head, key []byte) {
	t.Helper()
	data, ok := object["authData"].([]byte)
	if !ok || len(data) < idAt {
		t.Fatalf("authenticator data: %x", data)
	}
	at := idAt + int(binary.BigEndian.Uint16(data[idAt-2:]))
	return slices.Clip(data[:at]), data[at:]
}

func edited(t *testing.T, member any, change func(object map[string]any)) string {
	t.Helper()
	text, _ := member.(string)
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := cbor.Unmarshal(raw, &object); err != nil {
		t.Fatal(err)
	}
	change(object)
	if raw, err = cbor.Marshal(object); err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

package relyingparty_test

import (
	"errors"
	"testing"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
)

// What a client sends is either taken apart or refused; it never brings the server down, and the refusal never repeats it.
func FuzzParse(f *testing.F) {
	f.Add(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}`)
	f.Add(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AAAA","signature":"AA"}}`)
	f.Add(`null`)
	f.Add(``)
	f.Fuzz(func(t *testing.T, text string) {
		var refusal *fault.Refusal
		if answer, err := relyingparty.ParseCreation(text); (answer == nil) != errors.As(err, &refusal) {
			t.Errorf("creation: %v, %v", answer, err)
		}
		if answer, err := relyingparty.ParseAssertion(text); (answer == nil) != errors.As(err, &refusal) {
			t.Errorf("assertion: %v, %v", answer, err)
		}
	})
}

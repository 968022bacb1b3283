package stepup

import (
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/keyward/keyward/core/keyring"
)

// ErrSealed says that what was withheld does not open: the key is gone, or it was changed or moved.
var ErrSealed = errors.New("what was withheld does not open")

// Seal withholds an answer.
func (s *StepUp) Seal(keys *keyring.Ring, answer []byte) error {
	key := keys.Newest(keyring.WithheldAnswer)
	aead, err := chacha20poly1305.NewX(key.Secret)
	if err != nil {
		return fmt.Errorf("use the key of withheld answers: %w", err)
	}
	nonce := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(answer)+aead.Overhead())
	_, _ = rand.Read(nonce) // does not fail
	s.KeyVersion, s.Withheld = key.Version, aead.Seal(nonce, nonce, answer, s.bound())
	return nil
}

// Open returns the answer, if the proof has been given; otherwise it is ErrRequired. Its other errors are ErrSealed, and why that cannot
// be told.
func (s *StepUp) Open(keys *keyring.Ring) ([]byte, error) {
	if s.Passed == nil {
		return nil, ErrRequired
	}
	key, err := keys.Key(keyring.WithheldAnswer, s.KeyVersion)
	if errors.Is(err, keyring.ErrVersion) || len(s.Withheld) < chacha20poly1305.NonceSizeX {
		return nil, ErrSealed
	}
	if err != nil {
		return nil, fmt.Errorf("look for the key of a withheld answer: %w", err)
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("use the key of withheld answers: %w", err)
	}
	answer, err := aead.Open(nil, s.Withheld[:chacha20poly1305.NonceSizeX], s.Withheld[chacha20poly1305.NonceSizeX:], s.bound())
	if err != nil {
		return nil, ErrSealed
	}
	return answer, nil
}

// bound is what a seal is associated with: whose it is, and what it waits for. No ID has a NUL in it, so no two are the same bytes.
func (s *StepUp) bound() []byte {
	return fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s\x00%s", s.Project, s.User, s.ID, s.Ceremony, s.Passkey)
}

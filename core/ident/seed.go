package ident

import (
	"crypto/hmac"
	cryptorand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"strconv"
)

// Seed is what the IDs of one call are derived from: a call that is repeated with its seed makes the same IDs, so that it finds what its
// first attempt left. It is text that fits a header. From an empty seed every ID is random. A call makes at most one ID of each kind from
// its seed.
type Seed string

// NewSeed returns a random seed of over 125 bits.
func NewSeed() Seed { return Seed(cryptorand.Text()) }

// UserID returns the seed's user ID.
func (s Seed) UserID() UserID { return UserID(s.derive(userPrefix)) }

// EventID returns the seed's passkey event ID.
func (s Seed) EventID() EventID { return EventID(s.derive(eventPrefix)) }

// CredentialID returns the seed's passkey ID.
func (s Seed) CredentialID() CredentialID { return CredentialID(s.derive(credentialPrefix)) }

// ChallengeID returns the seed's ID of a WebAuthn challenge.
func (s Seed) ChallengeID() ChallengeID { return ChallengeID(s.derive(challengePrefix)) }

// StepUpID returns the seed's ID of a step-up.
func (s Seed) StepUpID() StepUpID { return StepUpID(s.derive(stepUpPrefix)) }

// IdentifierID returns the seed's identifier ID.
func (s Seed) IdentifierID() IdentifierID { return IdentifierID(s.derive(identifierPrefix)) }

// SocialAccountID returns the seed's social account ID.
func (s Seed) SocialAccountID() SocialAccountID { return SocialAccountID(s.derive(socialPrefix)) }

// CodeID returns the seed's ID of a one-time code.
func (s Seed) CodeID() CodeID { return CodeID(s.derive(codePrefix)) }

// ConnectTokenID returns the seed's connect token ID.
func (s Seed) ConnectTokenID() ConnectTokenID { return ConnectTokenID(s.derive(tokenPrefix)) }

// WebhookID returns the seed's webhook endpoint ID.
func (s Seed) WebhookID() WebhookID { return WebhookID(s.derive(webhookPrefix)) }

// SessionID returns the seed's session ID. It is no secret: what proves a session is signed or drawn apart.
func (s Seed) SessionID() SessionID { return SessionID(s.Alphanumeric("session", sessionLength)) }

// Alphanumeric returns n letters and digits, for each purpose others. Who knows the seed can derive them.
func (s Seed) Alphanumeric(purpose string, n int) string {
	if s == "" {
		return Alphanumeric(n)
	}
	out := make([]byte, 0, n)
	mac := hmac.New(sha256.New, []byte(s))
	for round := uint32(0); ; round++ {
		mac.Reset()
		mac.Write(binary.BigEndian.AppendUint32([]byte(purpose), round))
		for _, b := range mac.Sum(nil) {
			if len(out) == n {
				return string(out)
			}
			if int(b) < evenBytes {
				out = append(out, alphanumeric[int(b)%len(alphanumeric)])
			}
		}
	}
}

// derive returns an ID of the same form and range as random makes.
func (s Seed) derive(prefix string) string {
	if s == "" {
		return random(prefix)
	}
	mac := hmac.New(sha256.New, []byte(s))
	for round := byte(0); ; round++ {
		mac.Reset()
		mac.Write(append([]byte(prefix), round))
		if n := binary.BigEndian.Uint64(mac.Sum(nil)) >> 1; n >= floor {
			return prefix + strconv.FormatUint(n, 10)
		}
	}
}

package process

import (
	"encoding/json"
	"slices"

	"github.com/keyward/keyward/core/event"
)

// Given is the challenge of a login that a process was given before its client had proven anything, and what the client has told of it.
// Until there is a proof a client can tell of nothing else: whoever can name a user can have a process.
type Given struct {
	Challenge string       `json:"challenge"` // base64url without padding
	Told      []event.Type `json:"told,omitempty"`
}

// GivenIn returns what is given with the options of a login.
func GivenIn(options string) *Given { return &Given{Challenge: ChallengeIn(&options)} }

// Take returns what is given with an event told of it, unless a client without a proof may not tell it: it is no answer to a login, it
// names another challenge, or it has been told before. A challenge that is not named is the one that was given.
func (g *Given) Take(kind event.Type, challenge string) (*Given, bool) {
	switch {
	case g == nil || g.Challenge == "" || !kind.AnswersLogin():
		return g, false
	case challenge != "" && !event.SameChallenge(challenge, g.Challenge):
		return g, false
	case slices.Contains(g.Told, kind):
		return g, false
	}
	return &Given{Challenge: g.Challenge, Told: append(slices.Clone(g.Told), kind)}, true
}

// ChallengeIn takes what a client says of a challenge: the challenge, or options as JSON that it is in.
func ChallengeIn(said *string) string {
	if said == nil {
		return ""
	}
	var options struct {
		PublicKey struct {
			Challenge string `json:"challenge"`
		} `json:"publicKey"`
	}
	if err := json.Unmarshal([]byte(*said), &options); err == nil {
		return options.PublicKey.Challenge
	}
	return *said
}

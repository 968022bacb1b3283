package signin

import (
	"encoding/json"
	"testing"
)

// FuzzChallengesOfEvents: clients send a challenge, or the options that it is in.
func FuzzChallengesOfEvents(f *testing.F) {
	for _, seed := range []string{"", "abc", `{"publicKey":{"challenge":"abc"}}`, `{"publicKey":null}`, `{"publicKey":{"challenge":7}}`, `[`, `"abc"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, said string) {
		found := challengeOfEvent(&said)
		if found != said && !json.Valid([]byte(said)) {
			t.Errorf("of %q, which is no JSON, %q was read", said, found)
		}
	})
}

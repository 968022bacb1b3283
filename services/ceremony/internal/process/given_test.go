package process_test

import (
	"encoding/json"
	"testing"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/ceremony/internal/process"
)

const options = `{"publicKey":{"challenge":"-_8"}}`

func TestWhatAClientMayTellBeforeAProof(t *testing.T) {
	t.Parallel()
	for _, kind := range event.Types() {
		_, ok := process.GivenIn(options).Take(kind, "-_8")
		if want := kind.FromClients() && kind.AnswersLogin(); ok != want {
			t.Errorf("%s: %t", kind, ok)
		}
	}
	for name, c := range map[string]struct {
		given     *process.Given
		challenge string
		want      bool
	}{
		"of the challenge that it was given": {process.GivenIn(options), "-_8", true},
		"in another form of base64":          {process.GivenIn(options), "+/8=", true},
		"without saying which":               {process.GivenIn(options), "", true},
		"not of another challenge":           {process.GivenIn(options), "-_9", false},
		"not of the ID of a challenge":       {process.GivenIn(options), "was-1", false},
		"not if it was given none":           {nil, "", false},
		"not if what it was given had none":  {process.GivenIn(`{}`), "", false},
		"not twice":                          {&process.Given{Challenge: "-_8", Told: []event.Type{event.LoginError}}, "-_8", false},
		"once more, if what it told was something else": {
			&process.Given{Challenge: "-_8", Told: []event.Type{event.LoginExplicitAbort}}, "-_8", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next, ok := c.given.Take(event.LoginError, c.challenge)
			if ok != c.want {
				t.Fatal(ok)
			}
			if _, again := next.Take(event.LoginError, c.challenge); again {
				t.Error("twice")
			}
		})
	}
}

// FuzzChallengesOfEvents: clients send a challenge, or the options that it is in.
func FuzzChallengesOfEvents(f *testing.F) {
	for _, seed := range []string{"", "abc", options, `{"publicKey":null}`, `{"publicKey":{"challenge":7}}`, `[`, `"abc"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, said string) {
		found := process.ChallengeIn(&said)
		if found != said && !json.Valid([]byte(said)) {
			t.Errorf("of %q, which is no JSON, %q was read", said, found)
		}
	})
}

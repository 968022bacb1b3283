package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"reflect"
	"testing"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/keyring"
)

// What comes back as a challenge is whatever a client sends: it is refused, or it is what was sealed.
func FuzzOpen(f *testing.F) {
	keys, err := keyring.NewRing("pro-1", keyring.Versions{{Number: 1, Root: bytes.Repeat([]byte{1}, 32)}})
	if err != nil {
		f.Fatal(err)
	}
	to := To{Project: "pro-1", User: "usr-1"}
	good, err := Seal(keys, to, Ceremony{Known: Known{ID: "was-1", OS: "macOS"}, Process: "prc-1", Origins: []string{"https://example.com"}})
	if err != nil {
		f.Fatal(err)
	}
	empty := base64.RawURLEncoding.EncodeToString(make([]byte, Overhead))
	for _, seed := range []string{good, good[:len(good)-1], good + "A", "", "AQ", empty} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, challenge string) {
		_, err := Open(keys, to, challenge)
		if challenge == good && err != nil || challenge != good && !errors.Is(err, ErrForged) {
			t.Errorf("%q: %v", challenge, err)
		}
	})
}

// The state is read behind the seal, and yet as if it had come from outside.
func FuzzParse(f *testing.F) {
	for _, c := range []Ceremony{
		{Known: Known{ID: "was-1"}},
		{
			Known: Known{
				ID: "was-2", Created: 1, Expires: 300, Environment: "env-1", Route: "local", UserVerification: "required", OS: "macOS",
				StepUp: "stu-3", Arm: &event.Arm{Side: event.Canary, Change: 300},
			},
			Process: "prc-1", RPID: "example.com", Origins: []string{"https://example.com"}, Allowed: [][]byte{{1}, {2}},
		},
	} {
		state, err := c.append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(state)
		f.Add(state[:len(state)-1])
		f.Add(append(state, 0))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		o, err := parse(bytes.Clone(state))
		if err != nil {
			if !errors.Is(err, ErrForged) {
				t.Errorf("%v", err)
			}
			return
		}
		if o.Created < 0 || o.Expires < o.Created || len(o.origins)%len(digest{}) != 0 || len(o.allowed)%len(digest{}) != 0 {
			t.Errorf("%+v", o)
		}
		// What it says in words has one form.
		again, err := (&Ceremony{Known: o.Known}).append(nil)
		if err != nil {
			t.Fatalf("%+v: %v", o.Known, err)
		}
		reread, err := parse(again)
		if err != nil || !reflect.DeepEqual(reread.Known, o.Known) {
			t.Errorf("%+v was read again as %+v: %v", o.Known, reread.Known, err)
		}
		o.InProcess("prc-1")
		o.From("https://example.com")
		o.Allows([]byte{1})
	})
}

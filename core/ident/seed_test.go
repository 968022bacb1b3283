package ident_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/ident"
)

func TestASeedAlwaysMakesTheSameIDsAndAnotherSeedMakesOthers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		seed := ident.Seed(rapid.StringN(1, 40, -1).Draw(t, "seed"))
		other := seed + "x"
		made := func(s ident.Seed) []string {
			return []string{
				string(s.UserID()), string(s.EventID()), string(s.IdentifierID()), string(s.SocialAccountID()), string(s.CodeID()),
				string(s.ConnectTokenID()), string(s.WebhookID()),
			}
		}
		first, again, others := made(seed), made(seed), made(other)
		for i, id := range first {
			if id != again[i] || id == others[i] || len(id) != len("usr-")+19 {
				t.Fatalf("made %s, then %s, and of another seed %s", id, again[i], others[i])
			}
			for _, neighbour := range first[:i] {
				if id[4:] == neighbour[4:] {
					t.Fatalf("%s and %s have one number", id, neighbour)
				}
			}
		}
		if id := seed.SessionID(); id != seed.SessionID() || id == other.SessionID() ||
			string(id) == seed.Alphanumeric("another purpose", len(id)) {
			t.Fatalf("session %s", id)
		}
		if _, err := ident.ParseSessionID(string(seed.SessionID())); err != nil {
			t.Fatal(err)
		}
		if _, err := ident.ParseUserID(first[0]); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWithoutASeedIDsAreRandom(t *testing.T) {
	t.Parallel()
	var none ident.Seed
	first, second := none.UserID(), none.UserID()
	if first == second {
		t.Errorf("two users are %s", first)
	}
	one, other := ident.NewSeed(), ident.NewSeed()
	if one == other {
		t.Errorf("two seeds are %s", one)
	}
}

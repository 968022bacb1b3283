package sessions

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/keyring/keyringtest"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/project"
)

// projectWith returns a project with a key; pro-1 has one of old too, which verifies and makes nothing.
func projectWith(tb testing.TB, id ident.ProjectID, root string) project.Project {
	tb.Helper()
	versions := keyring.Versions{{Number: 1, Root: []byte(root)}}
	if id == "pro-1" {
		versions = append(keyring.Versions{{Number: keyring.Legacy, Root: []byte("a key of old")}}, versions...)
	}
	ring, err := keyring.NewRing(id, versions)
	if err != nil {
		tb.Fatal(err)
	}
	return project.Project{ID: id, Ring: ring}
}

// legacyToken is a token as it was made before keys had versions.
func legacyToken(key string, id ident.SessionID) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte("refresh token " + string(id) + "_0"))
	return "rt1_" + string(id) + "_0_" + hex.EncodeToString(mac.Sum(nil))
}

func TestATokenOfOldIsTakenAndOnlyInItsOldForm(t *testing.T) {
	t.Parallel()
	p, id := projectWith(t, "pro-1", "a key of the project"), ident.SessionID("ses-1")
	token := legacyToken("a key of old", id)
	if found, generation, err := parseRefreshToken(p, token); err != nil || found != id || generation != 0 {
		t.Errorf("it is refused: %s %d", found, generation)
	}
	for name, forged := range map[string]string{
		"the key of old under a version":  strings.Replace(token, "_0_", "_0_1_", 1),
		"the key of old named as version": strings.Replace(token, "_0_", "_0_0_", 1),
		// What a gateway may read of a project since.
		"the salt of answers": legacyToken(string(p.Salt()), id),
		"no key":              legacyToken("", id),
	} {
		if _, _, err := parseRefreshToken(p, forged); err == nil {
			t.Errorf("%s: a forged token is taken", name)
		}
	}
}

// FuzzRefreshTokens: nothing but what the project has given out is taken for a refresh token.
func FuzzRefreshTokens(f *testing.F) {
	p, other := projectWith(f, "pro-1", "a key of the project"), projectWith(f, "pro-2", "a key of another one")
	id := ident.SessionID(strings.Repeat("a", 30))
	for _, seed := range []string{
		refreshToken(p, id, 0), refreshToken(p, id, 7), refreshToken(other, id, 0), "rt1_", "rt1___", "",
		"rt1_" + string(id) + "_-1_00", legacyToken("a key of old", id),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		found, generation, err := parseRefreshToken(p, token)
		if err == nil && refreshToken(p, found, generation) != token && token != legacyToken("a key of old", found) {
			t.Errorf("%q is taken for generation %d of %s", token, generation, found)
		}
		if _, _, foreign := parseRefreshToken(other, token); err == nil && foreign == nil {
			t.Errorf("%q is taken by two projects", token)
		}
	})
}

// Somebody whose token another instance made a moment ago was logged out when the store was away just then.
func TestATokenOfAVersionThatCannotBeLookedForIsNotRefused(t *testing.T) {
	t.Parallel()
	p := project.Project{ID: "pro-1", Ring: keyringtest.Cut(t, "pro-1")}
	next := keyring.Legacy + 2
	for name, token := range map[string]string{
		"of the next version":     fmt.Sprintf("rt1_ses-1_0_%d_00", next),
		"of a version after that": fmt.Sprintf("rt1_ses-1_0_%d_00", next+1),
	} {
		_, _, err := parseRefreshToken(p, token)
		if away := name == "of the next version"; errors.Is(err, kv.ErrUnavailable) != away || fault.Unauthenticated(err) == away {
			t.Errorf("%s: %v", name, err)
		}
	}
}

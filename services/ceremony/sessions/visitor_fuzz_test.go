package sessions

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
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
	if found, generation, ok := parseRefreshToken(p, token); !ok || found != id || generation != 0 {
		t.Errorf("it is refused: %s %d", found, generation)
	}
	for name, forged := range map[string]string{
		"the key of old under a version":  strings.Replace(token, "_0_", "_0_1_", 1),
		"the key of old named as version": strings.Replace(token, "_0_", "_0_0_", 1),
		// What a gateway may read of a project since.
		"the salt of answers": legacyToken(string(p.Salt()), id),
		"no key":              legacyToken("", id),
	} {
		if _, _, ok := parseRefreshToken(p, forged); ok {
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
		found, generation, ok := parseRefreshToken(p, token)
		if ok && refreshToken(p, found, generation) != token && token != legacyToken("a key of old", found) {
			t.Errorf("%q is taken for generation %d of %s", token, generation, found)
		}
		if _, _, foreign := parseRefreshToken(other, token); ok && foreign {
			t.Errorf("%q is taken by two projects", token)
		}
	})
}

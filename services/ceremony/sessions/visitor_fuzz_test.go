package sessions

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
)

// FuzzRefreshTokens: nothing but what the project has given out is taken for a refresh token.
func FuzzRefreshTokens(f *testing.F) {
	p := project.Project{ID: "pro-1", HandleKey: []byte("a key of the project")}
	other := project.Project{ID: "pro-2", HandleKey: []byte("a key of another one")}
	id := ident.SessionID(strings.Repeat("a", 30))
	for _, seed := range []string{refreshToken(p, id, 0), refreshToken(p, id, 7), refreshToken(other, id, 0), "rt1_", "rt1___", "", "rt1_" + string(id) + "_-1_00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		found, generation, ok := parseRefreshToken(p, token)
		if ok && refreshToken(p, found, generation) != token {
			t.Errorf("%q is taken for generation %d of %s", token, generation, found)
		}
		if _, _, foreign := parseRefreshToken(other, token); ok && foreign {
			t.Errorf("%q is taken by two projects", token)
		}
	})
}

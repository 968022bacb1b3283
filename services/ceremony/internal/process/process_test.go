package process

import (
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
)

var began = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestATokenOpensItsProcessAndNoOther(t *testing.T) {
	t.Parallel()
	p, token := New("pro-1", SignIn, rest.ClientInformation{}, began, time.Minute)
	_, other := New("pro-1", SignIn, rest.ClientInformation{}, began, time.Minute)
	id, secret, ok := split(token)
	if !ok || id != p.ID || !p.opens(secret) {
		t.Fatalf("%s does not open %+v", token, p)
	}
	if _, theirs, _ := split(other); p.opens(theirs) || p.opens("") {
		t.Error("another secret opens it")
	}
	if strings.Contains(string(p.Secret), secret) {
		t.Error("the secret is kept as it is")
	}
	if p.ExpiresMs-p.CreatedMs != time.Minute.Milliseconds() {
		t.Errorf("it lasts for %d ms", p.ExpiresMs-p.CreatedMs)
	}
}

// FuzzTokens: what comes of a token becomes part of a key, so it is letters and digits whatever was sent.
func FuzzTokens(f *testing.F) {
	_, token := New("pro-1", Connect, rest.ClientInformation{}, began, time.Minute)
	for _, seed := range []string{
		token, "", token[1:], token + "a", strings.Replace(token, token[:1], ".", 1), strings.Repeat("é", len(token)/2),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		id, secret, ok := split(token)
		if !ok {
			if id != "" || secret != "" {
				t.Errorf("%q is refused and yet read as %q and %q", token, id, secret)
			}
			return
		}
		if id+secret != token || strings.ContainsFunc(token, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
		}) {
			t.Errorf("%q is read as %q and %q", token, id, secret)
		}
	})
}

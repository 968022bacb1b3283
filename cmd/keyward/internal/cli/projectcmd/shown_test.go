package projectcmd

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/core/project"
)

func TestNoSecretOfAProjectIsShownButTheOneThatHasJustBeenMade(t *testing.T) {
	t.Parallel()
	made := project.NewSecret()
	p, err := project.New("pro-1", "", "example.com", "", []string{"https://example.com"}, made, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(shown(p, ""))
	if err != nil {
		t.Fatal(err)
	}
	for name, kept := range map[string][]byte{
		"the key of what is counted": p.SightingKey, "the salt of answers": p.IdempotencySalt, "the salt of the secret": p.Secret.Salt,
		"the hash of the secret": p.Secret.Sum,
	} {
		if len(kept) == 0 || strings.Contains(string(text), base64.StdEncoding.EncodeToString(kept)) {
			t.Errorf("%s is shown, or there is none: %s", name, text)
		}
	}
}

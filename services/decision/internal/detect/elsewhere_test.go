package detect_test

import (
	"testing"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

func TestTheOtherDeviceIsNamedOnlyIfTheHistorySaysWhatItIs(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	appleName, googleName := k.Authenticators[apple].Name, k.Authenticators[google].Name
	windows := factstest.Browser("Windows", "11", "Chrome")
	known := func(id ident.CredentialID, aaguid string) account.Credential {
		c := credential(aaguid, true, "iOS", "internal", "hybrid")
		c.ID = id
		return c
	}
	apples, another, googles := known("cre-1", apple), known("cre-2", apple), known("cre-3", google)
	nameless := known("cre-4", "00000000-0000-0000-0000-000000000000")
	for name, tc := range map[string]struct {
		passkeys []account.Credential
		byPhone  []ident.CredentialID
		want     string
	}{
		"the passkey was used from a phone":        {[]account.Credential{apples}, []ident.CredentialID{"cre-1"}, appleName},
		"it never was":                             {[]account.Credential{apples}, nil, ""},
		"another one was":                          {[]account.Credential{apples, googles}, []ident.CredentialID{"cre-3"}, googleName},
		"two of one provider were":                 {[]account.Credential{apples, another}, []ident.CredentialID{"cre-1", "cre-2"}, appleName},
		"two of different providers were":          {[]account.Credential{apples, googles}, []ident.CredentialID{"cre-1", "cre-3"}, ""},
		"one was of which nobody knows what it is": {[]account.Credential{nameless}, []ident.CredentialID{"cre-4"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := k.Login(detect.Input{
				Question: question(windows, tc.passkeys...), Complete: true, Now: now, History: history.History{ByPhone: tc.byPhone},
			})
			if got := k.OtherDevice(&d); got != tc.want {
				t.Errorf("named %q, want %q", got, tc.want)
			}
		})
	}
}

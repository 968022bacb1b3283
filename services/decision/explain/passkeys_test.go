package explain_test

import (
	"testing"

	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

func TestAPasskeyIsPutIntoWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		found       detect.Reach
		kind, where string
	}{
		"synced to this device": {detect.Reach{Class: facts.ClassApple, Availability: detect.Likely}, "a passkey of Apple's", "expected here"},
		"of a password manager": {
			detect.Reach{Class: facts.ClassPasswordManager, Availability: detect.Uncertain}, "a passkey of a password manager",
			"may be here",
		},
		"known to be on a phone": {
			detect.Reach{Class: facts.ClassGoogle, Availability: detect.Remote, ByPhone: "high"}, "a passkey of Google's",
			"expected on a phone",
		},
		"perhaps on a phone": {
			detect.Reach{Class: facts.ClassUnknown, Availability: detect.Remote, ByPhone: "low"},
			"a passkey of an unknown provider", "may be on a phone",
		},
		"of another computer": {
			detect.Reach{Class: facts.ClassWindowsHello, Availability: detect.AvailabilityNot}, "a passkey of one Windows device",
			"out of reach from here",
		},
		"of another browser": {
			detect.Reach{Class: facts.ClassBrowserProfile, Availability: detect.AvailabilityNot},
			"a passkey of one browser profile", "out of reach from here",
		},
		"of a phone of Samsung's": {
			detect.Reach{Class: facts.ClassSamsung, Availability: detect.Likely}, "a passkey of Samsung's", "expected here",
		},
		"within an app of a phone": {
			detect.Reach{Class: facts.ClassPhoneBound, Availability: detect.Remote, ByPhone: "high"}, "a passkey of one phone",
			"expected on a phone",
		},
		"on a key": {
			detect.Reach{Class: facts.ClassSecurityKey, Availability: detect.SecurityKey}, "a security key",
			"wherever its owner carries it",
		},
	} {
		c.found.Credential, c.found.Authenticator, c.found.Why = "cre-1", "its name", "its reason"
		c.found.LocalReason, c.found.ByPhoneReason = "here", "there"
		want := explain.Passkey{
			Credential: "cre-1", Kind: c.kind, Provider: "its name", Where: c.where, Why: "its reason", Reasons: "here; by phone: there",
		}
		if got := explain.InWords(c.found); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

package explain

import (
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/internal/causes"
	"github.com/keyward/keyward/services/decision/internal/detect"
)

// Passkey says of one passkey of the account what holds it and whether it can be used, in words for whoever asks why it was offered or not.
type Passkey struct {
	Credential ident.CredentialID
	Kind       string // of what holds it: "a passkey of Apple's"
	Provider   string // the name of what holds it; empty = not known
	Where      string // it is expected
	Why        string // it can or cannot be used from the client
	Reasons    string // the same in the words of the reference
}

// InWords puts into words what was found of a passkey.
func InWords(found detect.Reach) Passkey {
	return Passkey{
		Credential: found.Credential, Kind: causes.ClassWords(found.Class), Provider: found.Authenticator, Where: where(&found), Why: found.Why,
		Reasons: found.Reasons(),
	}
}

// Held says what holds the passkey, with its name if that is known.
func (p Passkey) Held() string {
	if p.Provider == "" {
		return p.Kind
	}
	return p.Kind + " (" + p.Provider + ")"
}

const phoneHigh = "high" // detect.Reach.ByPhone of what is known to be on a phone

func where(found *detect.Reach) string {
	switch found.Availability {
	case detect.Likely:
		return "expected here"
	case detect.Uncertain:
		return "may be here"
	case detect.SecurityKey:
		return "wherever its owner carries it"
	case detect.Remote:
		if found.ByPhone == phoneHigh {
			return "expected on a phone"
		}
		return "may be on a phone"
	default:
		return "out of reach from here"
	}
}

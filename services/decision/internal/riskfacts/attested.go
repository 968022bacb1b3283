package riskfacts

import (
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Standing says what has become of the model of a passkey's authenticator, as of now.
type Standing func(*account.Credential) metadata.Standing

// unattested is what most passkeys are. It is never changed.
var unattested = facts.Attested{By: account.TrustNone, Status: metadata.Unknown}

// attested is what the authenticator of a passkey said of itself, and what has become of its model.
func attested(in *Input, c *account.Credential) *facts.Attested {
	is := metadata.Standing{Status: metadata.Unknown}
	if in.Standing != nil {
		is = in.Standing(c)
	}
	if c.Attestation == nil && is.Status == metadata.Unknown {
		return &unattested
	}
	return &facts.Attested{By: c.Attested(), Status: is.Status, Level: is.Level}
}

// assurance returns the level that a passkey can support (NIST SP 800-63B-4 Appendix B). It is an aid, and no certificate: what can leave
// its device is none of level 3, and a device is what it says if its maker vouches for that.
func assurance(i *facts.Item) int {
	const one, two, three = 1, 2, 3
	switch {
	case !i.UV:
		return one
	case i.Backup != facts.DeviceBound || i.By != account.TrustVerified || i.Status != metadata.OK:
		return two
	default:
		return three
	}
}

// format returns that of what the authenticator said of itself.
func format(c *account.Credential) string {
	if c.Attestation == nil {
		return string(account.TrustNone)
	}
	return c.Attestation.Format
}

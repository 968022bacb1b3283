package detect

import (
	"strings"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

// Reach says of one passkey what holds it, and why it can or cannot be used from a client.
type Reach struct {
	Credential    ident.CredentialID `json:"credentialID"`
	Class         facts.Class        `json:"class"`
	Authenticator string             `json:"authenticator,omitempty"` // the name of it, if it is known
	Availability  Availability       `json:"availability"`
	Local         string             `json:"local"`         // what this client may hold: likely, uncertain or none
	LocalReason   string             `json:"localReason"`   // in the words of the reference: manager-absent
	ByPhone       string             `json:"byPhone"`       // what a phone may hold: high, low or none
	ByPhoneReason string             `json:"byPhoneReason"` // in the words of the reference: no-hybrid-transport
	// What keeps the way to a phone closed, all of it, where a phone may hold the passkey; empty = it is open.
	Shut []Shut `json:"shut,omitempty"`
	Why  string `json:"why"`
	// What failed on the ways to it from this client, in words; empty = nothing, or it was not looked for.
	History []string `json:"history,omitempty"`
}

// Reasons are those of both ways in a line: "manager-absent; by phone: no-hybrid-transport".
func (r *Reach) Reasons() string {
	said := r.LocalReason
	if r.ByPhoneReason != r.LocalReason {
		said += "; by phone: " + r.ByPhoneReason
	}
	for i, shut := range r.Shut {
		if i == 0 {
			said += ", shut: " + string(shut)
			continue
		}
		said += ", " + string(shut)
	}
	return said
}

// Reaches returns what was found of each passkey, in the account's order.
func (d *Detection) Reaches(k *Knowledge) []Reach {
	all := make([]Reach, 0, len(d.passkeys))
	for i := range d.passkeys {
		p := &d.passkeys[i]
		all = append(all, Reach{
			Credential: p.ID, Class: p.class, Authenticator: k.Authenticators[p.AAGUID].Name, Availability: p.availability,
			Local: p.local.value, LocalReason: p.local.why, ByPhone: p.byPhone.value, ByPhoneReason: p.byPhone.why,
		})
		r := &all[i]
		r.Shut = d.shut(p, &k.Parameters.MinimumVersions)
		r.Why = d.why(p, r.Shut)
	}
	return all
}

func (d *Detection) why(p *passkey, shut []Shut) string {
	switch p.availability {
	case SecurityKey:
		return "whoever carries the key can use it anywhere"
	case Likely, Uncertain:
		return d.sayLocal(p.local.why)
	case Remote:
		way := "this client can use it from there"
		if len(shut) > 0 {
			way = "the way to a phone is closed: " + sayShut(shut)
		}
		return d.sayLocal(p.local.why) + "; " + sayByPhone(p.byPhone.why) + ", and " + way
	default:
		return d.sayLocal(p.local.why) + "; " + sayByPhone(p.byPhone.why)
	}
}

// system names the client's operating system.
func (d *Detection) system() string {
	if d.Client.OSName == "" {
		return "the system, which is not known,"
	}
	return strings.TrimSpace(d.Client.OSName + " " + recognition.Dotted(d.Client.OSVersion))
}

// sayLocal puts into words why this client may or cannot hold a passkey.
func (d *Detection) sayLocal(why string) string {
	switch why {
	case "synced-here":
		return d.system() + " syncs passkeys of its kind"
	case "worked-here":
		return "it was created or used here recently"
	case "said-to-exist-here":
		return "the client said that it holds one of the account's"
	case "embedded-webview":
		return "it would be here, but the client is a web view within an app"
	case "manager-seen":
		return "the client has a password manager"
	case "manager-unknown":
		return "the client may have the password manager"
	case "manager-absent":
		return "the client has no password manager"
	case "no-such-product":
		return "there is no such password manager for " + d.system()
	case "provider-unknown":
		return "what holds it is not known, and may be here"
	case "third-party-provider":
		return "the client serves it where the user is signed in to the provider"
	case "same-machine-unknown":
		return "it stays on one device or in one browser, which this one may be"
	case "system-unknown":
		return "nothing is known of the system"
	case "brand-unknown":
		return "the device may be one of Samsung's"
	case "other-brand":
		return "the device is not one of Samsung's"
	case "other-browser":
		return "it is in another browser"
	case "browser-too-old":
		return "the browser is too old for passkeys of its kind"
	case "os-too-old":
		return d.system() + " is too old for passkeys of its kind"
	case "no-play-services":
		return "the device has no Google Play services"
	case "no-local-authenticator":
		return "the client has no authenticator of its own that verifies the user"
	case "device-class":
		return "devices of the class " + string(d.Client.Device) + " hold no passkeys"
	default:
		return d.system() + " has no passkeys of its kind"
	}
}

// sayByPhone puts into words why a phone may or cannot hold a passkey.
func sayByPhone(why string) string {
	switch why {
	case usedByPhone:
		return "a phone has finished a login with it"
	case "made-by-phone":
		return "it was made by QR code, with a phone"
	case "made-on-phone":
		return "it was made on a phone"
	case "used-on-phone":
		return "it was used on a phone"
	case "lives-on-phones":
		return "passkeys of its kind are on phones"
	case "synced-no-phone-seen":
		return "it syncs, but has not been seen on a phone"
	case "no-hybrid-transport":
		return "its authenticator serves no other device"
	default:
		return "it is never on a phone"
	}
}

package project

import (
	"slices"

	"github.com/keyward/keyward/core/fault"
)

// Conveyance says how much of an authenticator's attestation a project asks for (W3C WebAuthn §5.4.7).
type Conveyance string

// The conveyances. Empty is ConveyNone.
const (
	ConveyNone       Conveyance = "none"
	ConveyIndirect   Conveyance = "indirect"
	ConveyDirect     Conveyance = "direct"
	ConveyEnterprise Conveyance = "enterprise" // names the very device; browsers answer it for RP IDs that their operator lists
)

// What becomes of a passkey whose attestation nobody vouches for. Empty is KeepUnverified.
const (
	KeepUnverified   = "keep"
	RefuseUnverified = "refuse"
)

// Formats are the formats of attestation that a project may ask for (W3C WebAuthn §8).
func Formats() []string { return []string{"packed", "tpm", "android-key", "apple", "fido-u2f"} }

// Attestation says what a project wants to know of the authenticators that its passkeys are made with. The zero value is nothing.
type Attestation struct {
	Conveyance Conveyance `json:"conveyance,omitempty"`
	Formats    []string   `json:"formats,omitempty"` // the preferred one first; empty = any
	Unverified string     `json:"unverified,omitempty"`
}

// Asked reports whether attestation is asked for.
func (a Attestation) Asked() bool { return a.Conveyance != "" && a.Conveyance != ConveyNone }

// Refuses reports whether no passkey is to be made whose attestation nobody vouches for.
func (a Attestation) Refuses() bool { return a.Asked() && a.Unverified == RefuseUnverified }

// Check reports every field at fault, as a fault, and returns what it means: what goes without saying is left out.
func (a Attestation) Check() (Attestation, error) {
	var wrong []fault.FieldError
	complain := func(bad bool, field, message string) {
		if bad {
			wrong = append(wrong, fault.FieldError{Field: field, Message: message})
		}
	}
	known := []Conveyance{"", ConveyNone, ConveyIndirect, ConveyDirect, ConveyEnterprise}
	complain(!slices.Contains(known, a.Conveyance), "conveyance", "must be none, indirect, direct or enterprise")
	for _, format := range a.Formats {
		complain(!slices.Contains(Formats(), format), "formats", format+": must be of packed, tpm, android-key, apple, fido-u2f")
	}
	complain(len(a.Formats) > len(Formats()), "formats", "must name each at most once")
	complain(!slices.Contains([]string{"", KeepUnverified, RefuseUnverified}, a.Unverified), "unverified", "must be keep or refuse")
	const needs = "a conveyance other than none: without one nothing is attested"
	complain(!a.Asked() && a.Unverified == RefuseUnverified, "unverified", "refuse needs "+needs)
	complain(!a.Asked() && len(a.Formats) > 0, "formats", "need "+needs)
	if len(wrong) > 0 {
		return Attestation{}, fault.Fields(wrong...)
	}
	if a.Unverified == KeepUnverified {
		a.Unverified = ""
	}
	if !a.Asked() {
		a = Attestation{}
	}
	return a, nil
}

package project

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/origin"
)

// Frontend is how a project meets browsers and apps. The zero value works: users sign up with an email address, which is verified, or a
// user name.
type Frontend struct {
	// Hosts are the host names that frontends reach the project at, beside its CNAME: names, or *.name for all that are one label longer.
	Hosts []string `json:"hosts,omitempty"`
	// Identifiers are what users sign up with, in the order in which forms ask for them; empty = DefaultIdentifiers.
	Identifiers []IdentifierRule `json:"identifiers,omitempty"`
	// FullName says whether users tell their full name when they sign up.
	FullName bool `json:"fullName,omitempty"`
	// NoSignUp closes sign-up: users are created over the Backend API alone.
	NoSignUp bool `json:"noSignUp,omitempty"`
	// RefreshTokenInBody gives refresh tokens to scripts, for frontends on another site than Keyward, whose cookies browsers withhold.
	// Otherwise they are in a cookie that scripts cannot read.
	RefreshTokenInBody bool `json:"refreshTokenInBody,omitempty"`
	// RefreshTokenFixed lets a refresh token be used again and again, for SDKs that do not take the next one from a body. One that is stolen
	// then goes unnoticed.
	RefreshTokenFixed bool `json:"refreshTokenFixed,omitempty"`
	// ReauthAge is how old, in seconds, the login may be of somebody who adds a passkey or takes one, an identifier or the account away; 0 =
	// of any age.
	ReauthAge int `json:"reauthAge,omitempty"`
	// NoAudience leaves the audience out of tokens, for verifiers that refuse one that they were not told of. Services of such a project have
	// its keys alone to tell its tokens by.
	NoAudience bool `json:"noAudience,omitempty"`
	// SameSite is of the cookies: lax, strict or none; empty = lax.
	SameSite string `json:"sameSite,omitempty"`
	// TellUnknownUsers lets Connect frontends tell that an identifier is unknown. Otherwise they learn no more than that there is no passkey
	// login.
	TellUnknownUsers bool `json:"tellUnknownUsers,omitempty"`
	// NamedToOthers tells who picks one of the project's passkeys at another project of the same RP ID where it belongs, by the project's
	// name. Otherwise it is a passkey that nobody knows.
	NamedToOthers bool `json:"namedToOthers,omitempty"`
	// AppleApps are the application identifiers, <team>.<bundle>, that share the project's passkeys.
	AppleApps []string `json:"appleApps,omitempty"`
	// AndroidApps share the project's passkeys.
	AndroidApps []AndroidApp `json:"androidApps,omitempty"`
	// EnrollURL and ManageURL are pages where users create and manage passkeys (W3C Passkey Endpoints).
	EnrollURL string `json:"enrollURL,omitempty"`
	ManageURL string `json:"manageURL,omitempty"`
}

// IdentifierRule is one thing that users are known by.
type IdentifierRule struct {
	Type     account.IdentifierType `json:"type"`
	Required bool                   `json:"required,omitempty"`
	// Verify says when an email address or a phone number has to be verified: never, before a sign-up's user is there, or after the user has
	// created a passkey, which waits for it.
	Verify Verification `json:"verify,omitempty"`
	// Link verifies an email address by a link instead of a code.
	Link bool `json:"link,omitempty"`
}

// Verification says when an identifier has to be verified.
type Verification string

// The moments at which an identifier is verified.
const (
	VerifyNever        Verification = ""
	VerifySignUp       Verification = "sign-up"
	VerifyAfterPasskey Verification = "after-passkey"
)

// AndroidApp is an app and the SHA-256 fingerprints of the certificates that it is signed with, as AB:CD:....
type AndroidApp struct {
	Package      string   `json:"package"`
	Fingerprints []string `json:"fingerprints"`
}

// DefaultIdentifiers returns what users sign up with unless the project says otherwise. An address is verified: otherwise somebody could
// sign up with that of another person, create a passkey, and wait for them to come.
func DefaultIdentifiers() []IdentifierRule {
	return []IdentifierRule{{Type: account.IdentifierTypeEmail, Verify: VerifySignUp}, {Type: account.IdentifierTypeUsername}}
}

// IdentifierRules returns what users of the project sign up with.
func (f Frontend) IdentifierRules() []IdentifierRule {
	if len(f.Identifiers) == 0 {
		return DefaultIdentifiers()
	}
	return f.Identifiers
}

// Rule returns the rule of a type, and whether there is one.
func (f Frontend) Rule(kind account.IdentifierType) (IdentifierRule, bool) {
	rules := f.IdentifierRules()
	i := slices.IndexFunc(rules, func(r IdentifierRule) bool { return r.Type == kind })
	if i < 0 {
		return IdentifierRule{}, false
	}
	return rules[i], true
}

// Bounds of a frontend's configuration.
const (
	maxHosts        = 100
	minReauthAge    = 60    // seconds: less is over before somebody who has logged in finds the button
	maxReauthAge    = 86400 // seconds
	maxApps         = 100
	maxFingerprints = 20
	maxAppText      = 255  // bytes
	maxPageURL      = 2048 // bytes
)

var (
	appleApp       = regexp.MustCompile(`^[A-Z0-9]{10}\.[A-Za-z0-9.-]{1,200}$`)
	androidPackage = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$`)
	fingerprint    = regexp.MustCompile(`^[0-9A-F]{2}(:[0-9A-F]{2}){31}$`)
)

// Check reports every field at fault, as a fault, and returns the frontend with its host names in lower case.
func (f Frontend) Check() (Frontend, error) {
	var wrong []fault.FieldError
	complain := func(bad bool, field, message string) {
		if bad {
			wrong = append(wrong, fault.FieldError{Field: field, Message: message})
		}
	}
	f.Hosts = slices.Clone(f.Hosts)
	complain(len(f.Hosts) > maxHosts, "hosts", "must be at most 100")
	for i, host := range f.Hosts {
		f.Hosts[i] = strings.ToLower(host)
		if err := origin.CheckPattern(f.Hosts[i]); err != nil {
			complain(true, "hosts", host+": "+err.Error())
		}
	}
	complain(
		!f.identifiersFit(), "identifiers",
		"must name email, phone and username at most once each, and verify sign-up or after-passkey what is no user name",
	)
	complain(!slices.Contains([]string{"", "lax", "strict", "none"}, f.SameSite), "sameSite", "must be lax, strict or none")
	complain(len(f.AppleApps) > maxApps || slices.ContainsFunc(f.AppleApps, func(app string) bool { return !appleApp.MatchString(app) }),
		"appleApps", "each must be of the form <team ID>.<bundle ID>")
	complain(len(f.AndroidApps) > maxApps || slices.ContainsFunc(f.AndroidApps, func(app AndroidApp) bool { return !app.fits() }),
		"androidApps", "each must have a package and SHA-256 fingerprints in the form AB:CD:...")
	complain(
		f.ReauthAge != 0 && (f.ReauthAge < minReauthAge || f.ReauthAge > maxReauthAge), "reauthAge", "must be 60 to 86400 seconds, or 0 for off",
	)
	for field, text := range map[string]string{"enrollURL": f.EnrollURL, "manageURL": f.ManageURL} {
		if err := checkPage(text); err != nil {
			complain(true, field, err.Error())
		}
	}
	if len(wrong) > 0 {
		return Frontend{}, fault.Fields(wrong...)
	}
	return f, nil
}

func (f Frontend) identifiersFit() bool {
	seen := map[account.IdentifierType]bool{}
	for _, rule := range f.Identifiers {
		verified := rule.Verify != VerifyNever || rule.Link
		switch {
		case !rule.Type.Valid(), seen[rule.Type],
			!slices.Contains([]Verification{VerifyNever, VerifySignUp, VerifyAfterPasskey}, rule.Verify),
			verified && rule.Type == account.IdentifierTypeUsername,
			rule.Link && rule.Type != account.IdentifierTypeEmail:
			return false
		}
		seen[rule.Type] = true
	}
	return true
}

// AppOrigins returns the origins at which the apps that share the project's passkeys create and use them: an app of Apple's at that of the
// RP ID, an app of Android's at one made of the fingerprint of its certificate.
func (p Project) AppOrigins() []string {
	var all []string
	if len(p.Frontend.AppleApps) > 0 {
		all = append(all, "https://"+p.RPID)
	}
	for _, app := range p.Frontend.AndroidApps {
		for _, print := range app.Fingerprints {
			if digest, err := hex.DecodeString(strings.ReplaceAll(print, ":", "")); err == nil {
				all = append(all, androidOrigin+base64.RawURLEncoding.EncodeToString(digest))
			}
		}
	}
	return all
}

// androidOrigin begins the origin of an Android app; its certificate's SHA-256 follows in base64url.
const androidOrigin = "android:apk-key-hash:"

func (a AndroidApp) fits() bool {
	return len(a.Package) <= maxAppText && androidPackage.MatchString(a.Package) && len(a.Fingerprints) > 0 &&
		len(a.Fingerprints) <= maxFingerprints &&
		!slices.ContainsFunc(a.Fingerprints, func(print string) bool { return !fingerprint.MatchString(print) })
}

func checkPage(text string) error {
	if text == "" {
		return nil
	}
	if len(text) > maxPageURL {
		return fmt.Errorf("must be at most %d bytes long", maxPageURL)
	}
	return origin.CheckURL(text, origin.Parts{Query: true, Fragment: true})
}

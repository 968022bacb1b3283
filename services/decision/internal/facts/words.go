package facts

import (
	"slices"

	"github.com/keyward/keyward/services/decision/internal/vocabulary"
)

// Other is what callers and clients name that no table has.
const Other = "other"

// Class is the kind of thing that holds a passkey.
type Class string

// The classes.
const (
	ClassSecurityKey     Class = "security-key"
	ClassApple           Class = "apple"
	ClassGoogle          Class = "google"
	ClassWindowsHello    Class = "windows-hello"
	ClassBrowserProfile  Class = "browser-profile"
	ClassSamsung         Class = "samsung"
	ClassPasswordManager Class = "password-manager"
	ClassPhoneBound      Class = "phone-bound" // authenticators within apps of phones, whose passkeys stay there
	ClassUnknown         Class = "unknown-provider"
)

var classes = [...]Class{
	ClassSecurityKey, ClassApple, ClassGoogle, ClassWindowsHello, ClassBrowserProfile, ClassSamsung, ClassPasswordManager, ClassPhoneBound,
	ClassUnknown,
}

// Known reports whether c is one of the classes.
func (c Class) Known() bool { return slices.Contains(classes[:], c) }

// KnownClasses returns the names of all classes, for complaints.
func KnownClasses() string { return vocabulary.Listed(classes[:]) }

// Listing says why an environment is barred.
type Listing string

// The reasons, in order of precedence. Which of them are hard is a parameter.
const (
	ListedNot               Listing = "none"
	ListedWebdriver         Listing = "webdriver"
	ListedBot               Listing = "bot"
	ListedAddress           Listing = "address"
	ListedEnvironment       Listing = "environment"
	ListedApplication       Listing = "application"
	ListedOperatingSystem   Listing = "operating-system"
	ListedBrowser           Listing = "browser"
	ListedEmbeddedWebview   Listing = "embedded-webview"
	ListedRestrictedBrowser Listing = "restricted-browser"
)

package reading

import "github.com/keyward/keyward/core/event"

// IsRoute reports whether a text is a route of logins; empty in answers that offer nothing, as below.
func IsRoute(text string) bool {
	switch event.Route(text) {
	case "", event.Local, event.CDA, event.SecurityKey:
		return true
	}
	return false
}

// IsKind reports whether a text is a kind of offer.
func IsKind(text string) bool {
	switch event.Kind(text) {
	case "", event.KindDefault, event.KindAfterError, event.KindAfterHybrid, event.KindAuto, event.KindConditionalCreate:
		return true
	}
	return false
}

// IsAttachment reports whether a text is an attachment of authenticators.
func IsAttachment(text string) bool {
	return text == "" || text == "platform" || text == "cross-platform"
}

// IsVerification reports whether a text is a requirement of user verification.
func IsVerification(text string) bool {
	return text == "" || text == "required" || text == "preferred" || text == "discouraged"
}

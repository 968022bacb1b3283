// Package vocabulary holds the terms of policies for the words that facts usually consist of, so that an input is made without making them
// anew. It promises that a term is what ast.StringTerm would make of the word. It is pure; terms are shared and do not change.
package vocabulary

import "github.com/open-policy-agent/opa/v1/ast"

// Term returns the term of a text.
func Term(word string) *ast.Term {
	if known, ok := words[word]; ok {
		return known
	}
	return ast.StringTerm(word)
}

// words are the terms of the keys and of the usual values, made once. Terms do not change, so they may be shared.
var words = made(
	"account", "afterError", "afterHybrid", "appendAfterError", "appendAfterHybrid", "auto", "blacklist", "ble", "browser", "cda",
	"cdaStreak", "client", "complete", "conditionalCreate", "conditionalGet", "cooldown", "createdHere", "credentialClass",
	"credentials", "declines", "default", "desktop", "environment", "existsHere", "failedLocal", "flags", "force", "hybrid",
	"immediateGet", "inApp", "known", "lastFailedRoute", "lastRoute", "likely", "listed", "localStreak", "login", "loginMethod",
	"missingEvidence", "mobile", "native", "noCredentials", "nudges", "os", "osVersion", "outcome", "pair", "positive",
	"positiveSecurityKey", "privateMode", "process", "rejected", "remote", "remoteHigh", "remoteLow", "route", "securityKey",
	"optOutAfterHybrid", "securityKeyOnly", "securityKeyStreak", "shownLately", "situation", "spaced", "spent", "source",
	"one-tap", "text-field", "strategy", "support", "total", "uncertain", "uvpa", "webauthn", "webdriver",
	"active", "pending", "disabled", "unknown", "standard", "minimize", "maximize", "windows", "macos", "ios", "android", "chromeos",
	"linux", "chrome", "safari", "edge", "firefox", "on", "off", "yes", "no", "none", "restricted-browser", "local", "security-key",
	"", "sk", "incomplete", "not-offered", "rollout", "action", "identifier", "invitation", "browserVersion", "samples", "append",
	"manage", "listed", "unlisted", "device", "embedded", "lost", "evidenceHere", "doubts", "wrongCodes",
	"countersRegressed", "backupsChanged", "firstWin", "secondWin", "thirdWin", "phone", "tablet", "tv", "other", "post-login",
	"sign-up", "mfa", "in-app", "passkey-list", "current-user", "experiments", "device-local-platform-passkey", "treatment", "control",
)

func made(list ...string) map[string]*ast.Term {
	terms := make(map[string]*ast.Term, len(list))
	for _, word := range list {
		terms[word] = ast.StringTerm(word)
	}
	return terms
}

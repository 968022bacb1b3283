// Package ident makes and checks the identifiers of the wire contract. It does no I/O but reads the random source it is given.
//
// Every ID is a prefix and a number of at most 19 digits, of a decision 25. The grammar holds no '.', '*', '>' or space, so a checked ID is
// safe as a NATS subject token, a key-value key and part of a Redis key.
package ident

import (
	cryptorand "crypto/rand"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// The kinds of ID. Each has a type of its own, so that one cannot be passed for another.
type (
	// ProjectID is pro-<number>.
	ProjectID string
	// UserID is usr-<number>.
	UserID string
	// CredentialID is the row ID of a credential, cre-<number>; the WebAuthn credential ID is a different thing.
	CredentialID string
	// EventID is pke-<number>.
	EventID string
	// ChallengeID is was-<number>.
	ChallengeID string
	// EnvironmentID is env-<number>: one browser profile or app installation.
	EnvironmentID string
	// DecisionID is dec-<number>: the Unix time in milliseconds, 13 digits, and 12 random digits. IDs sort by time, so that a decision is
	// found by its ID alone.
	DecisionID string
	// IdentifierID is ide-<number>.
	IdentifierID string
	// SocialAccountID is soc-<number>.
	SocialAccountID string
	// CodeID is cha-<number>: a one-time code or link sent to an identifier. The API calls it a challenge; ChallengeID is that of a passkey
	// ceremony.
	CodeID string
	// ConnectTokenID is ctk-<number>.
	ConnectTokenID string
	// WebhookID is whe-<number>: an endpoint that events are delivered to.
	WebhookID string
	// KeyID is pki-<number>: a key that tokens are signed with.
	KeyID string
	// SessionID is 30 letters and digits, without a prefix.
	SessionID string
	// AuditID is aud-<number>: a security event.
	AuditID string
	// StepUpID is stu-<number>: a further proof that an answer waits for.
	StepUpID string
	// OperatorID is opr-<number>: who runs the installation or writes its policy.
	OperatorID string
	// RequestID is req-<number>, or what the caller sent as X-Request-ID.
	RequestID string
)

// Prefixes, without the number.
const (
	projectPrefix     = "pro-"
	userPrefix        = "usr-"
	credentialPrefix  = "cre-"
	eventPrefix       = "pke-"
	challengePrefix   = "was-"
	environmentPrefix = "env-"
	decisionPrefix    = "dec-"
	requestPrefix     = "req-"
	identifierPrefix  = "ide-"
	socialPrefix      = "soc-"
	codePrefix        = "cha-"
	tokenPrefix       = "ctk-"
	webhookPrefix     = "whe-"
	keyPrefix         = "pki-"
	auditPrefix       = "aud-"
	stepUpPrefix      = "stu-"
	operatorPrefix    = "opr-"
)

// NewProjectID returns a random project ID.
func NewProjectID() ProjectID { return ProjectID(random(projectPrefix)) }

// NewUserID returns a random user ID.
func NewUserID() UserID { return UserID(random(userPrefix)) }

// NewCredentialID returns a random credential row ID.
func NewCredentialID() CredentialID { return CredentialID(random(credentialPrefix)) }

// NewEventID returns a random passkey event ID.
func NewEventID() EventID { return EventID(random(eventPrefix)) }

// NewChallengeID returns a random challenge ID.
func NewChallengeID() ChallengeID { return ChallengeID(random(challengePrefix)) }

// NewEnvironmentID returns a random client environment ID.
func NewEnvironmentID() EnvironmentID { return EnvironmentID(random(environmentPrefix)) }

// NewIdentifierID returns a random identifier ID.
func NewIdentifierID() IdentifierID { return IdentifierID(random(identifierPrefix)) }

// NewCodeID returns a random ID of a one-time code.
func NewCodeID() CodeID { return CodeID(random(codePrefix)) }

// NewWebhookID returns a random webhook endpoint ID.
func NewWebhookID() WebhookID { return WebhookID(random(webhookPrefix)) }

// NewKeyID returns a random signing key ID.
func NewKeyID() KeyID { return KeyID(random(keyPrefix)) }

// NewAuditID returns a random ID of a security event.
func NewAuditID() AuditID { return AuditID(random(auditPrefix)) }

// NewOperatorID returns a random operator ID.
func NewOperatorID() OperatorID { return OperatorID(random(operatorPrefix)) }

const (
	sessionLength = 30
	alphanumeric  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	evenBytes     = 256 - 256%len(alphanumeric) // bytes from here on would favour the first letters
)

// Alphanumeric returns n random letters and digits, each worth 5.9 bits.
func Alphanumeric(n int) string {
	out := make([]byte, 0, n)
	var raw [64]byte
	for {
		cryptorand.Read(raw[:])
		for _, b := range raw {
			if len(out) == n {
				return string(out)
			}
			if int(b) < evenBytes {
				out = append(out, alphanumeric[int(b)%len(alphanumeric)])
			}
		}
	}
}

// ParseSessionID returns s as a session ID, or an error that says what form is wanted.
func ParseSessionID(s string) (SessionID, error) {
	if len(s) != sessionLength {
		return "", fmt.Errorf("must be %d letters and digits", sessionLength)
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return "", fmt.Errorf("must be %d letters and digits", sessionLength)
		}
	}
	return SessionID(s), nil
}

// NewDecisionID returns an ID for a decision made at the given time. Two of one millisecond are the same once in 10^12.
func NewDecisionID(now time.Time) DecisionID {
	var id [len(decisionPrefix) + timeDigits + randomDigits]byte
	copy(id[:], decisionPrefix)
	decimal(id[len(decisionPrefix):len(decisionPrefix)+timeDigits], uint64(max(now.UnixMilli(), 0)))
	// Not a secret: who can guess an ID learns nothing by it.
	decimal(id[len(decisionPrefix)+timeDigits:], rand.Uint64()) //nolint:gosec // see above
	return DecisionID(id[:])
}

// Time returns when the decision was made, to the millisecond; false if the ID does not tell.
func (d DecisionID) Time() (time.Time, bool) {
	if _, err := ParseDecisionID(string(d)); err != nil || len(d) != len(decisionPrefix)+timeDigits+randomDigits {
		return time.Time{}, false
	}
	ms, err := strconv.ParseInt(string(d[len(decisionPrefix):len(decisionPrefix)+timeDigits]), 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	return time.UnixMilli(ms).UTC(), true
}

// Parts returns the two numbers that the ID is made of: the Unix time in milliseconds, and what tells it from others of that time; false if
// it is of another form.
func (d DecisionID) Parts() (ms, rest uint64, ok bool) {
	if _, told := d.Time(); !told {
		return 0, 0, false
	}
	digits := string(d[len(decisionPrefix):])
	ms, err := strconv.ParseUint(digits[:timeDigits], 10, 64)
	if err != nil {
		return 0, 0, false
	}
	rest, err = strconv.ParseUint(digits[timeDigits:], 10, 64)
	return ms, rest, err == nil
}

// DecisionOf returns the ID that is made of these two numbers.
func DecisionOf(ms, rest uint64) DecisionID {
	var id [len(decisionPrefix) + timeDigits + randomDigits]byte
	copy(id[:], decisionPrefix)
	decimal(id[len(decisionPrefix):len(decisionPrefix)+timeDigits], ms)
	decimal(id[len(decisionPrefix)+timeDigits:], rest)
	return DecisionID(id[:])
}

// decimal writes the last digits of n.
func decimal(into []byte, n uint64) {
	for i := len(into) - 1; i >= 0; i-- {
		into[i] = byte('0' + n%10)
		n /= 10
	}
}

// NewRequestID returns a random request ID.
func NewRequestID() RequestID { return RequestID(random(requestPrefix)) }

// ParseProjectID returns s as a project ID, or an error that says what form is wanted.
func ParseProjectID(s string) (ProjectID, error) { return parse[ProjectID](projectPrefix, s) }

// ParseUserID returns s as a user ID, or an error that says what form is wanted.
func ParseUserID(s string) (UserID, error) { return parse[UserID](userPrefix, s) }

// ParseCredentialID returns s as a credential row ID, or an error that says what form is wanted.
func ParseCredentialID(s string) (CredentialID, error) {
	return parse[CredentialID](credentialPrefix, s)
}

// ParseEventID returns s as a passkey event ID, or an error that says what form is wanted.
func ParseEventID(s string) (EventID, error) { return parse[EventID](eventPrefix, s) }

// ParseChallengeID returns s as a challenge ID, or an error that says what form is wanted.
func ParseChallengeID(s string) (ChallengeID, error) { return parse[ChallengeID](challengePrefix, s) }

// Check returns an error that says what form is wanted if s is not the prefix and a number of at most 19 digits.
func Check(prefix, s string) error {
	_, err := parse[string](prefix, s)
	return err
}

// ParseCodeID returns s as the ID of a one-time code, or an error that says what form is wanted.
func ParseCodeID(s string) (CodeID, error) { return parse[CodeID](codePrefix, s) }

// ParseWebhookID returns s as a webhook endpoint ID, or an error that says what form is wanted.
func ParseWebhookID(s string) (WebhookID, error) { return parse[WebhookID](webhookPrefix, s) }

// ParseOperatorID returns s as an operator ID, or an error that says what form is wanted.
func ParseOperatorID(s string) (OperatorID, error) { return parse[OperatorID](operatorPrefix, s) }

// ParseStepUpID returns s as the ID of a step-up, or an error that says what form is wanted.
func ParseStepUpID(s string) (StepUpID, error) { return parse[StepUpID](stepUpPrefix, s) }

// ParseDecisionID returns s as a decision ID, or an error that says what form is wanted.
func ParseDecisionID(s string) (DecisionID, error) {
	return parseUpTo[DecisionID](decisionPrefix, s, timeDigits+randomDigits)
}

// The digits of a decision ID.
const (
	timeDigits   = 13
	randomDigits = 12
)

// floor is the smallest number of 19 digits.
const floor = 1_000_000_000_000_000_000

// random draws 19 digits below 2^63. Numbers are not ordered by time: an ID tells nothing of when or where it was made, and two writers
// never need to agree.
func random(prefix string) string {
	var raw [8]byte
	for {
		cryptorand.Read(raw[:])
		if n := binary.BigEndian.Uint64(raw[:]) >> 1; n >= floor {
			const longest = 40 // bytes; the text is made at once, and not its number before
			var room [longest]byte
			return string(strconv.AppendUint(append(room[:0], prefix...), n, 10))
		}
	}
}

func parse[T ~string](prefix, s string) (T, error) {
	const maxDigits = 19
	return parseUpTo[T](prefix, s, maxDigits)
}

func parseUpTo[T ~string](prefix, s string, maxDigits int) (T, error) {
	digits := len(s) - len(prefix)
	if digits < 1 || digits > maxDigits || s[:len(prefix)] != prefix {
		return "", fmt.Errorf("must be of the form %s<number>", prefix)
	}
	for _, c := range []byte(s[len(prefix):]) {
		if c < '0' || c > '9' {
			return "", fmt.Errorf("must be of the form %s<number>", prefix)
		}
	}
	return T(s), nil
}

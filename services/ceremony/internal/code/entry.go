// Package code keeps one-time codes and links. Of a value only a keyed hash is kept, so that who reads the bucket cannot find a code by
// trying all there are. Store touches the key-value bucket "codes" and nothing else.
//
// An entry changes only under the revision it was read at, wrong attempts included: however many guess at once, no more than MaxWrong are
// told that they are wrong, and one that is right is told so once.
package code

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/services/ceremony/delivery"
)

// MaxWrong is how many wrong values end a challenge.
const MaxWrong = 5

// What is drawn.
const (
	digits      = 6
	tokenLength = 40 // letters and digits: 238 bits
	saltSize    = 16 // bytes
)

// The reasons why a value is not accepted, in the words of the API.
var (
	ErrUsed    = fault.Refuse("has been used already")
	ErrExpired = fault.Refuse("has expired")
	ErrWrong   = fault.Refuse("is wrong")
)

// ErrUnknown reports that there is no such challenge.
var ErrUnknown = fault.Refuse("does not exist")

// Ref names a challenge.
type Ref struct {
	Project ident.ProjectID
	User    ident.UserID
	ID      ident.CodeID
}

// Purpose is what a right value allows. A value for one purpose is none for another.
type Purpose string

// The purposes.
const (
	Verify   Purpose = ""                    // to verify the identifier
	Register Purpose = delivery.Registration // to register a passkey
)

// Entry is what is kept of a challenge. Times are Unix ms.
type Entry struct {
	Type       rest.ChallengeType `json:"type"`
	Purpose    Purpose            `json:"purpose,omitempty"`
	Identifier ident.IdentifierID `json:"identifier"`
	StepUp     ident.StepUpID     `json:"stepUp,omitempty"` // that a right value passes; empty = none
	Salt       []byte             `json:"salt"`
	Sum        []byte             `json:"sum"`
	KeyVersion int                `json:"keyVersion,omitempty"` // of the key that the sum was made with
	CreatedMs  int64              `json:"createdMs"`
	ExpiresMs  int64              `json:"expiresMs"`
	Wrong      int                `json:"wrong,omitempty"` // values that were
	Completed  bool               `json:"completed,omitempty"`

	// A right value whose effect is not stored yet is claimed, by one caller until a time: if that one crashes, the value can be given again
	// after it.
	ClaimedBy  string `json:"claimedBy,omitempty"`
	ClaimEndMs int64  `json:"claimEndMs,omitempty"`
}

// Draw returns a new value: six digits, each number as likely as any other, or the token of a link.
func Draw(t rest.ChallengeType) (string, error) {
	if t == rest.ChallengeTypeEmailLink {
		return Token(), nil
	}
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(digits), nil)
	n, err := rand.Int(rand.Reader, limit)
	if err != nil {
		return "", fmt.Errorf("draw a code: %w", err)
	}
	return fmt.Sprintf("%0*d", digits, n), nil
}

// Token returns a new token, of letters and digits.
func Token() string { return ident.Alphanumeric(tokenLength) }

// Seal makes the entry one of this value. key is a secret of the project that is kept elsewhere.
func (e *Entry) Seal(keys *keyring.Ring, ref Ref, value string) {
	key := keys.Newest(keyring.OneTimeCode)
	e.KeyVersion = key.Version
	e.Salt = make([]byte, saltSize)
	_, _ = rand.Read(e.Salt) // does not fail
	e.Sum = sum(key.Secret, ref, e.Salt, value)
}

// is returns nil for the right value, and ErrWrong for another, or for any if the key is no longer kept. Other errors say that it cannot be
// told.
func (e *Entry) is(ref Ref, a Attempt) error {
	key, err := a.Keys.Key(keyring.OneTimeCode, e.KeyVersion)
	if err != nil && !errors.Is(err, keyring.ErrVersion) {
		return fmt.Errorf("look for the key of a code: %w", err)
	}
	if err != nil || subtle.ConstantTimeCompare(e.Sum, sum(key, ref, e.Salt, a.Value)) != 1 {
		return ErrWrong
	}
	return nil
}

func sum(key []byte, ref Ref, salt []byte, value string) []byte {
	mac := hmac.New(sha256.New, key)
	// IDs hold no NUL, and the salt has one length: no two inputs look alike.
	fmt.Fprintf(mac, "keyward one-time code\x00%s\x00%s\x00%s\x00", ref.Project, ref.User, ref.ID)
	mac.Write(salt)
	mac.Write([]byte(value))
	return mac.Sum(nil)
}

// Status returns the status on the wire.
func (e *Entry) Status(now time.Time) rest.ChallengeStatus {
	switch {
	case e.Completed:
		return rest.ChallengeStatusCompleted
	case e.Wrong >= MaxWrong || now.UnixMilli() >= e.ExpiresMs:
		return rest.ChallengeStatusExpired
	}
	return rest.ChallengeStatusPending
}

// Attempt is a value that was given.
type Attempt struct {
	Purpose Purpose
	Keys    *keyring.Ring // as for Seal
	Value   string
	Now     time.Time
	By      string        // if set, a right value is only claimed, and Complete completes it
	Hold    time.Duration // how long the claim lasts
}

// Try judges an attempt and changes the entry accordingly, also when it returns one of the errors above. With another one it could not
// judge and has changed nothing.
func (e *Entry) Try(ref Ref, a Attempt) error {
	now := a.Now.UnixMilli()
	switch {
	case e.Purpose != a.Purpose:
		return ErrUnknown
	case e.Completed || now < e.ClaimEndMs:
		return ErrUsed
	case e.Status(a.Now) == rest.ChallengeStatusExpired:
		return ErrExpired
	}
	if err := e.is(ref, a); err != nil {
		if errors.Is(err, ErrWrong) {
			e.Wrong++
		}
		return err
	}
	switch a.By {
	case "":
		e.Completed = true
	default:
		e.ClaimedBy, e.ClaimEndMs = a.By, now+a.Hold.Milliseconds()
	}
	return nil
}

// Complete ends a claim, if it is still by this caller.
func (e *Entry) Complete(by string) error {
	if e.Completed || e.ClaimedBy != by {
		return ErrUsed
	}
	e.Completed, e.ClaimedBy, e.ClaimEndMs = true, "", 0
	return nil
}

// Release gives a claim up, if it is still by this caller: the value can be given again.
func (e *Entry) Release(by string) error {
	if !e.Completed && e.ClaimedBy == by {
		e.ClaimedBy, e.ClaimEndMs = "", 0
	}
	return nil
}

// Package webhook verifies what Keyward posts to an endpoint: deliveries signed with HMAC-SHA256 as Standard Webhooks describes
// (https://www.standardwebhooks.com). It reads a request and nothing else, and needs the standard library only.
//
// A delivery that Verify lets through was made by somebody who has one of the secrets, not longer ago or further ahead than the
// tolerance. It may come again, with the same webhook-id: whoever must not do a thing twice remembers the ID for longer than the tolerance.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of a delivery.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp" // of the attempt, Unix seconds
	HeaderSignature = "Webhook-Signature" // one or more, separated by spaces
)

// DefaultTolerance is how far the time of an attempt and the receiver's clock may be apart unless Options says otherwise.
const DefaultTolerance = 5 * time.Minute

// Why a delivery is refused. An error of Verify is one of them, for errors.Is.
var (
	// ErrIncomplete: a header that a signed delivery has is missing, or is no number where one must be.
	ErrIncomplete = errors.New("webhook: the delivery is not signed")
	// ErrTime: the time of the attempt is further away than the tolerance. It may be an old delivery that somebody plays again.
	ErrTime = errors.New("webhook: the time of the delivery is too far away")
	// ErrSignature: no signature is of one of the secrets over this body.
	ErrSignature = errors.New("webhook: the signature does not fit")
)

// ErrSecret is the error of New for what is no signing secret.
var ErrSecret = errors.New("webhook: a secret must be whsec_ and base64")

const (
	secretPrefix    = "whsec_"
	signaturePrefix = "v1,"
	maxSignatures   = 32 // a delivery has one for each secret of its endpoint; nobody has work made with more
)

// Options changes how a Verifier judges. The zero value is the default.
type Options struct {
	Tolerance time.Duration    // 0: DefaultTolerance
	Now       func() time.Time // nil: time.Now
}

// Verifier checks deliveries. It is safe for concurrent use.
type Verifier struct {
	keys      [][]byte
	tolerance time.Duration
	now       func() time.Time
}

// New returns a verifier for an endpoint's signing secrets, as the API showed them: while a secret is changed, the old one and the new one.
// The error is ErrSecret if there is none, or one is not of the form; it does not hold the secret.
func New(options Options, secrets ...string) (*Verifier, error) {
	v := &Verifier{tolerance: DefaultTolerance, now: time.Now}
	if options.Tolerance < 0 {
		return nil, fmt.Errorf("webhook: the tolerance is %s, below zero", options.Tolerance)
	}
	if options.Tolerance > 0 {
		v.tolerance = options.Tolerance
	}
	if options.Now != nil {
		v.now = options.Now
	}
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
		if err != nil || len(key) == 0 {
			return nil, ErrSecret
		}
		v.keys = append(v.keys, key)
	}
	if len(v.keys) == 0 {
		return nil, ErrSecret
	}
	return v, nil
}

// Verify reports whether a delivery is genuine: nil, or ErrIncomplete, ErrTime or ErrSignature. body is the request's body byte for byte as
// it came; one that was decoded and encoded again does not fit. How long the comparison takes tells nothing of the secrets.
func (v *Verifier) Verify(header http.Header, body []byte) error {
	id, stamp, signatures := header.Get(HeaderID), header.Get(HeaderTimestamp), header.Get(HeaderSignature)
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if id == "" || signatures == "" || err != nil {
		return ErrIncomplete
	}
	// Compared in seconds: a time.Time of any int64 would overflow, and so would a difference of two of them.
	now, tolerance := v.now().Unix(), int64(v.tolerance/time.Second)
	if seconds < now-tolerance || seconds > now+tolerance {
		return ErrTime
	}
	given := strings.Fields(signatures)
	if len(given) > maxSignatures {
		return ErrSignature
	}
	for _, key := range v.keys {
		want := sign(key, id, stamp, body)
		for _, signature := range given {
			encoded, ok := strings.CutPrefix(signature, signaturePrefix)
			if !ok {
				continue // another scheme
			}
			got, err := base64.StdEncoding.Strict().DecodeString(encoded)
			if err == nil && hmac.Equal(got, want) {
				return nil
			}
		}
	}
	return ErrSignature
}

func sign(key []byte, id, stamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s.", id, stamp)
	_, _ = mac.Write(body)
	return mac.Sum(nil)
}

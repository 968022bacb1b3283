// Package idempotency remembers how calls with an Idempotency-Key were answered, so that a repeat is answered alike and makes
// nothing twice. It touches the key-value bucket "idempotency" and nothing else.
//
// A record is written before the call is executed and completed after. In between it says that an attempt is under way, until
// when, and from which seed the call makes its IDs: if the process dies, a repeat after that time is executed from the same
// seed, and so finds what the first attempt left behind.
//
// What is stored cannot be read without the key, which is not stored: the name of the record, the fingerprint of the request
// and the seal of the answer are all derived from the key and a secret of the project (HKDF, RFC 5869). So an answer may hold a
// secret that is shown once.
package idempotency

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
)

// Header is the name of the request header, and of the field in faults.
const Header = "Idempotency-Key"

// Call is one request with a key.
type Call struct {
	Project ident.ProjectID
	// A secret of the project that is kept elsewhere than in the bucket: without it, a key that is easy to guess would open its record
	Salt         []byte
	Key          string // as sent; valid
	Method, Path string // with the query
	Body         []byte
}

// Answer is what is given again.
type Answer struct {
	Status int    `json:"status"` // HTTP
	Type   string `json:"type"`   // media type
	Body   []byte `json:"body"`
}

// Store keeps records. It is safe for concurrent use.
type Store struct {
	records kv.Bucket[record]
	hold    time.Duration
	now     func() time.Time
}

// NewStore returns a store on the bucket "idempotency", whose entries expire by themselves. hold is the longest that a call can be under
// way; a repeat within it is refused, unless the first attempt has ended.
func NewStore(bucket jetstream.KeyValue, hold time.Duration, now func() time.Time) *Store {
	return &Store{records: kv.Bucket[record]{KV: bucket, Name: Header}, hold: hold, now: now}
}

// record is what is stored.
type record struct {
	Fingerprint []byte     `json:"fingerprint"`       // of the request
	Seed        ident.Seed `json:"seed"`              // of every attempt
	UntilMs     int64      `json:"untilMs,omitempty"` // an attempt is under way until then at the latest; 0 = none is
	Sealed      []byte     `json:"sealed,omitempty"`  // the answer; nil = not yet
}

// Attempt is the right to execute a call. End it with Complete, Forget or Retry.
type Attempt struct {
	// Seed is what the call's IDs are to be made from.
	Seed ident.Seed

	store    *Store
	keys     keys
	record   record
	revision uint64
	resumed  bool // an earlier attempt ended without an answer
}

// retryAfter is how long a repeat is asked to wait for the first request.
const retryAfter = time.Second

// errAnswered says that the answer is known.
var errAnswered = errors.New("the call was answered")

// Begin returns either the answer that the call was given before, or the right to execute it. The faults are of
// Idempotency-Key, 422 if the key belongs to another request, and 409 with Retry-After if the first attempt is still under way; 503 if
// nothing could be read or stored.
func (s *Store) Begin(ctx context.Context, call Call) (*Attempt, *Answer, error) {
	k, err := derive(call)
	if err != nil {
		return nil, nil, fault.Internal(err)
	}
	fresh := record{Fingerprint: k.fingerprint(call), Seed: ident.NewSeed(), UntilMs: s.now().Add(s.hold).UnixMilli()}
	e, err := s.records.CreateOrChange(ctx, k.name, fresh, func(found *record) error {
		switch {
		case !hmac.Equal(found.Fingerprint, fresh.Fingerprint):
			return otherRequest()
		case found.Sealed != nil:
			return errAnswered
		case found.UntilMs > s.now().UnixMilli():
			return underWay()
		}
		found.UntilMs = fresh.UntilMs
		return nil
	})
	if errors.Is(err, errAnswered) {
		answer, err := k.open(e.Value.Sealed)
		return nil, answer, err
	}
	if err != nil {
		return nil, nil, err
	}
	resumed := e.Value.Seed != fresh.Seed
	return &Attempt{Seed: e.Value.Seed, store: s, keys: k, record: e.Value, revision: e.Revision, resumed: resumed}, nil, nil
}

// Complete stores the answer, which every repeat gets from now on. An error leaves the call to be executed again, from the same
// seed, after the hold.
func (a *Attempt) Complete(ctx context.Context, answer Answer) error {
	sealed, err := a.keys.seal(answer)
	if err != nil {
		return fmt.Errorf("seal an answer: %w", err)
	}
	done := a.record
	done.UntilMs, done.Sealed = 0, sealed
	if _, err := a.store.records.Update(ctx, a.keys.name, done, a.revision); err != nil {
		return fmt.Errorf("store an answer: %w", err)
	}
	return nil
}

// Retry ends an attempt of which it is not known what it did: the next one may begin at once, from the same seed.
func (a *Attempt) Retry(ctx context.Context) error {
	open := a.record
	open.UntilMs = 0
	if _, err := a.store.records.Update(ctx, a.keys.name, open, a.revision); err != nil {
		return fmt.Errorf("end an attempt: %w", err)
	}
	return nil
}

// Forget ends an attempt that changed nothing: the key is free for any request. After an attempt of unknown outcome the key
// stays this request's, whose seed must not be lost.
func (a *Attempt) Forget(ctx context.Context) error {
	if a.resumed {
		return a.Retry(ctx)
	}
	if err := a.store.records.DeleteRevision(ctx, a.keys.name, a.revision); err != nil {
		return fmt.Errorf("free an idempotency key: %w", err)
	}
	return nil
}

// otherRequest is a mistake of the caller, which waiting does not heal (draft-ietf-httpapi-idempotency-key-header section 2.7).
func otherRequest() error {
	f := fault.Field(Header, "was used for another request")
	f.Status = http.StatusUnprocessableEntity
	return f
}

func underWay() error {
	f := fault.Conflict(Header, "the first request with it is still under way")
	f.RetryAfter = retryAfter
	return f
}

// keys are what a call's key is stretched to.
type keys struct {
	name string // of the record in the bucket
	mac  []byte // of fingerprints
	aead cipher.AEAD
}

const keyBytes = 32

func derive(call Call) (keys, error) {
	root, err := hkdf.Extract(sha256.New, []byte(call.Key), call.Salt)
	if err != nil {
		return keys{}, fmt.Errorf("derive keys: %w", err)
	}
	var parts [3][]byte
	for i, purpose := range []string{"name", "fingerprint", "seal"} {
		if parts[i], err = hkdf.Expand(sha256.New, root, "keyward idempotency "+purpose+" "+string(call.Project), keyBytes); err != nil {
			return keys{}, fmt.Errorf("derive keys: %w", err)
		}
	}
	block, err := aes.NewCipher(parts[2])
	if err != nil {
		return keys{}, fmt.Errorf("derive keys: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return keys{}, fmt.Errorf("derive keys: %w", err)
	}
	return keys{name: string(call.Project) + "." + hex.EncodeToString(parts[0]), mac: parts[1], aead: aead}, nil
}

// fingerprint tells requests apart. Lengths keep one part from running into the next.
func (k keys) fingerprint(call Call) []byte {
	mac := hmac.New(sha256.New, k.mac)
	for _, part := range [][]byte{[]byte(call.Method), []byte(call.Path), call.Body} {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write(part)
	}
	return mac.Sum(nil)
}

func (k keys) seal(answer Answer) ([]byte, error) {
	raw, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return k.aead.Seal(nil, nil, raw, []byte(k.name)), nil //nolint:gosec // the AEAD draws its nonce itself
}

func (k keys) open(sealed []byte) (*Answer, error) {
	raw, err := k.aead.Open(nil, nil, sealed, []byte(k.name))
	if err != nil {
		return nil, fault.Internal(fmt.Errorf("open a stored answer: %w", err))
	}
	answer := new(Answer)
	if err := json.Unmarshal(raw, answer); err != nil {
		return nil, fault.Internal(fmt.Errorf("decode a stored answer: %w", err))
	}
	return answer, nil
}

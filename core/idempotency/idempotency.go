// Package idempotency remembers how calls with an Idempotency-Key were answered, so that a repeat is answered alike and makes nothing twice. It touches the key-value
// bucket "idempotency" and nothing else.
//
// A record is written before the call is executed and completed after. In between it says that an attempt is under way, until when, and from which seed the call makes
// its IDs: if the process dies, a repeat after that time is executed from the same seed, and so finds what the first attempt left behind.
//
// What is stored cannot be read without the key, which is not stored: the name of the record, the fingerprint of the request and the seal of the answer are all derived
// from the key and a secret of the project (HKDF, RFC 5869). So an answer may hold a secret that is shown once.
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
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// Header is the name of the request header, and of the field in faults.
const Header = "Idempotency-Key"

// Bucket is what is needed of a key-value bucket. Its entries must expire by themselves; jetstream.KeyValue is one.
type Bucket interface {
	Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (uint64, error)
	Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error)
	Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	Purge(ctx context.Context, key string, opts ...jetstream.KVDeleteOpt) error
}

// Call is one request with a key.
type Call struct {
	Project      ident.ProjectID
	Salt         []byte // a secret of the project that is kept elsewhere than in the bucket: without it, a key that is easy to guess would open its record
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
	bucket Bucket
	hold   time.Duration
	now    func() time.Time
}

// NewStore returns a store. hold is the longest that a call can be under way; a repeat within it is refused, unless the first attempt has ended.
func NewStore(bucket Bucket, hold time.Duration, now func() time.Time) *Store {
	return &Store{bucket: bucket, hold: hold, now: now}
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

const (
	attempts   = 5 // to read and claim a record while others do too
	retryAfter = time.Second
)

// Begin returns either the answer that the call was given before, or the right to execute it. The faults are 409 on Idempotency-Key, if the key belongs to another
// request or the first attempt is still under way (with Retry-After), and 503 if nothing could be read or stored.
func (s *Store) Begin(ctx context.Context, call Call) (*Attempt, *Answer, error) {
	k, err := derive(call)
	if err != nil {
		return nil, nil, fault.Internal(err)
	}
	fresh := record{Fingerprint: k.fingerprint(call), Seed: ident.NewSeed(), UntilMs: s.now().Add(s.hold).UnixMilli()}
	for range attempts {
		revision, err := s.put(ctx, k.name, fresh, 0)
		if err == nil {
			return &Attempt{Seed: fresh.Seed, store: s, keys: k, record: fresh, revision: revision}, nil, nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return nil, nil, unavailable(err)
		}
		attempt, answer, err := s.meet(ctx, k, fresh)
		if errors.Is(err, errMoved) {
			continue
		}
		return attempt, answer, err
	}
	return nil, nil, underWay()
}

// errMoved says that the record changed between reading and writing it.
var errMoved = errors.New("the record changed meanwhile")

// meet deals with a record that is there already.
func (s *Store) meet(ctx context.Context, k keys, fresh record) (*Attempt, *Answer, error) {
	entry, err := s.bucket.Get(ctx, k.name)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil, errMoved
	}
	if err != nil {
		return nil, nil, unavailable(err)
	}
	var found record
	if err := json.Unmarshal(entry.Value(), &found); err != nil {
		return nil, nil, fault.Internal(fmt.Errorf("decode an idempotency record: %w", err))
	}
	switch {
	case !hmac.Equal(found.Fingerprint, fresh.Fingerprint):
		return nil, nil, fault.Conflict(Header, "was used for another request")
	case found.Sealed != nil:
		answer, err := k.open(found.Sealed)
		return nil, answer, err
	case found.UntilMs > s.now().UnixMilli():
		return nil, nil, underWay()
	}
	found.UntilMs = fresh.UntilMs
	revision, err := s.put(ctx, k.name, found, entry.Revision())
	if errors.Is(err, jetstream.ErrKeyExists) {
		return nil, nil, errMoved
	}
	if err != nil {
		return nil, nil, unavailable(err)
	}
	return &Attempt{Seed: found.Seed, store: s, keys: k, record: found, revision: revision, resumed: true}, nil, nil
}

// put creates a record, or replaces the revision that was read.
func (s *Store) put(ctx context.Context, name string, r record, revision uint64) (uint64, error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return 0, fmt.Errorf("encode an idempotency record: %w", err)
	}
	if revision == 0 {
		return s.bucket.Create(ctx, name, raw)
	}
	return s.bucket.Update(ctx, name, raw, revision)
}

// Complete stores the answer, which every repeat gets from now on. An error leaves the call to be executed again, from the same seed, after the hold.
func (a *Attempt) Complete(ctx context.Context, answer Answer) error {
	sealed, err := a.keys.seal(answer)
	if err != nil {
		return fmt.Errorf("seal an answer: %w", err)
	}
	done := a.record
	done.UntilMs, done.Sealed = 0, sealed
	if _, err := a.store.put(ctx, a.keys.name, done, a.revision); err != nil {
		return fmt.Errorf("store an answer: %w", err)
	}
	return nil
}

// Retry ends an attempt of which it is not known what it did: the next one may begin at once, from the same seed.
func (a *Attempt) Retry(ctx context.Context) error {
	open := a.record
	open.UntilMs = 0
	if _, err := a.store.put(ctx, a.keys.name, open, a.revision); err != nil {
		return fmt.Errorf("end an attempt: %w", err)
	}
	return nil
}

// Forget ends an attempt that changed nothing: the key is free for any request. After an attempt of unknown outcome the key stays this request's, whose seed must
// not be lost.
func (a *Attempt) Forget(ctx context.Context) error {
	if a.resumed {
		return a.Retry(ctx)
	}
	if err := a.store.bucket.Purge(ctx, a.keys.name, jetstream.LastRevision(a.revision)); err != nil {
		return fmt.Errorf("free an idempotency key: %w", err)
	}
	return nil
}

func underWay() error {
	f := fault.Conflict(Header, "the first request with it is still under way")
	f.RetryAfter = retryAfter
	return f
}

func unavailable(err error) error {
	return fault.Unavailable(retryAfter, "the %s could not be checked", Header).Because(err)
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

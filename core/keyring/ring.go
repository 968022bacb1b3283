// Package keyring keeps the secrets that a project's tokens, handles and codes are made with, and derives from them one key for
// each purpose: who learns the key of one purpose can do nothing with it elsewhere. Store touches the bucket "project-keys" and
// nothing else; only the ceremony service, and an operator's commands, may read it.
//
// A project has one root secret a version. What is made names the version that it was made with; the newest makes, and older
// ones verify until all that they made has expired. Then they are dropped. The key that counts are kept under is handed on from
// each version to the next: it proves nothing, and what is counted is counted across rotations.
package keyring

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/secret"
)

// Purpose is what a key is used for. Its text goes into the key: changing it makes everything that was made for it worthless.
type Purpose string

// The purposes.
const (
	RefreshToken       Purpose = "refresh token"             // proves that a refresh token is of a session and a generation
	EnvironmentHandle  Purpose = "client environment handle" // proves that a project issued a handle, and when
	OneTimeCode        Purpose = "one-time code"             // hashes codes, link tokens and registration codes
	ConnectTokenSecret Purpose = "connect token secret"      // makes the secret again that a repeated call is answered with
	DecoyUser          Purpose = "decoy user"                // names the user that an unknown identifier stands for
	SendCount          Purpose = "send count"                // hashes what messages and wrong codes are counted by; outlives rotations
	SealedChallenge    Purpose = "sealed challenge"          // seals the state of a ceremony into its challenge
	WithheldAnswer     Purpose = "withheld answer"           // seals an answer that waits for a step-up
)

// Legacy is the version of a key that an earlier Keyward kept in the project itself. It is used as it is, for every purpose.
const Legacy = 0

const rootSize = 32 // bytes

// Version is one root secret as it is stored. Times are Unix ms.
type Version struct {
	Number    int   `json:"number"`
	Root      root  `json:"root"`
	CreatedMs int64 `json:"createdMs"`
	RetiredMs int64 `json:"retiredMs,omitempty"` // since when a newer one makes what is new; 0 = it is the newest

	// Counts is the key of SendCount that the versions before had, empty if there were none: a rotation forgets no wrong codes.
	Counts root `json:"counts,omitempty"`
}

// root is a root secret, which prints as stars.
type root []byte

// Format implements fmt.Formatter, so that no verb prints the secret.
func (root) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, secret.Stars) }

// Versions are those of a project, the newest last.
type Versions []Version

// rotated returns the versions of a project with one more.
func (v Versions) rotated(project ident.ProjectID, now time.Time) (Versions, error) {
	made := Version{Number: Legacy + 1, Root: make(root, rootSize), CreatedMs: now.UnixMilli()}
	_, _ = rand.Read(made.Root) // does not fail
	v = slices.Clone(v)
	if last := len(v) - 1; last >= 0 {
		v[last].RetiredMs = now.UnixMilli()
		made.Number = v[last].Number + 1
		if v[last].Number != Legacy {
			var err error
			if made.Counts, err = v[last].derive(project, SendCount); err != nil {
				return nil, err
			}
		}
	}
	return append(v, made), nil
}

// current returns the versions without those of which everything they made has expired.
func (v Versions) current(now time.Time, keep time.Duration) Versions {
	return slices.DeleteFunc(slices.Clone(v), func(each Version) bool {
		return each.RetiredMs > 0 && each.RetiredMs+keep.Milliseconds() <= now.UnixMilli()
	})
}

// Ring is the keys of a project. It never changes, but that it keeps what it has derived.
type Ring struct {
	project  ident.ProjectID
	versions Versions
	revision uint64
	reread   func() (*Ring, error) // nil = there is nowhere to look
	derived  sync.Map              // []byte by use
	macs     sync.Map              // *MAC by use
}

// use is what a key is for.
type use struct {
	version int
	purpose Purpose
}

// Key is a key of one purpose and its version.
type Key struct {
	Version int
	Secret  []byte
}

// NewRing returns the keys of a project's versions, of which there must be one. It fails if one of them has no root secret, or none that a
// key can be derived from.
func NewRing(project ident.ProjectID, versions Versions) (*Ring, error) {
	for _, v := range versions {
		if len(v.Root) == 0 {
			return nil, fmt.Errorf("version %d of the keys of %s has no root secret", v.Number, project)
		}
		if _, err := v.derive(project, SendCount); err != nil {
			return nil, err
		}
	}
	return &Ring{project: project, versions: versions}, nil
}

// derive applies HKDF (RFC 5869). The purpose and the project are the info. Whether it fails depends on the root alone.
func (v Version) derive(project ident.ProjectID, p Purpose) ([]byte, error) {
	if v.Number == Legacy {
		return v.Root, nil
	}
	if p == SendCount && len(v.Counts) > 0 {
		return v.Counts, nil
	}
	derived, err := hkdf.Key(sha256.New, v.Root, nil, "keyward "+string(p)+"\x00"+string(project), sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a %s: %w", p, err)
	}
	return derived, nil
}

// key returns the key of a version for a purpose: each login start asks for two.
func (r *Ring) key(v *Version, p Purpose) ([]byte, error) {
	if kept, is := r.derived.Load(use{v.Number, p}); is {
		return kept.([]byte), nil //nolint:forcetypeassert // nothing else is stored
	}
	derived, err := v.derive(r.project, p)
	if err != nil {
		return nil, err
	}
	r.derived.Store(use{v.Number, p}, derived)
	return derived, nil
}

// Newest returns the key that makes what is new.
func (r *Ring) Newest(p Purpose) Key {
	v := &r.versions[len(r.versions)-1]
	derived, err := r.key(v, p)
	if err != nil {
		panic(err) // NewRing has derived a key from this root; a MAC would take none for a key
	}
	return Key{Version: v.Number, Secret: derived}
}

// ErrVersion reports that there is no such version, or not any more: nothing that it made is valid.
var ErrVersion = errors.New("the project has no keys of this version")

// Key returns the key of a version, if what it made can still be valid; its error is ErrVersion. A version that is newer than all that are
// known is looked for once more: another instance has made it a moment ago. If that cannot be done, whether it is one is not known, and the
// error is kv.ErrUnavailable.
func (r *Ring) Key(p Purpose, version int) ([]byte, error) {
	r, v, err := r.find(version)
	if err != nil {
		return nil, err
	}
	return r.key(v, p)
}

// MAC returns what computes the codes of messages with such a key; its error is that of Key.
func (r *Ring) MAC(p Purpose, version int) (*MAC, error) {
	r, v, err := r.find(version)
	if err != nil {
		return nil, err
	}
	if kept, is := r.macs.Load(use{v.Number, p}); is {
		return kept.(*MAC), nil //nolint:forcetypeassert // nothing else is stored
	}
	key, err := r.key(v, p)
	if err != nil {
		return nil, err
	}
	kept, _ := r.macs.LoadOrStore(use{v.Number, p}, newMAC(key))
	return kept.(*MAC), nil //nolint:forcetypeassert // nothing else is stored
}

// find returns a version, and the ring that has it.
func (r *Ring) find(version int) (*Ring, *Version, error) {
	if version == r.newest()+1 && r.reread != nil {
		now, err := r.reread()
		if err != nil {
			return nil, nil, err
		}
		r = now
	}
	for i := range r.versions {
		if v := &r.versions[i]; v.Number == version {
			return r, v, nil
		}
	}
	return nil, nil, ErrVersion
}

func (r *Ring) newest() int { return r.versions[len(r.versions)-1].Number }

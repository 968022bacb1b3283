package operator

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/origin"
)

// Console is where the console is opened, to which passkeys of operators are bound.
type Console struct {
	URL  string // empty = frontend_url
	RPID string // empty = the host of the URL
}

// At returns the console with what is not set taken from another URL of the installation.
func (c Console) At(otherwise string) Console {
	c.URL = cmp.Or(c.URL, otherwise)
	if u, err := url.Parse(c.URL); err == nil && c.RPID == "" {
		c.RPID = u.Hostname()
	}
	return c
}

// Origin is that of the console's pages.
func (c Console) Origin() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// TakesPasskeys reports whether browsers make passkeys at the console: not at an address, nor without TLS but on the machine itself.
func (c Console) TakesPasskeys() bool {
	text, err := origin.Parse(c.Origin())
	return err == nil && origin.CheckRPID(c.RPID) == nil && origin.On(text, c.RPID)
}

// Validate reports every setting that cannot work.
func (c Console) Validate() error {
	var errs []error
	if c.URL != "" {
		if err := origin.CheckURL(c.URL, origin.Parts{}); err != nil {
			errs = append(errs, fmt.Errorf("console_url: %w", err))
		}
	}
	if c.RPID != "" {
		if err := origin.CheckRPID(c.RPID); err != nil {
			errs = append(errs, fmt.Errorf("console_rp_id: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Member is what an identity provider said of somebody, and when. Whom it knows has a record here for the sake of passkeys alone.
type Member struct {
	Issuer string `json:"issuer"`
	Group  string `json:"group"` // that made them an operator
	SaidMs int64  `json:"saidMs"`
}

// Passkey signs an operator in to the console. Times are Unix ms.
type Passkey struct {
	ID             ident.CredentialID `json:"id"`
	Name           string             `json:"name"`
	CredentialID   []byte             `json:"credentialID"` // W3C WebAuthn
	PublicKey      []byte             `json:"publicKey"`    // COSE
	AAGUID         string             `json:"aaguid"`
	Transports     []string           `json:"transports,omitempty"`
	BackupEligible bool               `json:"backupEligible,omitempty"`
	BackupState    bool               `json:"backupState,omitempty"`
	SignCount      uint32             `json:"signCount"`
	RPID           string             `json:"rpID"`
	CreatedMs      int64              `json:"createdMs"`
	LastUsedMs     int64              `json:"lastUsedMs,omitempty"`
	// When its counter went back, as that of a copy does; it signs nobody in from then on. 0 = it never did
	CopiedMs int64 `json:"copiedMs,omitempty"`
}

// PasskeyOptions is what a browser begins a ceremony with, and until when the answer is taken.
type PasskeyOptions struct {
	JSON    string // {"publicKey":{...}}
	Expires time.Time
}

// Spent is a challenge that was answered. It is kept until it would have expired.
type Spent struct {
	Challenge string `json:"challenge"`
	UntilMs   int64  `json:"untilMs"`
}

// What may be wrong with passkeys of operators.
var (
	ErrNoPasskey = fault.Unknown("credentialID").Named("operator-passkey-unknown")
	ErrSpent     = fault.Login("the challenge was answered already; begin again").Named("operator-challenge-spent")
	ErrCopied    = fault.Login("the signature counter of the passkey went back: it may have been copied, and signs nobody in any more; " +
		"remove it, and sign in in another way").Named("operator-passkey-copied")
)

// Bounds of what an operator has. A challenge is spent at a sign-in that was right, so few are at once.
const (
	maxPasskeys    = 10
	maxSpent       = 50
	maxPasskeyName = 60 // characters
)

// Passkey returns the passkey of a WebAuthn credential ID, or nil.
func (o *Operator) Passkey(credentialID []byte) *Passkey {
	i := slices.IndexFunc(o.Passkeys, func(p Passkey) bool { return bytes.Equal(p.CredentialID, credentialID) })
	if i < 0 {
		return nil
	}
	return &o.Passkeys[i]
}

func (o *Operator) has(id ident.CredentialID) bool {
	return slices.ContainsFunc(o.Passkeys, func(p Passkey) bool { return p.ID == id })
}

// spend notes that a challenge was answered, and reports whether it was not before.
func (o *Operator) spend(s Spent, now time.Time) error {
	o.Spent = slices.DeleteFunc(o.Spent, func(old Spent) bool { return old.UntilMs <= now.UnixMilli() })
	switch {
	case slices.ContainsFunc(o.Spent, func(old Spent) bool { return old.Challenge == s.Challenge }):
		return ErrSpent
	case len(o.Spent) >= maxSpent:
		return fault.Unavailable(time.Minute, "the operator has signed in too often in the last minutes")
	}
	o.Spent = append(o.Spent, s)
	return nil
}

// AddPasskey stores a passkey of an operator, upon a challenge that is spent by it. Whom an identity provider knows is stored with the
// first.
func (s *Store) AddPasskey(ctx context.Context, of Operator, p Passkey, answered Spent, now time.Time) error {
	if err := checkPasskeyName(p.Name); err != nil {
		return err
	}
	for _, o := range s.snapshot.Load().operators {
		if o.Passkey(p.CredentialID) != nil {
			return fault.Conflict("answer", "there is such a passkey already")
		}
	}
	add := func(o *Operator) error {
		switch {
		case len(o.Passkeys) >= maxPasskeys:
			return fault.Conflict("name", "there are %d passkeys already; remove one first", maxPasskeys)
		case o.Passkey(p.CredentialID) != nil:
			return fault.Conflict("answer", "there is such a passkey already")
		}
		o.Passkeys = append(o.Passkeys, p)
		return o.spend(answered, now)
	}
	if !of.Outside {
		_, err := s.change(ctx, of.ID, add)
		return err
	}
	if of.Member == nil {
		return fault.Login("the session is of an earlier version; sign in by the identity provider again")
	}
	if err := s.admitMember(ctx, of, now); err != nil {
		return err
	}
	_, err := s.change(ctx, of.ID, add)
	return err
}

// admitMember stores whom an identity provider knows, if that is not done yet.
func (s *Store) admitMember(ctx context.Context, of Operator, now time.Time) error {
	fresh := Operator{
		Schema: schemaMember, ID: of.ID, Name: of.Name, Role: of.Role, Projects: of.Projects, CreatedMs: now.UnixMilli(),
		CreatedBy: of.Member.Issuer, Member: of.Member,
	}
	if len(s.snapshot.Load().people()) >= maxOperators {
		return fault.Conflict("name", "there are %d operators already; revoke one first", maxOperators)
	}
	revision, err := s.operators.Create(ctx, string(fresh.ID), fresh)
	if errors.Is(err, kv.ErrExists) {
		return nil
	}
	if err == nil {
		fresh.Outside = true
		s.replace(fresh.ID, &fresh, revision)
	}
	return err
}

// Remember takes up what an identity provider says of somebody now. It does nothing of whom there is no record.
func (s *Store) Remember(ctx context.Context, of Operator) error {
	if of.Member == nil {
		return nil
	}
	_, err := s.change(ctx, of.ID, func(o *Operator) error {
		if o.Member != nil && o.Member.SaidMs <= of.Member.SaidMs {
			o.Name, o.Role, o.Projects, o.Member = of.Name, of.Role, of.Projects, of.Member
		}
		return nil
	})
	if errors.Is(err, ErrUnknown) {
		return nil
	}
	return err
}

// UsePasskey has use look at a passkey as it is now, and change it, upon a challenge that is spent by it: of two answers to one challenge
// at the same moment, on whichever instances, one is taken. It returns the operator, and whatever error use returned; a passkey that use
// has marked as copied is stored as that.
func (s *Store) UsePasskey(
	ctx context.Context, id ident.OperatorID, credentialID []byte, answered Spent, now time.Time, use func(*Passkey) error,
) (Operator, error) {
	var refused error
	stored, err := s.change(ctx, id, func(o *Operator) error {
		p := o.Passkey(credentialID)
		switch {
		case p == nil:
			return ErrNoPasskey
		case p.CopiedMs != 0:
			return ErrCopied
		}
		if err := o.spend(answered, now); err != nil {
			return err
		}
		if refused = use(p); refused != nil && p.CopiedMs == 0 {
			return refused
		}
		o.With = p.ID
		return nil
	})
	if err == nil {
		err = refused
	}
	return stored, err
}

// RemovePasskey removes a passkey, and ends the sessions that it began.
func (s *Store) RemovePasskey(ctx context.Context, id ident.OperatorID, credential ident.CredentialID) error {
	_, err := s.change(ctx, id, func(o *Operator) error {
		if !o.has(credential) {
			return ErrNoPasskey
		}
		o.Passkeys = slices.DeleteFunc(o.Passkeys, func(p Passkey) bool { return p.ID == credential })
		return nil
	})
	return err
}

// change changes who is stored, and tells of it. Those who may not be changed so, sessions, are as if there were none.
func (s *Store) change(ctx context.Context, id ident.OperatorID, change func(*Operator) error) (Operator, error) {
	if _, err := ident.ParseOperatorID(string(id)); err != nil {
		return Operator{}, ErrUnknown
	}
	var before Operator
	e, err := s.operators.Change(ctx, string(id), func(o *Operator) error {
		if o.Session != nil {
			return ErrUnknown
		}
		before = *o
		before.Passkeys = slices.Clone(o.Passkeys)
		return change(o)
	})
	if err != nil {
		return Operator{}, err
	}
	s.replace(id, &e.Value, e.Revision)
	s.tell(ctx, &before, &e.Value)
	return e.Value, nil
}

func checkPasskeyName(name string) error {
	if !nameable(name, maxPasskeyName) {
		return fault.Field("name", "must be 1 to %d printable characters long", maxPasskeyName)
	}
	return nil
}

// signInSecretKey is where the secret is kept that challenges of operators are known again by, beside the operators themselves. To a
// version that does not know of it, it is an operator that cannot be read.
const signInSecretKey = "sign-in-secret"

// signInSecret is what challenges are known again by on every instance. Who reads it can make challenges, and sign in with none.
type signInSecret struct {
	Schema int    `json:"schema"`
	Secret []byte `json:"secret"`
}

const (
	schemaSignInSecret = 1
	signInSecretSize   = 32 // bytes, as HMAC-SHA-256 has use for
)

// SignInSecret returns the secret of the installation, which the first who asks makes.
func (s *Store) SignInSecret(ctx context.Context) ([]byte, error) {
	fresh := signInSecret{Schema: schemaSignInSecret, Secret: make([]byte, signInSecretSize)}
	rand.Read(fresh.Secret)
	e, err := s.secrets.Get(ctx, signInSecretKey)
	if errors.Is(err, kv.ErrNotFound) {
		e, err = s.secrets.CreateOrChange(ctx, signInSecretKey, fresh, func(*signInSecret) error { return nil })
	}
	return e.Value.Secret, err
}

func decodeSignInSecret(raw []byte, into *signInSecret) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return err
	}
	if into.Schema != schemaSignInSecret || len(into.Secret) != signInSecretSize {
		return fmt.Errorf("a secret of version %d cannot be read by this one", into.Schema)
	}
	return nil
}

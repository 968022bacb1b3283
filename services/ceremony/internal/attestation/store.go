package attestation

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/transfer"
)

// MaxObject is how many bytes an attestation object may have that is kept. Those with the longest chains have half as many.
const MaxObject = 8 << 10

// schema is the version of the form in which a statement is stored.
const schema = 1

// Statement is what an authenticator said of itself, as it was signed.
type Statement struct {
	Schema         int    `json:"schema"`
	Object         []byte `json:"object"`         // CBOR, W3C WebAuthn §6.5.4
	ClientDataHash []byte `json:"clientDataHash"` // SHA-256
}

// StatementOf returns the statement of an answer; nil if it is too large to be kept.
func StatementOf(answer *protocol.ParsedCredentialCreationData) *Statement {
	raw := answer.Raw.AttestationResponse
	hash := sha256.Sum256(raw.ClientDataJSON)
	return newStatement(raw.AttestationObject, hash[:])
}

func newStatement(object, clientDataHash []byte) *Statement {
	if len(object) == 0 || len(object) > MaxObject || len(clientDataHash) != sha256.Size {
		return nil
	}
	return &Statement{Schema: schema, Object: object, ClientDataHash: clientDataHash}
}

// Store is the bucket "attestations", and judges what gets into it. It is safe for concurrent use.
type Store struct {
	statements kv.Bucket[Statement]
	models     Metadata
}

// NewStore returns a store on the bucket "attestations" that judges by what is known of models.
func NewStore(bucket jetstream.KeyValue, models Metadata) *Store {
	return &Store{statements: kv.Bucket[Statement]{KV: bucket, Name: "attestation"}, models: models}
}

// ErrUnattested refuses a passkey of an authenticator that nobody vouches for.
var ErrUnattested = fault.Refuse("nobody who is known vouches for the model of the authenticator, and the project takes no others")

// Take judges an answer that has been verified. It returns what the passkey is to keep of it, and what is to be kept beside it;
// ErrUnattested if the project does not take it.
func (s *Store) Take(p *project.Project, answer *protocol.ParsedCredentialCreationData) (*account.Attestation, *Statement, error) {
	said := Judge(answer, s.models.Now())
	if Refused(p, said) {
		cause := "it says nothing of itself"
		if said != nil {
			cause = string(said.Trust) + " " + said.Step
		}
		return nil, nil, ErrUnattested.Because(errors.New(cause))
	}
	if said == nil || !p.Attestation.Asked() {
		return said, nil, nil
	}
	statement := StatementOf(answer)
	said.Kept = statement != nil
	return said, statement, nil
}

// Ref names the passkey that a statement is of.
type Ref struct {
	Project ident.ProjectID
	User    ident.UserID
	Passkey ident.CredentialID
}

func (r Ref) key() string { return string(r.Project) + "." + string(r.User) + "." + string(r.Passkey) }

// Put keeps a statement.
func (s *Store) Put(ctx context.Context, of Ref, said *Statement) error {
	return s.statements.Put(ctx, of.key(), *said)
}

// Import keeps the statements of a user who comes from elsewhere, as an account.
func (s *Store) Import(ctx context.Context, u transfer.User, a *account.Account) error {
	for i, c := range u.Credentials {
		if c.Attestation == nil || i >= len(a.Credentials) {
			continue
		}
		said := newStatement(c.Attestation.Object, c.Attestation.ClientDataHash)
		if said == nil {
			continue
		}
		if err := s.Put(ctx, Ref{Project: a.Project, User: a.ID, Passkey: a.Credentials[i].ID}, said); err != nil {
			return err
		}
	}
	return nil
}

// Get returns a statement, or kv.ErrNotFound.
func (s *Store) Get(ctx context.Context, of Ref) (Statement, error) {
	found, err := s.statements.Get(ctx, of.key())
	return found.Value, err
}

// Forget forgets the statement of a passkey that is gone, if it had one.
func (s *Store) Forget(ctx context.Context, project ident.ProjectID, user ident.UserID, gone *account.Credential) error {
	if gone.Attestation == nil || !gone.Attestation.Kept {
		return nil
	}
	return s.statements.Delete(ctx, Ref{project, user, gone.ID}.key())
}

// Erase forgets all statements of a user.
func (s *Store) Erase(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	return s.statements.DeleteAll(ctx, string(project)+"."+string(user)+".*")
}

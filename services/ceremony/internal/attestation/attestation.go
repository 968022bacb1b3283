// Package attestation says what it is worth that an authenticator said of itself when it made a passkey, and keeps the statement, so that
// it can be judged again. It promises that nothing is verified but by certificates that lead to a root which the metadata has for that very
// model; that what has become of the model does not matter here, since that may change; and that nothing stays of a statement whose passkey
// or user is gone. Store touches the key-value bucket "attestations" and nothing else; the rest is pure.
package attestation

import (
	"context"
	"crypto/sha256"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/google/uuid"

	"github.com/keyward/keyward/core/account"
	known "github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/project"
)

// What an attestation fails at whose certificates are not known to be its maker's.
const (
	StepCertificates = "certificates" // there are none, or too many
	StepMetadata     = "metadata"     // nothing is known of any model
	StepModel        = "model"        // nothing is known of this one
	StepType         = "type"         // the model attests in another way
	StepChain        = "chain"        // they do not lead to a root of the model's
	StepAAGUID       = "aaguid"       // what is known is of another model
	StepFormat       = "format"       // the model does not attest in this format
)

// maxChain is how many certificates an attestation may have.
const maxChain = 10

// Metadata is what is known of models of authenticators. core/metadata.Keeper is one.
type Metadata interface {
	Now() *known.Snapshot
}

// Judge says what an authenticator said of itself, whose answer has been verified but for who vouches for it; nil if it said nothing.
func Judge(answer *protocol.ParsedCredentialCreationData, models *known.Snapshot) *account.Attestation {
	object := answer.Response.AttestationObject
	if protocol.AttestationFormat(object.Format) == protocol.AttestationFormatNone {
		return nil
	}
	chain, whole := certificates(&object)
	said := &account.Attestation{Format: object.Format, Trust: account.TrustUnverified}
	for _, der := range chain {
		hash := sha256.Sum256(der)
		said.Certificates = append(said.Certificates, hash[:])
	}
	switch {
	case len(chain) == 0 && object.Type == string(metadata.BasicSurrogate):
		said.Trust = account.TrustSelf
		return said
	case !whole:
		said.Step = StepCertificates
		return said
	case models == nil:
		said.Step = StepMetadata
		return said
	}
	hash := sha256.Sum256(answer.Raw.AttestationResponse.ClientDataJSON)
	asked := &provider{models: models, step: StepModel}
	if object.VerifyAttestation(hash[:], asked, protocol.AttestationPolicy{}, protocol.SignaturePolicy{}) != nil {
		said.Step = asked.step
		return said
	}
	said.Trust = account.TrustVerified
	return said
}

// certificates returns those of a statement, and whether all of it rests on some.
func certificates(object *protocol.AttestationObject) (chain [][]byte, whole bool) {
	statements := []map[string]any{object.AttStatement}
	if protocol.AttestationFormat(object.Format) == protocol.AttestationFormatCompound {
		statements = statements[:0]
		for i := range object.SubStatements {
			statements = append(statements, object.SubStatements[i].AttStatement)
		}
	}
	whole = len(statements) > 0
	for _, statement := range statements {
		listed, _ := statement["x5c"].([]any)
		whole = whole && len(listed) > 0
		for _, one := range listed {
			der, is := one.([]byte)
			if !is || len(chain) == maxChain {
				return chain, false
			}
			chain = append(chain, der)
		}
	}
	return chain, whole
}

// Refused reports whether a project takes no passkey that is attested so.
func Refused(p *project.Project, said *account.Attestation) bool {
	return p.Attestation.Refuses() && (said == nil || said.Trust != account.TrustVerified)
}

// provider shows metadata to the library for one judgement, and notes what is being judged: the library asks about one step after another
// and stops at the one that fails.
type provider struct {
	models *known.Snapshot
	step   string
}

var _ metadata.ExtendedProvider = (*provider)(nil)

func (p *provider) at(step string) bool {
	p.step = step
	return true
}

// GetEntry implements metadata.Provider.
func (p *provider) GetEntry(_ context.Context, aaguid uuid.UUID) (*metadata.Entry, error) {
	p.step = StepModel
	return entry(p.models.Model(aaguid))
}

// GetEntryByKeyIdentifier implements metadata.ExtendedProvider.
func (p *provider) GetEntryByKeyIdentifier(_ context.Context, identifier string) (*metadata.Entry, error) {
	return entry(p.models.ModelByKey(identifier))
}

func entry(m *known.Model) (*metadata.Entry, error) {
	if m == nil {
		return nil, nil
	}
	return m.Entry, nil
}

// GetValidateEntry implements metadata.Provider.
func (p *provider) GetValidateEntry(context.Context) bool { return true }

// GetValidateEntryPermitZeroAAGUID implements metadata.Provider: who names no model is not known by it.
func (p *provider) GetValidateEntryPermitZeroAAGUID(context.Context) bool { return false }

// GetValidateEntryKeyIdentifier implements metadata.ExtendedProvider.
func (p *provider) GetValidateEntryKeyIdentifier(context.Context) bool { return true }

// GetValidateAttestationTypes implements metadata.Provider.
func (p *provider) GetValidateAttestationTypes(context.Context) bool { return p.at(StepType) }

// GetValidateTrustAnchor implements metadata.Provider.
func (p *provider) GetValidateTrustAnchor(context.Context) bool { return p.at(StepChain) }

// GetValidateAAGUID implements metadata.ExtendedProvider.
func (p *provider) GetValidateAAGUID(context.Context) bool { return p.at(StepAAGUID) }

// GetValidateAttestationFormats implements metadata.ExtendedProvider.
func (p *provider) GetValidateAttestationFormats(context.Context) bool { return p.at(StepFormat) }

// GetValidateStatus implements metadata.Provider: what has become of a model is judged whenever the passkey is used.
func (p *provider) GetValidateStatus(context.Context) bool { return false }

// GetValidateStatusCertificateScope implements metadata.ExtendedProvider.
func (p *provider) GetValidateStatusCertificateScope(context.Context) bool { return false }

// GetValidateAlgorithms implements metadata.ExtendedProvider.
func (p *provider) GetValidateAlgorithms(context.Context) bool { return false }

// GetValidateBackupEligibility implements metadata.ExtendedProvider.
func (p *provider) GetValidateBackupEligibility(context.Context) bool { return false }

// GetValidateExtensions implements metadata.ExtendedProvider.
func (p *provider) GetValidateExtensions(context.Context) bool { return false }

// GetValidateUserVerification implements metadata.ExtendedProvider.
func (p *provider) GetValidateUserVerification(context.Context) bool { return false }

// ValidateStatusReports implements metadata.Provider.
func (p *provider) ValidateStatusReports(context.Context, []metadata.StatusReport) error { return nil }

package relyingparty

import (
	"bytes"
	"crypto/sha256"
	"errors"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/keyward/keyward/core/fault"
)

// explainCreation names the first step of W3C WebAuthn §7.1 that the answer fails. The library has refused it already; this only finds the
// words.
func (p *Party) explainCreation(cause error, session webauthn.SessionData, answer *protocol.ParsedCredentialCreationData) *fault.Refusal {
	data := answer.Response.AttestationObject.AuthData
	present := session.Mediation != protocol.MediationConditional
	if message, _ := p.explain(answer.Response.CollectedClientData, data, session, present); message != "" {
		return refuse(message, cause)
	}
	if err := CheckPublicKey(data.AttData.CredentialPublicKey); err != nil {
		return refuse(messagePublicKey, errors.Join(cause, err))
	}
	var e *protocol.Error
	invalid := errors.As(cause, &e) && (e.Type == protocol.ErrInvalidAttestation.Type || e.Type == protocol.ErrAssertionSignature.Type)
	switch {
	case invalid:
		return refuse("the attestation statement in response.attestationObject is invalid, or of no known format (W3C WebAuthn §8)", cause)
	case !bytes.Equal(answer.RawID, data.AttData.CredentialID):
		return refuse("rawId is not the ID of the credential in response.attestationObject (W3C WebAuthn §5.1)", cause)
	case contradictory(data.Flags):
		return refuse(messageBackupFlags, cause)
	default:
		return refuse("response.attestationObject could not be verified (W3C WebAuthn §7.1)", cause)
	}
}

// explainAssertion names the first step of W3C WebAuthn §7.2 that the answer fails.
func (p *Party) explainAssertion(
	cause error, signer user, session webauthn.SessionData, answer *protocol.ParsedCredentialAssertionData,
) *fault.Refusal {
	if handle := answer.Response.UserHandle; len(handle) > 0 && !bytes.Equal(handle, signer.UserHandle) {
		return refuse("the user handle is another user's", cause)
	}
	data := answer.Response.AuthenticatorData
	if message, step := p.explain(answer.Response.CollectedClientData, data, session, true); message != "" {
		return refuse(message, errors.Join(step, cause))
	}
	var e *protocol.Error
	if errors.As(cause, &e) && e.Type == protocol.ErrAssertionSignature.Type {
		return refuse("the signature is invalid", errors.Join(StepSignature, cause))
	}
	if contradictory(data.Flags) {
		return refuse(messageBackupFlags, errors.Join(StepBackup, cause))
	}
	for _, c := range signer.Credentials {
		if bytes.Equal(c.CredentialID, answer.RawID) && c.BackupEligible != data.Flags.HasBackupEligible() {
			return ErrBackupEligibility.Because(errors.Join(StepBackup, cause))
		}
	}
	return refuse("the assertion could not be verified", cause)
}

// Step is what an assertion fails at, as login-refused names it. It is an error, so that it is found in a refusal.
type Step string

// The steps that are told apart.
const (
	StepSignature Step = "signature"
	StepOrigin    Step = "origin"
	StepRP        Step = "rp"
	StepPresence  Step = "presence"
	StepUV        Step = "uv"
	StepCounter   Step = "counter"
	StepBackup    Step = "backup"
)

// StepOf returns what an assertion failed at that was refused with an error; empty = none of these, or a creation.
func StepOf(err error) string {
	var step Step
	errors.As(err, &step)
	return string(step)
}

// Error implements error.
func (s Step) Error() string { return string(s) }

// ErrBackupEligibility is the refusal of a credential whose flag BE is not what it was at creation (W3C WebAuthn §6.1.3).
var ErrBackupEligibility = fault.Refuse("the backup eligibility of the credential has changed")

const (
	messageBackupFlags = "the backup flags contradict each other"
	messagePublicKey   = "the public key in response.attestationObject could not verify a login (W3C WebAuthn §5.8.5)"
)

func contradictory(flags protocol.AuthenticatorFlags) bool {
	return !flags.HasBackupEligible() && flags.HasBackupState()
}

// explain names the first failing step among those that both ceremonies share, or returns "".
func (p *Party) explain(
	client protocol.CollectedClientData, data protocol.AuthenticatorData, session webauthn.SessionData, present bool,
) (string, Step) {
	rpIDHash := sha256.Sum256([]byte(p.project.RPID))
	switch {
	case !protocol.IsOriginInHaystack(client.Origin, p.origins):
		return "the origin is not one of the project's", StepOrigin
	case client.CrossOrigin || client.TopOrigin != "":
		return "the ceremony took place in a frame of another origin", StepOrigin
	case !bytes.Equal(data.RPIDHash, rpIDHash[:]):
		return "the RP ID hash is not that of the project's RP ID", StepRP
	case present && !data.Flags.HasUserPresent():
		return "the user was not present", StepPresence
	case session.UserVerification == protocol.VerificationRequired && !data.Flags.HasUserVerified():
		return "the user was not verified", StepUV
	default:
		return "", ""
	}
}

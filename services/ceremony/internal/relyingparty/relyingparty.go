// Package relyingparty makes WebAuthn options and verifies the answers of authenticators, for one project at a time. go-webauthn does both;
// this package speaks its language on one side and ours on the other. It does no I/O.
//
// Every failure of verification is a *fault.Refusal: a stable sentence for each step of W3C WebAuthn §7.1 and §7.2. It is free of bytes
// that the client sent.
package relyingparty

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
)

// sessionFormat names the form of the library's session data. A release of the library that changes it gets a name of its own.
const sessionFormat = "go-webauthn/0.18"

// timeoutMs is how long the client is to wait for the user, unless the caller says otherwise, in ms.
const timeoutMs = 60_000

// Party is a project in its role of WebAuthn relying party.
type Party struct {
	project project.Project
	origins []string
}

// New returns the relying party of a project that accepts answers from origins.
func New(p project.Project, origins []string) *Party { return &Party{project: p, origins: origins} }

// Finishing returns the relying party that a ceremony ends at: it accepts the origins that the project had at the start and still has, and
// those of its apps.
func Finishing(p project.Project, r challenge.Record) (*Party, error) {
	origins := append(r.Accepted(p.Origins), p.AppOrigins()...)
	if len(origins) == 0 {
		return nil, fault.Refuse("the origins of the project have changed since the start")
	}
	return New(p, origins), nil
}

// library returns go-webauthn set up for the project. It refuses an RP ID that is no domain, so no passkey is ever made for one.
func (p *Party) library() (*webauthn.WebAuthn, error) {
	web, err := webauthn.New(&webauthn.Config{
		RPID:                  p.project.RPID,
		RPDisplayName:         p.project.RPName,
		RPOrigins:             p.origins,
		AttestationPreference: protocol.PreferNoAttestation,
		// W3C WebAuthn §9.5: clients may send extension outputs unasked, and password managers do.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("set up relying party of project %s: %w", p.project.ID, err)
	}
	return web, nil
}

// Options is what a ceremony is started with.
type Options struct {
	JSON      string // {"publicKey":{...}}, in the form that parseCreationOptionsFromJSON and parseRequestOptionsFromJSON take
	Challenge string // base64url without padding
	Session   challenge.Session
}

// Creation says what kind of passkey to ask for.
type Creation struct {
	Username         string
	Exclude          []*account.Credential
	Attachment       string // platform, cross-platform or empty = unset
	UserVerification string // required or preferred
	Hints            []string
	TimeoutMs        int    // how long the client is to wait for the user; 0 = 60,000
	Challenge        []byte // nil = one that is drawn
	Conditional      bool   // created without a prompt: neither presence nor verification of the user can be had (W3C WebAuthn §5.1.3)
}

// algorithms are the COSE algorithms that are asked for, in the order of the frontend API's own options.
func algorithms() []protocol.CredentialParameter {
	wanted := []webauthncose.COSEAlgorithmIdentifier{
		webauthncose.AlgES256, webauthncose.AlgES384, webauthncose.AlgES512,
		webauthncose.AlgRS256, webauthncose.AlgRS384, webauthncose.AlgRS512,
		webauthncose.AlgPS256, webauthncose.AlgPS384, webauthncose.AlgPS512,
		webauthncose.AlgEdDSA,
	}
	params := make([]protocol.CredentialParameter, len(wanted))
	for i, alg := range wanted {
		params[i] = protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: alg}
	}
	return params
}

// Create returns options for creating a passkey.
func (p *Party) Create(a account.Account, c Creation) (Options, error) {
	mediation := protocol.MediationDefault
	verification := protocol.UserVerificationRequirement(c.UserVerification)
	if c.Conditional {
		mediation, verification = protocol.MediationConditional, protocol.VerificationPreferred
	}
	web, err := p.library()
	if err != nil {
		return Options{}, err
	}
	creation, session, err := web.BeginMediatedRegistration(user{Account: a, username: c.Username}, mediation,
		webauthn.WithCredentialParameters(algorithms()),
		webauthn.WithExclusions(descriptors(c.Exclude)),
		webauthn.WithPublicKeyCredentialHints(hints(c.Hints)),
		webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
			AuthenticatorAttachment: protocol.AuthenticatorAttachment(c.Attachment),
			RequireResidentKey:      protocol.ResidentKeyRequired(),
			ResidentKey:             protocol.ResidentKeyRequirementRequired,
			UserVerification:        verification,
		}),
		func(o *protocol.PublicKeyCredentialCreationOptions) error {
			if o.Challenge = c.Challenge; c.Challenge == nil {
				o.Challenge = challenge.Draw()
			}
			o.Timeout = cmp.Or(c.TimeoutMs, timeoutMs)
			if wanted := p.project.Attestation; wanted.Asked() {
				o.Attestation = protocol.ConveyancePreference(wanted.Conveyance)
				for _, format := range wanted.Formats {
					o.AttestationFormats = append(o.AttestationFormats, protocol.AttestationFormat(format))
				}
			}
			return nil
		})
	if err != nil {
		return Options{}, fmt.Errorf("make creation options: %w", err)
	}
	// The library reads an attachment out of the hints; here the verdict alone decides.
	creation.Response.AuthenticatorSelection.AuthenticatorAttachment = protocol.AuthenticatorAttachment(c.Attachment)
	return options(publicKey{creation.Response}, session)
}

// publicKey leaves out the member "mediation" that the library puts beside it: the wire's options are {"publicKey":{...}} and nothing else.
type publicKey struct {
	Options any `json:"publicKey"`
}

func options(o publicKey, session *webauthn.SessionData) (Options, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return Options{}, fmt.Errorf("encode options: %w", err)
	}
	data, err := json.Marshal(session)
	if err != nil {
		return Options{}, fmt.Errorf("encode session: %w", err)
	}
	return Options{JSON: string(text), Challenge: session.Challenge, Session: challenge.Session{Format: sessionFormat, Data: data}}, nil
}

// Register verifies the answer to creation options and returns the passkey, without the fields that only the caller knows.
func (p *Party) Register(
	a account.Account, s challenge.Session, answer *protocol.ParsedCredentialCreationData,
) (account.Credential, error) {
	session, err := decode(s)
	if err != nil {
		return account.Credential{}, err
	}
	web, err := p.library()
	if err != nil {
		return account.Credential{}, err
	}
	if object := &answer.Response.AttestationObject; !p.project.Attestation.Asked() && !protocol.IsAttestationFormatString(object.Format) {
		// Who was not asked says what nobody can read: that is nothing.
		object.Format, object.AttStatement = string(protocol.AttestationFormatNone), nil
	}
	created, err := web.CreateCredential(user{Account: a}, session, answer)
	if err != nil {
		return account.Credential{}, p.explainCreation(err, session, answer)
	}
	if err := CheckPublicKey(created.PublicKey); err != nil {
		return account.Credential{}, refuse(messagePublicKey, err)
	}
	aaguid, err := uuid.FromBytes(created.Authenticator.AAGUID)
	if err != nil {
		return account.Credential{}, refuse("the AAGUID is invalid", err)
	}
	return account.Credential{
		CredentialID:    created.ID,
		PublicKey:       created.PublicKey,
		AttestationType: created.AttestationType,
		AAGUID:          aaguid.String(),
		Transports:      transports(created.Transport),
		Attachment:      string(created.Authenticator.Attachment),
		BackupEligible:  created.Flags.BackupEligible,
		BackupState:     created.Flags.BackupState,
		UserVerified:    created.Flags.UserVerified,
		SignCount:       created.Authenticator.SignCount,
		RPID:            p.project.RPID,
	}, nil
}

// Use is what a verified assertion says about the passkey and the way it was used.
type Use struct {
	Counter      uint32 // signature counter; 0 if the authenticator keeps none
	BackupState  bool
	UserVerified bool
	Attachment   string // platform, cross-platform or empty: what the client said of the authenticator
}

// Verify verifies an assertion by one of the account's passkeys, in answer to a challenge. With discoverable, the answer must name the user
// itself. The signature counter is not judged: that takes the account as it is when the use is recorded, see CountSignature.
func (p *Party) Verify(
	a account.Account, r challenge.Record, discoverable bool, answer *protocol.ParsedCredentialAssertionData,
) (Use, error) {
	session, allowed, err := requested(a, r, discoverable, answer.RawID)
	if err != nil {
		return Use{}, err
	}
	if !allowed {
		return Use{}, refuse("the credential is not one of those that were allowed", nil)
	}
	web, err := p.library()
	if err != nil {
		return Use{}, err
	}
	signer := user{Account: a}
	if discoverable {
		if len(answer.Response.UserHandle) == 0 {
			return Use{}, refuse("the user handle is missing", nil)
		}
		_, _, err = web.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return signer, nil }, session, answer)
	} else {
		_, err = web.ValidateLogin(signer, session, answer)
	}
	if err != nil {
		return Use{}, p.explainAssertion(err, signer, session, answer)
	}
	data := answer.Response.AuthenticatorData
	return Use{
		Counter:      data.Counter,
		BackupState:  data.Flags.HasBackupState(),
		UserVerified: data.Flags.HasUserVerified(),
		Attachment:   string(answer.AuthenticatorAttachment),
	}, nil
}

// Counted is what a signature counter says of a credential.
type Counted int

// What a counter says (W3C WebAuthn Level 3 §6.1.1).
const (
	Rose      Counted = iota // or there is none
	Regressed                // the key may have been copied: the counter is that of an earlier signature
	NoLonger                 // there was a counter, and there is none now, as when a system's update stopped counting
)

// CountSignature advances the signature counter of a credential. If it did not go up, CloneWarning is set; the counter of one that counts
// no longer is forgotten.
func CountSignature(c *account.Credential, counter uint32) Counted {
	authenticator := webauthn.Authenticator{SignCount: c.SignCount}
	authenticator.UpdateCounter(counter)
	switch {
	case !authenticator.CloneWarning:
		c.SignCount = authenticator.SignCount
		return Rose
	case counter == 0:
		c.SignCount, c.CloneWarning = 0, true
		return NoLonger
	default:
		c.CloneWarning = true
		return Regressed
	}
}

// requested returns the library's session of a request, and whether the request allowed a passkey. The session names none: the library
// wants every one to be there still, and another one of the user's may have been deleted since.
func requested(a account.Account, r challenge.Record, discoverable bool, passkey []byte) (s webauthn.SessionData, allowed bool, err error) {
	if sealed := r.Sealed(); sealed != nil {
		s = webauthn.SessionData{
			Challenge: r.Value, RelyingPartyID: r.RPID, UserVerification: protocol.UserVerificationRequirement(sealed.UserVerification),
		}
		if !discoverable {
			s.UserID = a.UserHandle
		}
		return s, sealed.Allows(passkey), nil
	}
	if s, err = decode(r.Session); err != nil {
		return s, false, err
	}
	allowed = len(s.AllowedCredentialIDs) == 0 ||
		slices.ContainsFunc(s.AllowedCredentialIDs, func(id []byte) bool { return slices.Equal(id, passkey) })
	s.AllowedCredentialIDs = nil
	return s, allowed, nil
}

// Requested is the state of a request that no record was made of: of a challenge that is known again by itself, to whatever passkey of the
// user.
func (p *Party) Requested(value, userVerification string) (challenge.Record, error) {
	data, err := json.Marshal(webauthn.SessionData{
		Challenge: value, RelyingPartyID: p.project.RPID, UserVerification: protocol.UserVerificationRequirement(userVerification),
	})
	if err != nil {
		return challenge.Record{}, fmt.Errorf("encode session: %w", err)
	}
	return challenge.Record{Value: value, RPID: p.project.RPID, Session: challenge.Session{Format: sessionFormat, Data: data}}, nil
}

func decode(s challenge.Session) (webauthn.SessionData, error) {
	if s.Format != sessionFormat {
		return webauthn.SessionData{}, refuse(
			"the ceremony was started by another version of the server; start it again", fmt.Errorf("session format %q", s.Format),
		)
	}
	var session webauthn.SessionData
	if err := json.Unmarshal(s.Data, &session); err != nil {
		return webauthn.SessionData{}, fmt.Errorf("decode session: %w", err)
	}
	return session, nil
}

// user shows an account to the library.
type user struct {
	account.Account
	username string
}

func (u user) WebAuthnID() []byte { return u.UserHandle }

func (u user) WebAuthnName() string { return u.username }

func (u user) WebAuthnDisplayName() string {
	if u.FullName != nil && *u.FullName != "" {
		return *u.FullName
	}
	return u.username
}

func (u user) WebAuthnCredentials() []webauthn.Credential {
	credentials := make([]webauthn.Credential, len(u.Credentials))
	for i := range u.Credentials {
		credentials[i] = credential(&u.Credentials[i])
	}
	return credentials
}

func credential(c *account.Credential) webauthn.Credential {
	flags := protocol.FlagUserPresent
	if c.UserVerified {
		flags |= protocol.FlagUserVerified
	}
	if c.BackupEligible {
		flags |= protocol.FlagBackupEligible
	}
	if c.BackupState {
		flags |= protocol.FlagBackupState
	}
	return webauthn.Credential{
		ID:              c.CredentialID,
		PublicKey:       c.PublicKey,
		AttestationType: c.AttestationType,
		Flags:           webauthn.NewCredentialFlags(flags),
		Authenticator:   webauthn.Authenticator{SignCount: c.SignCount},
	}
}

func descriptors(credentials []*account.Credential) []protocol.CredentialDescriptor {
	list := make([]protocol.CredentialDescriptor, len(credentials))
	for i, c := range credentials {
		list[i] = protocol.CredentialDescriptor{Type: protocol.PublicKeyCredentialType, CredentialID: c.CredentialID}
		for _, t := range c.Transports {
			list[i].Transport = append(list[i].Transport, protocol.AuthenticatorTransport(t))
		}
	}
	return list
}

func hints(names []string) []protocol.PublicKeyCredentialHints {
	list := make([]protocol.PublicKeyCredentialHints, len(names))
	for i, name := range names {
		list[i] = protocol.PublicKeyCredentialHints(name)
	}
	return list
}

// Bounds of what a client may say of an authenticator's transports; W3C WebAuthn knows seven, of at most ten letters.
const (
	maxTransports      = 8
	maxTransportLength = 32
)

func transports(reported []protocol.AuthenticatorTransport) []string {
	var kept []string
	for _, t := range reported {
		if len(kept) < maxTransports && len(t) > 0 && len(t) <= maxTransportLength && !slices.Contains(kept, string(t)) {
			kept = append(kept, string(t))
		}
	}
	return kept
}

func refuse(message string, cause error) *fault.Refusal {
	refusal := fault.Refuse(message)
	if cause == nil {
		return refusal
	}
	return refusal.Because(cause)
}

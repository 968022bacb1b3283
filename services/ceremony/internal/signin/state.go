// Package signin is the course of a sign-up or a login: what has been said and proven, what a client is to show, and what is to be done
// next. It is pure: every transition takes a state and returns another, and whoever calls does what a phase asks for and tells how it went.
//
// A state reaches Completing only with a proof: a passkey, a code, or a sign-up of whose identifiers none has to be verified. What is to be
// verified after the passkey is owed until then.
package signin

import (
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/ceremony/internal/code"
	"github.com/keyward/keyward/services/ceremony/internal/process"
)

// ErrPlace reports a call that does not belong where the process is.
var ErrPlace = fault.Field("process", "the process is not at a block that this call belongs to").Named("process-place")

// Phase is where a process is. Joining, Offering and Completing show nothing: something is to be done there, and done again if it was
// interrupted.
type Phase string

// The phases.
const (
	Begin         Phase = "begin"          // login-init or signup-init is shown
	PasskeyLogin  Phase = "passkey-login"  // passkey-verify is shown
	Verifying     Phase = "verifying"      // email-verify or phone-verify is shown
	Joining       Phase = "joining"        // the user is to be created
	Offering      Phase = "offering"       // the policy is to be asked whether to offer a passkey
	PasskeyAppend Phase = "passkey-append" // passkey-append is shown
	Appended      Phase = "appended"       // passkey-appended is shown
	Completing    Phase = "completing"     // the session is to be opened
)

// Proof is what shows that whoever holds the process is the user.
type Proof string

// The proofs.
const (
	NoProof   Proof = ""
	ByPasskey Proof = "passkey"
	ByCode    Proof = "code"    // or link
	ByNothing Proof = "nothing" // a sign-up whose identifiers need not be verified
)

// The kinds of processes.
const (
	SignUp = frontend.BlockBodyAuthTypeSignup
	Login  = frontend.BlockBodyAuthTypeLogin
)

// State is a process under way, as it is stored.
type State struct {
	Phase Phase                      `json:"phase"`
	Auth  frontend.BlockBodyAuthType `json:"auth"`
	Proof Proof                      `json:"proof,omitempty"`
	// Seed is what the IDs of the user, the identifiers and the session are derived from that the process makes: what is made twice is the
	// same.
	Seed     ident.Seed `json:"seed"`
	Settings Settings   `json:"settings"`
	// Given is the login that was offered last, which a client may tell of before anything is proven.
	Given *process.Given `json:"given,omitempty"`
	// Mediation is what the login form asks browsers for a passkey with, if it does.
	Mediation string                 `json:"mediation,omitempty"`
	Problem   *frontend.RequestError `json:"problem,omitempty"` // of the block that is shown

	Entry   Entry         `json:"entry"`             // of a sign-up
	Typed   Typed         `json:"typed"`             // into the login form
	Means   []Means       `json:"means,omitempty"`   // beside a passkey, to prove who logs in; the best first
	Current *Verification `json:"current,omitempty"` // the one under way, or that was the proof

	User        ident.UserID               `json:"user,omitempty"`
	Unknown     string                     `json:"unknown,omitempty"` // WebAuthn ID of a passkey that was tried and that nobody has
	Name        Identifier                 `json:"name"`              // what the session and the authenticator call the user
	Offer       *Offer                     `json:"offer,omitempty"`
	Asked       bool                       `json:"asked,omitempty"`       // a passkey of the user has been asked for
	AfterHybrid bool                       `json:"afterHybrid,omitempty"` // the login came from another device
	Operation   *frontend.PasskeyOperation `json:"operation,omitempty"`
	Methods     []string                   `json:"amr,omitempty"` // of the passkey's login (RFC 8176); none = not said
	// Most that the session may live, as the policy obliges; 0 = it says nothing
	MaxSessionSeconds int `json:"maxSessionSeconds,omitempty"`
}

// Settings are what a client says at the beginning.
type Settings struct {
	AppendShown int64 `json:"appendShown,omitempty"` // when it last showed that a passkey can be created; Unix seconds
	NotAfterCDA bool  `json:"notAfterCDA,omitempty"` // the user does not want to be asked after a login with another device
}

// SettingsOf returns what a client says when it begins a process.
func SettingsOf(body frontend.ProcessInitReq) Settings {
	var settings Settings
	if body.PasskeyAppendShown != nil {
		settings.AppendShown = *body.PasskeyAppendShown
	}
	settings.NotAfterCDA = body.OptOutOfPasskeyAppendAfterHybrid != nil && *body.OptOutOfPasskeyAppendAfterHybrid
	return settings
}

// Flags are the settings as the policy is told them. Whether they keep anything from being offered is for the policy to say, and on record.
func (s Settings) Flags() rest.PasskeyIntelFlags {
	var flags rest.PasskeyIntelFlags
	if s.AppendShown != 0 {
		flags.AppendShown = &s.AppendShown
	}
	if s.NotAfterCDA {
		flags.OptOutAfterHybrid = &s.NotAfterCDA
	}
	return flags
}

// Identifier is a value of a type.
type Identifier struct {
	Type  account.IdentifierType `json:"type"`
	Value string                 `json:"value"`
}

// Typed is what was typed into the login form.
type Typed struct {
	Value   string                 `json:"value"`
	IsPhone bool                   `json:"isPhone,omitempty"`
	Problem *frontend.RequestError `json:"problem,omitempty"`
}

// Means is a way to prove who logs in by something that is sent.
type Means struct {
	Type   account.IdentifierType      `json:"type"`
	Method frontend.VerificationMethod `json:"method"`
	Value  string                      `json:"value,omitempty"` // where it is sent; empty = nowhere, since there is no such user
	Shown  string                      `json:"shown"`           // what a client is told of it
}

// Verification is something that was sent and is to come back.
type Verification struct {
	Means
	Due     bool                   `json:"due,omitempty"` // it is to be sent
	ID      ident.CodeID           `json:"id,omitempty"`
	Code    code.Entry             `json:"code"`
	RetryAt int64                  `json:"retryAt,omitempty"` // Unix seconds: too much has been sent to be sent again before
	Problem *frontend.RequestError `json:"problem,omitempty"`
}

// Offer is the passkey that was asked for last, to be created or used.
type Offer struct {
	Options string `json:"options"`
	CDA     bool   `json:"cda,omitempty"` // of a login: with another device
	// Elsewhere is what holds the passkey of the other device, if that is known.
	Elsewhere string             `json:"elsewhere,omitempty"`
	Variant   rest.AppendVariant `json:"variant,omitempty"`
	Auto      bool               `json:"auto,omitempty"`
	Expires   int64              `json:"expires"`         // Unix ms
	Taken     bool               `json:"taken,omitempty"` // a client has asked for it: the next one who asks gets another
}

// New returns the state of a process that begins.
func New(auth frontend.BlockBodyAuthType, seed ident.Seed, settings Settings) State {
	return State{Phase: Begin, Auth: auth, Seed: seed, Settings: settings}
}

// anew returns the state without whatever an earlier attempt has left.
func (s State) anew(auth frontend.BlockBodyAuthType) State {
	fresh := New(auth, s.Seed, s.Settings)
	fresh.Mediation = s.Mediation
	return fresh
}

// Open reports whether nothing is proven yet, so that the process can still become another user's.
func (s State) Open() bool { return s.Proof == NoProof }

// Told reports whether the client knows already that there is such a user. Before, it must not be able to find out, not even by how long an
// answer takes.
func (s State) Told() bool { return s.User != "" && (s.Asked || !s.Open()) }

// SignUpWith enters what a user signs up with. Entries at fault are shown again.
func (s State) SignUpWith(e Entry) (State, error) {
	if !s.Open() {
		return s, ErrPlace
	}
	s = s.anew(SignUp)
	s.Entry = e
	if e.Faulty() {
		return s, nil
	}
	return s.proveNext(), nil
}

// proveNext goes on to the next identifier of a sign-up that has to be verified, or to the creation of the user.
func (s State) proveNext() State {
	for _, f := range s.Entry.Fields {
		if f.Method == "" || f.Proven || f.Value == "" || f.Later {
			continue
		}
		return s.verifying(f)
	}
	s.Phase, s.Name = Joining, s.Entry.name()
	if s.Proof == NoProof {
		s.Proof = ByNothing
	}
	return s
}

func (s State) verifying(f Field) State {
	s.Phase = Verifying
	s.Current = &Verification{Means: Means{Type: f.Type, Method: f.Method, Value: f.Value, Shown: f.Value}, Due: true}
	return s
}

// Owes reports whether the user of a sign-up is there, and has an identifier that is to be verified before there is a session.
func (s State) Owes() bool { return s.Auth == SignUp && s.User != "" && s.Entry.owed() != nil }

// finish goes on to the session, or to what is owed before there is one.
func (s State) finish() State {
	s.Offer, s.Problem = nil, nil
	if s.Owes() {
		return s.verifying(*s.Entry.owed())
	}
	s.Phase = Completing
	return s
}

// Taken goes back to the form: an identifier has become another's meanwhile.
func (s State) Taken(kind account.IdentifierType) (State, error) {
	if s.Phase != Joining {
		return s, ErrPlace
	}
	s.Phase, s.Proof, s.Current = Begin, NoProof, nil
	s.Entry = s.Entry.without().mark(kind, ProblemTaken())
	return s, nil
}

// Joined notes that the user of a sign-up is there.
func (s State) Joined(user ident.UserID) (State, error) {
	if s.Phase != Joining {
		return s, ErrPlace
	}
	s.Phase, s.User = Offering, user
	return s, nil
}

// Found is what became of a login form.
type Found struct {
	User  ident.UserID // empty: nobody
	Name  Identifier
	Means []Means
	Offer *Offer // nil: no login with a passkey
}

// LogIn enters what was typed into the login form and what was found. Whoever has no passkey is to be proven by what is sent.
func (s State) LogIn(typed Typed, found Found) (State, error) {
	if !s.Open() {
		return s, ErrPlace
	}
	s = s.anew(Login)
	s.Typed, s.User, s.Name, s.Means = typed, found.User, found.Name, found.Means
	if found.Offer != nil {
		s.Phase, s.Offer, s.Asked, s.Given = PasskeyLogin, found.Offer, true, process.GivenIn(found.Offer.Options)
		return s, nil
	}
	return s.fallBack(), nil
}

func (s State) fallBack() State {
	s.Offer = nil
	if len(s.Means) == 0 {
		// The user is named no longer: this is where somebody who does not exist ends too.
		s.Phase, s.User, s.Name = Begin, "", Identifier{}
		s.Typed.Problem = ProblemNoLogin()
		return s
	}
	s.Phase = Verifying
	s.Current = &Verification{Means: s.Means[0], Due: true}
	return s
}

// Offered notes options for a passkey, in place of those before.
func (s State) Offered(o Offer) (State, error) {
	if s.Phase != Offering && s.Phase != PasskeyAppend && s.Phase != PasskeyLogin {
		return s, ErrPlace
	}
	switch s.Phase {
	case Offering:
		s.Phase = PasskeyAppend
	case PasskeyLogin:
		s.Given = process.GivenIn(o.Options)
	}
	s.Offer, s.Problem = &o, nil
	return s, nil
}

// NotOffered notes that no passkey is to be created, or used any more.
func (s State) NotOffered() (State, error) {
	switch s.Phase {
	case Offering:
		s = s.finish()
	case PasskeyAppend:
		s.Problem = ProblemNoAppend()
	case PasskeyLogin:
		s = s.fallBack()
		s.Problem = ProblemNoPasskey()
	default:
		return s, ErrPlace
	}
	return s, nil
}

// Handed notes that a client got the options on asking. They are good once.
func (s State) Handed(now time.Time) (State, bool) {
	if (s.Phase != PasskeyLogin && s.Phase != PasskeyAppend) || s.Offer == nil || s.Offer.Taken || now.UnixMilli() >= s.Offer.Expires {
		return s, false
	}
	o := *s.Offer
	o.Taken = true
	s.Offer, s.Problem = &o, nil
	return s, true
}

// Known is who a passkey has shown the user to be.
type Known struct {
	User      ident.UserID
	Name      Identifier
	Operation frontend.PasskeyOperation
	Methods   []string // RFC 8176; none = not said
	// Most that the session may live, as the policy obliges; 0 = it says nothing
	MaxSessionSeconds int
}

// LoggedIn notes a login with a passkey of the user whom the process is about.
func (s State) LoggedIn(by Known) (State, error) {
	if s.Phase != PasskeyLogin || s.User != by.User {
		return s, ErrPlace
	}
	return s.known(by), nil
}

// Mediated notes a login with a passkey that the login form has asked for: the passkey says who it is.
func (s State) Mediated(by Known) (State, error) {
	if !s.Open() || s.Phase != Begin {
		return s, ErrPlace
	}
	return s.anew(Login).known(by), nil
}

func (s State) known(by Known) State {
	s.Phase, s.Proof, s.User, s.Name, s.Operation, s.Methods = Offering, ByPasskey, by.User, by.Name, &by.Operation, by.Methods
	s.MaxSessionSeconds = by.MaxSessionSeconds
	s.AfterHybrid = by.Operation.CeremonyType == rest.CeremonyTypeCDA
	s.Current, s.Offer, s.Problem = nil, nil, nil
	return s
}

// Unmediated is why a passkey logged nobody in.
type Unmediated struct {
	Problem *frontend.RequestError
	Unknown string // WebAuthn ID of a passkey that the project never had; empty = it is none such
}

// NotMediated goes back to the login form, with other options for browsers and why.
func (s State) NotMediated(mediation string, why Unmediated) (State, error) {
	if !s.Open() || s.Phase != Begin {
		return s, ErrPlace
	}
	s = s.anew(Login)
	s.Mediation, s.Problem, s.Unknown = mediation, why.Problem, why.Unknown
	return s, nil
}

// Created notes the passkey that was created, and how long the session may live at most that follows; 0 = as long as before.
func (s State) Created(operation frontend.PasskeyOperation, maxSessionSeconds int) (State, error) {
	if s.Phase != PasskeyAppend {
		return s, ErrPlace
	}
	s.Phase, s.Operation, s.Offer, s.Problem = Appended, &operation, nil, nil
	if maxSessionSeconds > 0 && (s.MaxSessionSeconds == 0 || maxSessionSeconds < s.MaxSessionSeconds) {
		s.MaxSessionSeconds = maxSessionSeconds
	}
	return s, nil
}

// Skip leaves a block without what it asks for.
func (s State) Skip() (State, error) {
	if s.Phase == PasskeyLogin {
		return s.fallBack(), nil
	}
	return s.Complete()
}

// Complete goes on to the session, if everything is proven.
func (s State) Complete() (State, error) {
	switch s.Phase {
	case PasskeyAppend, Appended:
		return s.finish(), nil
	case Joining, Offering, Completing:
		return s, nil // what was begun goes on
	default:
		return s, ErrPlace
	}
}

package signin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/project"
)

// View is what blocks are made of beside the state.
type View struct {
	Project   project.Frontend
	RPID      string
	UserAgent string
}

// Preferred is which of the two forms a client wants to show.
func Preferred(p project.Frontend, block *frontend.BlockType, otherwise frontend.BlockBodyAuthType) frontend.BlockBodyAuthType {
	switch {
	case block == nil:
		return otherwise
	case *block == frontend.BlockTypeSignupInit && !p.NoSignUp:
		return SignUp
	case *block == frontend.BlockTypeLoginInit:
		return Login
	default:
		return otherwise
	}
}

// Block returns what a client is to show. A state that shows nothing has none.
func (s State) Block(v View) (frontend.BlockBody, error) {
	switch s.Phase {
	case Begin:
		return s.beginning(v)
	case PasskeyLogin:
		return s.passkeyVerify()
	case Verifying:
		return s.verification()
	case PasskeyAppend:
		return s.passkeyAppend(v)
	case Appended:
		return s.body(frontend.BlockTypePasskeyAppended, func(d *frontend.BlockData) error {
			return d.FromBlockPasskeyAppended(frontend.BlockPasskeyAppended{BlockType: frontend.BlockPasskeyAppendedBlockTypePasskeyAppended})
		})
	default:
		return frontend.BlockBody{}, fmt.Errorf("nothing is shown in the phase %s", s.Phase)
	}
}

func (s State) body(block frontend.BlockType, data func(*frontend.BlockData) error) (frontend.BlockBody, error) {
	body := frontend.BlockBody{Block: block, AuthType: s.Auth, Error: s.Problem}
	if err := data(&body.Data); err != nil {
		return frontend.BlockBody{}, fmt.Errorf("encode block %s: %w", block, err)
	}
	return body, nil
}

// beginning is one of the two forms with the other as its alternative: clients change between them by themselves.
func (s State) beginning(v View) (frontend.BlockBody, error) {
	login, err := s.loginForm(v)
	if err != nil || (v.Project.NoSignUp && s.Auth == Login) {
		return login, err
	}
	signUp, err := s.signUpForm(v)
	if err != nil {
		return frontend.BlockBody{}, err
	}
	first, second := login, signUp
	if s.Auth == SignUp {
		first, second = signUp, login
	}
	second.Error = nil
	first.Alternatives = &[]frontend.BlockBody{second}
	return first, nil
}

func social() frontend.SocialData {
	return frontend.SocialData{Providers: []rest.SocialProviderType{}, Status: frontend.SocialDataStatusInitial}
}

func (s State) loginForm(v View) (frontend.BlockBody, error) {
	form := frontend.BlockLoginInit{
		BlockType:       frontend.BlockLoginInitBlockTypeLoginInit,
		IdentifierValue: s.Typed.Value,
		IsPhone:         s.Typed.IsPhone,
		FieldError:      s.Typed.Problem,
		SocialData:      social(),
	}
	if s.Unknown != "" {
		form.Signals = &frontend.PasskeySignals{RpID: v.RPID, UnknownCredentialID: &s.Unknown}
	}
	if s.Mediation != "" {
		form.ConditionalUIChallenge = &s.Mediation
	}
	_, form.IsEmailAvailable = v.Project.Rule(account.IdentifierTypeEmail)
	_, form.IsPhoneAvailable = v.Project.Rule(account.IdentifierTypePhone)
	_, form.IsUsernameAvailable = v.Project.Rule(account.IdentifierTypeUsername)
	body, err := s.body(frontend.BlockTypeLoginInit, func(d *frontend.BlockData) error { return d.FromBlockLoginInit(form) })
	body.AuthType = Login
	return body, err
}

func (s State) signUpForm(v View) (frontend.BlockBody, error) {
	entry := s.Entry
	if len(entry.Fields) == 0 {
		for _, rule := range v.Project.IdentifierRules() {
			entry.Fields = append(entry.Fields, Field{Type: rule.Type})
		}
	}
	form := frontend.BlockSignupInit{
		BlockType:   frontend.BlockSignupInitBlockTypeSignupInit,
		Identifiers: []frontend.IdentifierWithError{},
		SocialData:  social(),
		Error:       entry.Closed,
	}
	for _, f := range entry.Fields {
		form.Identifiers = append(form.Identifiers, frontend.IdentifierWithError{
			Type: rest.IdentifierType(f.Type), Identifier: f.Value, ReceivesCodes: new(f.receivesCodes()), Error: f.Problem,
		})
	}
	if v.Project.FullName {
		form.FullName = &frontend.FullNameWithError{FullName: entry.FullName, Error: entry.Problem}
	}
	body, err := s.body(frontend.BlockTypeSignupInit, func(d *frontend.BlockData) error { return d.FromBlockSignupInit(form) })
	body.AuthType = SignUp
	return body, err
}

func (s State) passkeyVerify() (frontend.BlockBody, error) {
	block := frontend.BlockPasskeyVerify{
		BlockType: frontend.BlockPasskeyVerifyBlockTypePasskeyVerify, Challenge: s.Offer.Options, IdentifierValue: s.Typed.Value,
	}
	if s.Offer.CDA {
		hint := frontend.BlockPasskeyVerifyLoginHintCDA
		block.LoginHint = &hint
		if s.Offer.Elsewhere != "" {
			block.OtherDevice = &s.Offer.Elsewhere
		}
	}
	body, err := s.body(frontend.BlockTypePasskeyVerify, func(d *frontend.BlockData) error { return d.FromBlockPasskeyVerify(block) })
	if err != nil {
		return body, err
	}
	alternatives := []frontend.BlockBody{}
	for _, m := range s.Means {
		other := s
		other.Current, other.Problem = &Verification{Means: m}, nil
		alternative, err := other.verification()
		if err != nil {
			return body, err
		}
		alternatives = append(alternatives, alternative)
	}
	body.Alternatives = &alternatives
	return body, nil
}

func (s State) verification() (frontend.BlockBody, error) {
	kind, data := frontend.BlockTypeEmailVerify, frontend.BlockVerifyIdentifierBlockTypeEmailVerify
	if s.Current.Type == account.IdentifierTypePhone {
		kind, data = frontend.BlockTypePhoneVerify, frontend.BlockVerifyIdentifierBlockTypePhoneVerify
	}
	block := frontend.BlockVerifyIdentifier{
		BlockType: data, VerificationMethod: s.Current.Method, Identifier: s.Current.Shown, Error: s.Current.Problem,
		AlternativeVerificationMethods: []frontend.AlternativeVerificationMethod{},
	}
	if s.Current.RetryAt != 0 {
		block.RetryNotBefore = &s.Current.RetryAt
	}
	for _, m := range s.Means {
		if m != s.Current.Means {
			block.AlternativeVerificationMethods = append(
				block.AlternativeVerificationMethods, frontend.AlternativeVerificationMethod{VerificationMethod: m.Method, Identifier: m.Shown},
			)
		}
	}
	return s.body(kind, func(d *frontend.BlockData) error { return d.FromBlockVerifyIdentifier(block) })
}

// passkeyAppend has completed as its alternative: that is how clients know that it can be skipped. After a login with another device it is
// the same block, of another variant, since existing clients know no other.
func (s State) passkeyAppend(v View) (frontend.BlockBody, error) {
	block := frontend.BlockPasskeyAppend{
		BlockType:       frontend.BlockPasskeyAppendBlockTypePasskeyAppend,
		Challenge:       s.Offer.Options,
		IdentifierValue: s.Name.Value,
		IdentifierType: rest.IdentifierType(
			s.Name.Type,
		),
		AutoSubmit:     s.Offer.Auto,
		OnlyWayBack:    new(s.onlyWayBack()),
		PasskeyIconSet: iconSet(v.UserAgent),
		Variant:        s.variant(),
	}
	body, err := s.body(frontend.BlockTypePasskeyAppend, func(d *frontend.BlockData) error { return d.FromBlockPasskeyAppend(block) })
	if err != nil {
		return body, err
	}
	other := s
	other.Problem = nil
	completed, err := other.CompletedBlock(frontend.BlockCompleted{})
	body.Alternatives = &[]frontend.BlockBody{completed}
	return body, err
}

// onlyWayBack reports whether the user could not log in again without a passkey. Who logs in has come by a passkey or by a code.
func (s State) onlyWayBack() bool {
	return s.Auth == SignUp && !slices.ContainsFunc(s.Entry.Fields, func(f Field) bool { return f.Value != "" && f.receivesCodes() })
}

func (s State) variant() frontend.BlockPasskeyAppendVariant {
	if s.AfterHybrid {
		return frontend.BlockPasskeyAppendVariantAfterHybrid
	}
	if v := frontend.BlockPasskeyAppendVariant(s.Offer.Variant); v.Valid() {
		return v
	}
	return frontend.BlockPasskeyAppendVariantDefault
}

// CompletedBlock is the last one.
func (s State) CompletedBlock(c frontend.BlockCompleted) (frontend.BlockBody, error) {
	c.BlockType = frontend.BlockCompletedBlockTypeCompleted
	return s.body(frontend.BlockTypeCompleted, func(d *frontend.BlockData) error { return d.FromBlockCompleted(c) })
}

// GuestBlock is what is shown where a link was opened: the process goes on elsewhere, unless the link was not accepted.
func GuestBlock(s State, method frontend.VerificationMethod) (frontend.BlockBody, error) {
	if s.Phase == Verifying && s.Current.Problem != nil {
		return s.verification()
	}
	reason := frontend.ContinueOnOtherDeviceReasonProcessAlreadyCompleted
	shown := s
	if shown.Current == nil {
		shown.Current = &Verification{Means: Means{Type: account.IdentifierTypeEmail, Method: method}}
	}
	if s.Phase == Joining || s.Phase == Verifying {
		reason = frontend.ContinueOnOtherDeviceReasonEmailLinkVerified
	}
	body, err := shown.verification()
	body.ContinueOnOtherDevice = &frontend.ContinueOnOtherDevice{Reason: reason}
	return body, err
}

// iconSet is how the platform of a client looks.
func iconSet(userAgent string) frontend.BlockPasskeyAppendPasskeyIconSet {
	for _, known := range []struct {
		in  string
		set frontend.BlockPasskeyAppendPasskeyIconSet
	}{
		{"Android", frontend.BlockPasskeyAppendPasskeyIconSetAndroid}, {"Windows", frontend.BlockPasskeyAppendPasskeyIconSetWindows},
		{"iPhone", frontend.BlockPasskeyAppendPasskeyIconSetApple}, {"iPad", frontend.BlockPasskeyAppendPasskeyIconSetApple},
		{"Macintosh", frontend.BlockPasskeyAppendPasskeyIconSetApple},
	} {
		if strings.Contains(userAgent, known.in) {
			return known.set
		}
	}
	return frontend.BlockPasskeyAppendPasskeyIconSetDefault
}

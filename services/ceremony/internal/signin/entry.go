package signin

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/project"
)

// Entry is what a user signs up with.
type Entry struct {
	Fields   []Field                `json:"fields,omitempty"`
	FullName string                 `json:"fullName,omitempty"`
	Problem  *frontend.RequestError `json:"problem,omitempty"` // of the full name
	Closed   *frontend.RequestError `json:"closed,omitempty"`  // of everything
}

// Field is one identifier of a sign-up.
type Field struct {
	Type    account.IdentifierType      `json:"type"`
	Value   string                      `json:"value"`
	Method  frontend.VerificationMethod `json:"method,omitempty"` // how it is verified first; empty = it need not be
	Later   bool                        `json:"later,omitempty"`  // it is verified when the user is there and has been offered a passkey
	Proven  bool                        `json:"proven,omitempty"`
	Problem *frontend.RequestError      `json:"problem,omitempty"`
}

// receivesCodes reports whether something can be sent to it by which the user logs in.
func (f Field) receivesCodes() bool { return f.Type != account.IdentifierTypeUsername }

// The length of a full name in characters, as of all users.
const (
	minFullName = 3
	maxFullName = 255
)

// Fill returns a sign-up form as a project has it, with what was given, and what is wrong with that.
func Fill(p project.Frontend, given frontend.SignupInitReq) Entry {
	var e Entry
	if p.NoSignUp {
		e.Closed = ProblemClosed()
	}
	for _, rule := range p.IdentifierRules() {
		e.Fields = append(e.Fields, fillField(rule, given.Identifiers))
	}
	for _, other := range given.Identifiers {
		kind := account.IdentifierType(other.Type)
		if _, ok := p.Rule(kind); !ok {
			e.Fields = append(e.Fields, Field{Type: kind, Value: other.Identifier, Problem: ProblemNotAllowed()})
		}
	}
	if !slices.ContainsFunc(e.Fields, func(f Field) bool { return f.Value != "" }) {
		for i := range e.Fields {
			e.Fields[i].Problem = ProblemMissing()
		}
	}
	if given.FullName != nil {
		e.FullName = strings.TrimSpace(*given.FullName)
	}
	length := utf8.RuneCountInString(e.FullName)
	if (p.FullName && length == 0) || (length > 0 && length < minFullName) || length > maxFullName {
		e.Problem = ProblemFullName()
	}
	return e
}

func fillField(rule project.IdentifierRule, given []frontend.LoginIdentifier) Field {
	f := Field{Type: rule.Type}
	if rule.Verify != project.VerifyNever {
		f.Method, f.Later = MethodOf(rule), rule.Verify == project.VerifyAfterPasskey
	}
	i := slices.IndexFunc(given, func(g frontend.LoginIdentifier) bool { return account.IdentifierType(g.Type) == rule.Type })
	if i < 0 || strings.TrimSpace(given[i].Identifier) == "" {
		if rule.Required {
			f.Problem = ProblemMissing()
		}
		return f
	}
	clean, err := Clean(rule.Type, given[i].Identifier)
	if err != nil {
		f.Value, f.Problem = given[i].Identifier, ProblemFormat(err)
		return f
	}
	f.Value = clean
	return f
}

// errAddress is of a user name that would be taken for another user's address.
var errAddress = errors.New("must not have the form of an email address; choose another name, or enter it as an email address")

// Clean is account.CleanIdentifier for those who choose an identifier themselves: nobody calls themselves by what may be the address of
// another.
func Clean(kind account.IdentifierType, value string) (string, error) {
	clean, err := account.CleanIdentifier(kind, value)
	if err != nil || kind != account.IdentifierTypeUsername {
		return clean, err
	}
	if _, err := account.CleanIdentifier(account.IdentifierTypeEmail, clean); err == nil {
		return "", errAddress
	}
	return clean, nil
}

// MethodOf returns how an identifier is verified.
func MethodOf(rule project.IdentifierRule) frontend.VerificationMethod {
	switch {
	case rule.Type == account.IdentifierTypePhone:
		return frontend.VerificationMethodPhoneOtp
	case rule.Link:
		return frontend.VerificationMethodEmailLink
	default:
		return frontend.VerificationMethodEmailOtp
	}
}

// Faulty reports whether there is anything to correct.
func (e Entry) Faulty() bool {
	return e.Closed != nil || e.Problem != nil || slices.ContainsFunc(e.Fields, func(f Field) bool { return f.Problem != nil })
}

// MarkTaken says of an identifier that it is another's.
func (e Entry) MarkTaken(kind account.IdentifierType) Entry { return e.mark(kind, ProblemTaken()) }

func (e Entry) mark(kind account.IdentifierType, problem *frontend.RequestError) Entry {
	return e.each(func(f *Field) {
		if f.Type == kind {
			f.Problem = problem
		}
	})
}

func (e Entry) proven(kind account.IdentifierType) Entry {
	return e.each(func(f *Field) { f.Proven = f.Proven || f.Type == kind })
}

// Unverified reports whether something of the sign-up has to be verified though the user is there.
func (e Entry) Unverified() bool { return e.owed() != nil }

// owed returns what has to be verified though the user is there, or nil.
func (e Entry) owed() *Field {
	i := slices.IndexFunc(e.Fields, func(f Field) bool { return f.Later && f.Value != "" && !f.Proven })
	if i < 0 {
		return nil
	}
	return &e.Fields[i]
}

// without returns the entry with nothing proven.
func (e Entry) without() Entry { return e.each(func(f *Field) { f.Proven = false }) }

func (e Entry) replace(kind account.IdentifierType, value string) Entry {
	return e.each(func(f *Field) {
		if f.Type == kind {
			f.Value, f.Proven = value, false
		}
	})
}

// each changes a copy: states share nothing that changes.
func (e Entry) each(change func(*Field)) Entry {
	e.Fields = slices.Clone(e.Fields)
	for i := range e.Fields {
		change(&e.Fields[i])
	}
	return e
}

// name is what the user is called by: the first identifier of the form.
func (e Entry) name() Identifier {
	for _, f := range e.Fields {
		if f.Value != "" {
			return Identifier{Type: f.Type, Value: f.Value}
		}
	}
	return Identifier{}
}

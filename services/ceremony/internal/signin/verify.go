package signin

import (
	"errors"
	"slices"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/ceremony/internal/code"
)

// Verify asks for something to be sent: again, or in place of a passkey. What was sent before stays good until then.
func (s State) Verify(kind account.IdentifierType, method frontend.VerificationMethod) (State, error) {
	if !(s.Open() || s.Owes()) || (s.Phase != Verifying && s.Phase != PasskeyLogin) {
		return s, ErrPlace
	}
	if s.Current != nil && s.Current.Type == kind && s.Current.Method == method {
		again := *s.Current
		again.Due, again.Problem = true, nil
		s.Current = &again
		return s, nil
	}
	i := slices.IndexFunc(s.Means, func(m Means) bool { return m.Type == kind && m.Method == method })
	if i < 0 {
		return s, ErrPlace
	}
	s.Phase, s.Current, s.Problem = Verifying, &Verification{Means: s.Means[i], Due: true}, nil
	return s, nil
}

// Sent notes what is about to be sent. It is false if that has been done already.
func (s State) Sent(id ident.CodeID, sealed code.Entry) (State, bool) {
	if s.Phase != Verifying || !s.Current.Due {
		return s, false
	}
	s.Current = &Verification{Means: s.Current.Means, ID: id, Code: sealed}
	return s, true
}

// Wait notes that nothing more may be sent for a while.
func (s State) Wait(until time.Time) (State, bool) {
	if s.Phase != Verifying || !s.Current.Due {
		return s, false
	}
	waiting := *s.Current
	waiting.Due, waiting.RetryAt = false, until.Unix()
	s.Current = &waiting
	return s, true
}

// Attempt judges what came back. What is wrong is counted, and in every way the same is said of it.
func (s State) Attempt(method frontend.VerificationMethod, ref code.Ref, a code.Attempt) (State, error) {
	if !(s.Open() || s.Owes()) || s.Phase != Verifying || s.Current.Method != method {
		return s, ErrPlace
	}
	tried := *s.Current
	s.Current = &tried
	ref.ID = tried.ID
	right, err := tried.right(ref, a)
	if err != nil {
		return s, err
	}
	if !right {
		tried.Problem = ProblemCode(method)
		return s, nil
	}
	tried.Problem = nil
	if s.Auth == Login {
		s.Phase, s.Proof, s.Problem = Offering, ByCode, nil
		return s, nil
	}
	s.Entry = s.Entry.proven(tried.Type)
	if s.User != "" {
		s.Proof = ByCode
		return s.finish(), nil
	}
	next := s.proveNext()
	if next.Phase == Joining {
		next.Proof = ByCode
	}
	return next, nil
}

// right reports whether a value is, and counts it if it is not. Its error says that it cannot be told.
func (v *Verification) right(ref code.Ref, a code.Attempt) (bool, error) {
	if v.ID == "" {
		return false, nil
	}
	err := v.Code.Try(ref, a)
	var refused *fault.Refusal
	if errors.As(err, &refused) {
		return false, nil
	}
	return err == nil, err
}

// Correct changes an identifier of a sign-up that is being verified. A value at fault is only reported.
func (s State) Correct(f Field) (State, error) {
	if !s.Open() || s.Auth != SignUp || s.Phase != Verifying || s.Current.Type != f.Type {
		return s, ErrPlace
	}
	s.Problem = f.Problem
	if f.Problem != nil {
		return s, nil
	}
	s.Entry = s.Entry.replace(f.Type, f.Value)
	// Clients ask for it to be sent. What was sent to the other value is good no longer.
	s.Current = &Verification{Means: Means{Type: f.Type, Method: s.Current.Method, Value: f.Value, Shown: f.Value}}
	return s, nil
}

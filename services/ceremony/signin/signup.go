package signin

import (
	"context"
	"errors"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/directory"
	"github.com/keyward/keyward/services/ceremony/internal/process"
	"github.com/keyward/keyward/services/ceremony/internal/signin"
	"github.com/keyward/keyward/services/ceremony/passkeys"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
	"github.com/keyward/keyward/services/ceremony/sessions"
)

// SignupInit implements service.SignIn. Until everything that has to be verified is, nothing of it is kept but the process: nobody holds an
// identifier by typing it.
func (s *Service) SignupInit(ctx context.Context, req service.ForVisit[frontend.SignupInitReq]) (processAnswer, error) {
	t, err := s.turn(ctx, req.Visit)
	if err != nil {
		return processAnswer{}, err
	}
	if !t.state.Open() {
		return processAnswer{}, signin.ErrPlace
	}
	entry := signin.Fill(t.project.Frontend, req.Body)
	if entry.Closed == nil {
		if entry, err = s.markTaken(ctx, t.project, entry); err != nil {
			return processAnswer{}, err
		}
	}
	if err := s.move(ctx, t, pure(func(state signin.State) (signin.State, error) { return state.SignUpWith(entry) })); err != nil {
		return processAnswer{}, err
	}
	return s.answer(ctx, t)
}

// markTaken looks up who has what was entered.
func (s *Service) markTaken(ctx context.Context, p project.Project, e signin.Entry) (signin.Entry, error) {
	for _, f := range e.Fields {
		if f.Value == "" || f.Problem != nil {
			continue
		}
		taken, err := s.taken(ctx, p, f.Type, f.Value)
		if err != nil {
			return e, err
		}
		if taken {
			e = e.MarkTaken(f.Type)
		}
	}
	return e, nil
}

// taken reports whether a user has an identifier. One who is left of a sign-up that was given up is deleted.
func (s *Service) taken(ctx context.Context, p project.Project, kind account.IdentifierType, value string) (bool, error) {
	a, err := s.userKnownBy(ctx, p.ID, kind, value)
	if err != nil || a == nil {
		return false, err
	}
	if !a.GivenUp(s.now().UnixMilli()) {
		return true, nil
	}
	if err := s.directory.Erase(ctx, p.ID, a.ID); err != nil && !errors.Is(err, account.ErrUnknown) {
		return false, err
	}
	return false, nil
}

// userKnownBy returns the user who has an identifier, or nil.
func (s *Service) userKnownBy(ctx context.Context, p ident.ProjectID, kind account.IdentifierType, value string) (*account.Account, error) {
	owner, err := s.directory.Owner(ctx, p, kind, value)
	if err != nil || owner == "" {
		return nil, err
	}
	a, _, err := s.accounts.Get(ctx, p, owner)
	if errors.Is(err, account.ErrUnknown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if a.Identifier(kind, value) == nil {
		return nil, nil // an entry that an interrupted write has left
	}
	return &a, nil
}

// join creates the user of a sign-up.
//
// A crash leaves nothing in anybody's way. The names are reserved first; a reservation without an account lapses after a minute, and at
// once for the same process, whose user has the same ID each time. Then the account is stored with all identifiers, as one write: there is
// no user with half of them. If the crash comes after that, the next call of the process finds the account. If no call comes, the account
// says until when its sign-up was to be complete; after that it gives way to whoever wants one of its identifiers.
func (s *Service) join(ctx context.Context, t *turn) error {
	user := t.state.Seed.UserID()
	a, _, err := s.accounts.Get(ctx, t.project.ID, user)
	if errors.Is(err, account.ErrUnknown) {
		a, err = s.createJoining(ctx, t, user)
	}
	var lost *directory.TakenError
	if errors.As(err, &lost) {
		return s.note(ctx, t, pure(func(state signin.State) (signin.State, error) { return state.Taken(lost.Type) }))
	}
	if err != nil {
		return err
	}
	if err := s.outbox.Announce(ctx, a); err != nil {
		return err
	}
	return s.note(ctx, t, pure(func(state signin.State) (signin.State, error) { return state.Joined(user) }))
}

func (s *Service) createJoining(ctx context.Context, t *turn, user ident.UserID) (account.Account, error) {
	a := t.state.Joining(t.project.ID, user, s.now(), account.SignUpHold)
	a.UserHandle, a.Unannounced = directory.NewUserHandle(), []event.Event{s.outbox.NewEvent(a.Project, a.ID, event.UserCreated)}
	err := s.directory.CreateWithIdentifiers(ctx, a)
	if errors.Is(err, account.ErrExists) {
		// A call of the same process at the same time has stored it.
		a, _, err = s.accounts.Get(ctx, a.Project, user)
	}
	return a, err
}

// giveUp deletes the user of a sign-up that is begun anew, unless it has become more than that.
func (s *Service) giveUp(ctx context.Context, t *turn, before signin.State) error {
	if before.Auth != signin.SignUp || before.User == "" {
		return nil
	}
	a, _, err := s.accounts.Get(ctx, t.project.ID, before.User)
	if errors.Is(err, account.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	if !a.GivenUp(a.SignUpUntilMs) {
		return nil
	}
	if err := s.directory.Erase(ctx, t.project.ID, a.ID); !errors.Is(err, account.ErrUnknown) {
		return err
	}
	return nil
}

// offerCreation asks the policy whether to offer a passkey to whoever has just signed up or logged in.
func (s *Service) offerCreation(ctx context.Context, t *turn) error {
	if t.state.Auth == signin.Login && t.state.Proof == signin.ByCode {
		if _, err := s.settleProven(ctx, t); err != nil { // who was not verified is, and may have a passkey
			return err
		}
	}
	offer, err := s.creationOffer(ctx, t)
	if err != nil {
		return err
	}
	return s.note(ctx, t, pure(func(state signin.State) (signin.State, error) {
		if offer == nil {
			return state.NotOffered()
		}
		return state.Offered(*offer)
	}))
}

// creationOffer returns nil if the policy offers none, or only one that users do not notice, for which these clients have no place.
func (s *Service) creationOffer(ctx context.Context, t *turn) (*signin.Offer, error) {
	situation := passkeys.SituationPostLogin
	if t.state.Auth == signin.SignUp {
		situation = passkeys.SituationSignUp
	}
	started, err := s.passkeys.AppendStart(
		reqctx.WithFrontend(ctx), service.ForProject[rest.PasskeyAppendStartReq]{Project: t.project.ID, Body: rest.PasskeyAppendStartReq{
			UserID: string(t.state.User), ProcessID: t.process.ID, Username: t.state.Name.Value, Situation: &situation,
			ClientInformation: t.client(), PasskeyIntelFlags: t.state.Settings.Flags(),
		}},
	)
	if err != nil {
		return nil, err
	}
	if err := s.stillWaits(ctx, t); err != nil {
		return nil, err
	}
	t.decided = started.Decided
	insights := started.Body.DecisionInsights
	silent := insights.Conditional != nil && *insights.Conditional && (insights.ManualAllowed == nil || !*insights.ManualAllowed)
	if !started.Body.AppendAllow || silent {
		return nil, nil
	}
	return &signin.Offer{
		Options: started.Body.AttestationOptions, Variant: insights.Variant, Auto: insights.Auto,
		Expires: s.now().Add(s.challengeTTL).UnixMilli(),
	}, nil
}

// stillWaits ends a sign-up whose user was verified elsewhere since, by whoever the user is. It is asked after options were made: those
// that were made before are good for a user who waits alone.
func (s *Service) stillWaits(ctx context.Context, t *turn) error {
	if !t.state.Owes() {
		return nil
	}
	a, _, err := s.accounts.Get(ctx, t.project.ID, t.state.User)
	if err == nil && a.Status == account.StatusActive {
		return process.ErrUnknown
	}
	return err
}

// PasskeyAppendStart implements service.SignIn. What the block has shown already is handed out once; after that, the policy is asked again.
func (s *Service) PasskeyAppendStart(ctx context.Context, req service.ForVisit[frontend.PasskeyStartReq]) (processAnswer, error) {
	return s.startPasskey(ctx, req.Visit, signin.PasskeyAppend, true, s.creationOffer)
}

// startPasskey hands out options of the phase, those that the block has shown if they will do.
func (s *Service) startPasskey(
	ctx context.Context, v service.Visit, phase signin.Phase, shown bool, ask func(context.Context, *turn) (*signin.Offer, error),
) (processAnswer, error) {
	t, err := s.turn(ctx, v)
	if err != nil {
		return processAnswer{}, err
	}
	if t.state.Phase != phase {
		return processAnswer{}, signin.ErrPlace
	}
	handed := false
	hand := func(state signin.State) (signin.State, error) {
		state, handed = state.Handed(s.now())
		return state, nil
	}
	if shown {
		if err := s.move(ctx, t, pure(hand)); err != nil {
			return processAnswer{}, err
		}
	}
	if handed {
		return s.answer(ctx, t)
	}
	offer, err := ask(ctx, t)
	if err != nil {
		return processAnswer{}, gone(err)
	}
	err = s.move(ctx, t, pure(func(state signin.State) (signin.State, error) {
		if state.Phase != phase {
			return state, signin.ErrPlace
		}
		if offer == nil {
			return state.NotOffered()
		}
		offer.Taken = true
		return state.Offered(*offer)
	}))
	if err != nil {
		return processAnswer{}, err
	}
	return s.answer(ctx, t)
}

const fieldSignedChallenge = "signedChallenge"

// PasskeyAppendFinish implements service.SignIn.
func (s *Service) PasskeyAppendFinish(ctx context.Context, req service.ForVisit[frontend.PasskeyFinishReq]) (processAnswer, error) {
	t, err := s.turn(ctx, req.Visit)
	if err != nil {
		return processAnswer{}, err
	}
	if t.state.Phase != signin.PasskeyAppend {
		return processAnswer{}, signin.ErrPlace
	}
	done, err := s.passkeys.AppendFinish(
		reqctx.WithFrontend(ctx), service.ForProject[rest.PasskeyAppendFinishReq]{Project: t.project.ID, Body: rest.PasskeyAppendFinishReq{
			UserID: string(t.state.User), ProcessID: t.process.ID, AttestationResponse: req.Body.SignedChallenge, ClientInformation: t.client(),
		}},
	)
	if err != nil {
		return processAnswer{}, gone(fault.Renamed(err, passkeys.FieldAttestation, fieldSignedChallenge))
	}
	made := reply.Operation(frontend.PasskeyOperationOperationTypeAppend, t.state.Name.Value, t.state.Name.Type, done.Body.PasskeyData)
	bound := done.Risk.Bound().MaxSessionSeconds
	if err := s.note(ctx, t, pure(func(state signin.State) (signin.State, error) { return state.Created(made, bound) })); err != nil {
		return processAnswer{}, err
	}
	return s.answer(ctx, t)
}

// openProven opens the session of a process that has proven its user, and ends the process.
//
// The ID of the session comes of the process, so that calls at the same time, or one that comes again after a crash, open the same session.
// It is answered only when the process is gone: from then on the process opens nothing.
func (s *Service) openProven(ctx context.Context, t *turn) (sessions.Login, error) {
	a, err := s.settleProven(ctx, t)
	if err != nil {
		return sessions.Login{}, err
	}
	proof := sessions.Proof{
		Identifier: t.state.Name.Value, Methods: t.state.Methods, MaxSessionSeconds: t.state.MaxSessionSeconds,
	}
	made, err := s.sessions.LogIn(reqctx.WithSeed(ctx, t.state.Seed), t.project, a, proof)
	if err != nil {
		return sessions.Login{}, err
	}
	return made, s.endProcess(ctx, t)
}

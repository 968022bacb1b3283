package signin

import (
	"context"
	"errors"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/ceremony/codes"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/code"
	"github.com/keyward/keyward/services/ceremony/internal/signin"
	"github.com/keyward/keyward/services/ceremony/signin/internal/counted"
)

// countProof counts a message, or says how long it is until there is room.
func (s *Service) countProof(ctx context.Context, to counted.Sends, now time.Time) (time.Duration, error) {
	if s.limits.Sends.On() {
		if wait, err := s.codes.Send(ctx, to.Ref, to.Own, s.limits.Sends, now); err != nil || wait > 0 {
			return wait, err
		}
	}
	if !s.limits.AllSends.On() {
		return 0, nil
	}
	wait, err := s.codes.Send(ctx, to.Ref, to.All, s.limits.AllSends, now)
	if err == nil && wait > 0 && s.limits.Sends.On() {
		err = s.codes.Unsend(ctx, to.Ref, to.Own, now)
	}
	return wait, err
}

func (s *Service) uncountProof(ctx context.Context, to counted.Sends, at time.Time) {
	codes.Undo(ctx, s.log, "take back the count of a code", func(ctx context.Context) error {
		if s.limits.Sends.On() {
			if err := s.codes.Unsend(ctx, to.Ref, to.Own, at); err != nil {
				return err
			}
		}
		if !s.limits.AllSends.On() {
			return nil
		}
		return s.codes.Unsend(ctx, to.Ref, to.All, at)
	})
}

// guess has an attempt judged. It is counted before, against the account and against the address that it comes from, in whatever process.
// Of somebody who does not exist it is counted alike.
func (s *Service) guess(ctx context.Context, t *turn, attempt transition) error {
	if t.state.Phase != signin.Verifying || t.state.Current.Method == frontend.VerificationMethodEmailLink {
		return s.move(ctx, t, attempt) // the token of a link cannot be guessed
	}
	wrong := counted.WrongCodes(t.project, t.state.Current.Means, t.visit.RemoteAddress)
	who, address := wrong.Identifier, wrong.Source
	login := t.state.Auth == signin.Login
	if login {
		if err := s.mayGuess(ctx, t, wrong.InARow); err != nil {
			return err
		}
	}
	if login && t.state.User != "" {
		who = code.Account(t.project.ID, t.state.User)
	}
	if err := s.charge(ctx, who, s.limits.Guesses); err != nil {
		return err
	}
	if err := s.charge(ctx, address, s.limits.GuessesFrom); err != nil {
		s.refund(ctx, who, s.limits.Guesses)
		return err
	}
	if err := s.move(ctx, t, attempt); err != nil {
		s.refund(ctx, who, s.limits.Guesses)
		s.refund(ctx, address, s.limits.GuessesFrom)
		return err
	}
	if t.state.Phase == signin.Verifying && t.state.Current.Problem != nil {
		if login {
			return s.countWrong(ctx, t, wrong.InARow)
		}
		return nil
	}
	s.refund(ctx, address, s.limits.GuessesFrom)
	codes.Undo(ctx, s.log, "forget wrong codes after a right one", func(ctx context.Context) error { return s.codes.Acquit(ctx, who) })
	return nil
}

// mayGuess refuses a login by codes if the account takes none any more. Of somebody who does not exist it is the same, by the count of
// nobody, and whoever it is, both counts are read.
func (s *Service) mayGuess(ctx context.Context, t *turn, nobody code.Nobody) error {
	user := t.state.User
	if user == "" {
		user = ident.Seed(t.process.ID).UserID()
	}
	a, _, err := s.accounts.Get(ctx, t.project.ID, user)
	if err != nil && !errors.Is(err, account.ErrUnknown) {
		return err
	}
	missed, err := s.codes.Missed(ctx, nobody)
	if err != nil {
		return err
	}
	if t.state.User == "" {
		a = account.Account{WrongCodes: missed}
	}
	if s.limits.Stops(&a) {
		return codes.Stopped()
	}
	return nil
}

func (s *Service) charge(ctx context.Context, who code.Guesser, g code.Guesses) error {
	wait, err := s.codes.Charge(ctx, who, g, s.now())
	if err == nil && wait > 0 {
		return codes.TooManyGuesses(wait)
	}
	return err
}

func (s *Service) refund(ctx context.Context, who code.Guesser, g code.Guesses) {
	if g.On() {
		codes.Undo(ctx, s.log, "take back the count of a wrong code", func(ctx context.Context) error { return s.codes.Refund(ctx, who) })
	}
}

// countWrong counts a wrong code before it is answered, with one write whoever it is. Nothing but the telling comes later: by how long that
// takes one could tell who exists.
func (s *Service) countWrong(ctx context.Context, t *turn, nobody code.Nobody) error {
	if t.state.User == "" {
		return s.codes.Miss(ctx, nobody)
	}
	failed := s.outbox.NewEvent(t.project.ID, t.state.User, event.LoginCodeFailed)
	failed.Process = t.process.ID
	environments.Sight(&failed, &t.project, t.client())
	counted, err := s.limits.CountWrong(ctx, s.accounts, failed)
	if err != nil {
		return err
	}
	s.deliveries.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliverLimit)
		defer cancel()
		if err := s.outbox.Announce(ctx, counted); err != nil {
			s.log.WarnContext(ctx, "a wrong code is not told yet", "project", failed.Project, "user", failed.User, "error", err)
		}
	})
	return nil
}

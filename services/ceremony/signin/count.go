package signin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/netip"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony/codes"
	"github.com/keyward/keyward/services/ceremony/internal/code"
	"github.com/keyward/keyward/services/ceremony/internal/signin"
)

// sends is what the messages to one address are counted under, whoever has it or has it not: all of them, and those that one source has
// asked for. So a stranger uses up a part, and leaves room for whom the address belongs to.
type sends struct {
	ref      code.Ref
	all, own ident.IdentifierID
}

func sendsOf(p project.Project, m signin.Means, from string) sends {
	key := p.Ring.Newest(keyring.SendCount).Secret
	to := named(m)
	return sends{
		ref: code.Ref{Project: p.ID, User: "sign-in"},
		all: ident.IdentifierID(digest(key, "messages of sign-ups and logins\x00"+to)),
		own: ident.IdentifierID(digest(key, "messages that a source has asked for\x00"+to+"\x00"+sourceOf(from))),
	}
}

// named is the identifier that a message goes to, or would.
func named(m signin.Means) string {
	value := m.Value
	if value == "" {
		value = m.Shown
	}
	return string(m.Type) + "\x00" + account.IdentifierKey(m.Type, value)
}

func digest(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// sourceOf is what one source has in common: an address, or of IPv6 the network of 64 bits that one subscriber has.
func sourceOf(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}

// countProof counts a message, or says how long it is until there is room.
func (s *Service) countProof(ctx context.Context, to sends, now time.Time) (time.Duration, error) {
	if s.limits.Sends.On() {
		if wait, err := s.codes.Send(ctx, to.ref, to.own, s.limits.Sends, now); err != nil || wait > 0 {
			return wait, err
		}
	}
	if !s.limits.AllSends.On() {
		return 0, nil
	}
	wait, err := s.codes.Send(ctx, to.ref, to.all, s.limits.AllSends, now)
	if err == nil && wait > 0 && s.limits.Sends.On() {
		err = s.codes.Unsend(ctx, to.ref, to.own, now)
	}
	return wait, err
}

func (s *Service) uncountProof(ctx context.Context, to sends, at time.Time) {
	codes.Undo(ctx, s.log, "take back the count of a code", func(ctx context.Context) error {
		if s.limits.Sends.On() {
			if err := s.codes.Unsend(ctx, to.ref, to.own, at); err != nil {
				return err
			}
		}
		if !s.limits.AllSends.On() {
			return nil
		}
		return s.codes.Unsend(ctx, to.ref, to.all, at)
	})
}

// guess has an attempt judged. It is counted before, against the account and against the address that it comes from, in whatever process.
// Of somebody who does not exist it is counted alike.
func (s *Service) guess(ctx context.Context, t *turn, attempt transition) error {
	if t.state.Phase != signin.Verifying || t.state.Current.Method == frontend.VerificationMethodEmailLink {
		return s.move(ctx, t, attempt) // the token of a link cannot be guessed
	}
	key := t.project.Ring.Newest(keyring.SendCount).Secret
	who := code.Stranger(t.project.ID, digest(key, "wrong codes for an identifier\x00"+named(t.state.Current.Means)))
	limit, user := s.limits.Guesses, ident.UserID("")
	if t.state.Auth == signin.Login {
		stopping, err := s.mayGuess(ctx, t)
		if err != nil {
			return err
		}
		limit.Stop = stopping
	}
	if t.state.Auth == signin.Login && t.state.User != "" {
		user = t.state.User
		who = code.Account(t.project.ID, user)
	}
	address := code.Stranger(t.project.ID, digest(key, "wrong codes from an address\x00"+sourceOf(t.visit.RemoteAddress)))
	if err := s.charge(ctx, who, limit); err != nil {
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
		s.tellFailed(ctx, t, user)
		return nil
	}
	s.refund(ctx, address, s.limits.GuessesFrom)
	codes.Undo(ctx, s.log, "forget wrong codes after a right one", func(ctx context.Context) error { return s.codes.Acquit(ctx, who) })
	return nil
}

// mayGuess refuses a login by codes if the account takes none any more. Of somebody who does not exist it looks just as long, and returns
// after how many wrong codes in a row it is to be the same.
func (s *Service) mayGuess(ctx context.Context, t *turn) (stop int, err error) {
	user := t.state.User
	if user == "" {
		user, stop = ident.Seed(t.process.ID).UserID(), s.limits.Stop
	}
	a, _, err := s.accounts.Get(ctx, t.project.ID, user)
	if err != nil && !errors.Is(err, account.ErrUnknown) {
		return 0, err
	}
	if err == nil && s.limits.Stops(&a) {
		return 0, codes.Stopped()
	}
	return stop, nil
}

func (s *Service) charge(ctx context.Context, who code.Guesser, g code.Guesses) error {
	wait, err := s.codes.Charge(ctx, who, g, s.now())
	if errors.Is(err, code.ErrStopped) {
		return codes.Stopped()
	}
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

// tellFailed counts in the account that a code was wrong, and tells of it. No answer waits for it: by its time one could tell who exists.
func (s *Service) tellFailed(ctx context.Context, t *turn, user ident.UserID) {
	if user == "" {
		return
	}
	failed := s.outbox.NewEvent(t.project.ID, user, event.LoginCodeFailed)
	failed.Process = t.process.ID
	s.deliveries.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliverLimit)
		defer cancel()
		if err := s.limits.CountWrong(ctx, s.accounts, s.outbox, failed); err != nil {
			s.log.WarnContext(ctx, "a wrong code is not counted in full", "project", failed.Project, "user", failed.User, "error", err)
		}
	})
}

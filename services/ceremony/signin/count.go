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
	login := t.state.Auth == signin.Login
	nobody := code.Stranger(t.project.ID, digest(key, "wrong codes in a row for an identifier\x00"+named(t.state.Current.Means)))
	if login {
		if err := s.mayGuess(ctx, t, nobody); err != nil {
			return err
		}
	}
	if login && t.state.User != "" {
		who = code.Account(t.project.ID, t.state.User)
	}
	address := code.Stranger(t.project.ID, digest(key, "wrong codes from an address\x00"+sourceOf(t.visit.RemoteAddress)))
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
			return s.countWrong(ctx, t, nobody)
		}
		return nil
	}
	s.refund(ctx, address, s.limits.GuessesFrom)
	codes.Undo(ctx, s.log, "forget wrong codes after a right one", func(ctx context.Context) error { return s.codes.Acquit(ctx, who) })
	return nil
}

// mayGuess refuses a login by codes if the account takes none any more. Of somebody who does not exist it is the same, by the count of
// nobody, and whoever it is, both counts are read.
func (s *Service) mayGuess(ctx context.Context, t *turn, nobody code.Guesser) error {
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
func (s *Service) countWrong(ctx context.Context, t *turn, nobody code.Guesser) error {
	if t.state.User == "" {
		return s.codes.Miss(ctx, nobody)
	}
	failed := s.outbox.NewEvent(t.project.ID, t.state.User, event.LoginCodeFailed)
	failed.Process = t.process.ID
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

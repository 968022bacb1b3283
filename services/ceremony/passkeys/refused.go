package passkeys

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/google/uuid"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/refusal"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
	"github.com/keyward/keyward/services/ceremony/internal/risk"
)

// Attempt is an authenticator's answer, and what is known of it by the time it is refused. Only the project and the client are always set.
type Attempt struct {
	Project project.Project
	User    ident.UserID // empty: whom the passkey belongs to
	Process string
	Client  rest.ClientInformation
	Answer  string           // as it came
	Record  challenge.Record // zero: its challenge is none that is known
	Passkey []byte           // WebAuthn credential ID
	AAGUID  []byte

	unspent bool // the challenge was to be had, and no mark has spent it
}

// Of notes what an answer says of the passkey that was created.
func (a *Attempt) Of(answer *protocol.ParsedCredentialCreationData) {
	a.Passkey, a.AAGUID = answer.RawID, answer.Response.AttestationObject.AuthData.AttData.AAGUID
}

// RefuseCreation tells of a creation that ends with err, and returns err with what the client is to signal. The client may have a passkey
// now that the server does not. What is the server's own failure, and an answer whose passkey the user has or is about to have, are not
// refused creations.
func (s *Service) RefuseCreation(ctx context.Context, a Attempt, err error) error {
	if err == nil || fault.OfServer(err) || a.User == "" || errors.Is(err, account.ErrUnknown) || risk.Waits(err) {
		return err
	}
	if unspent := s.spend(ctx, a); unspent != nil {
		return unspent
	}
	owner, _, unread := s.accounts.Get(ctx, a.Project.ID, a.User)
	if unread != nil || owner.Passkey(a.Passkey) != nil || errors.Is(err, challenge.ErrUsed) && s.underWay(ctx, a) {
		return err
	}
	// Whoever creates passkeys has proven to be the user, so that each answer is one fact.
	s.outbox.Report(ctx, s.refused(a, event.AppendRefused, err, a.Answer))
	return s.unknownTo(ctx, a, err)
}

// underWay reports whether this very answer has come before and is being made a passkey, as far as anybody knows.
func (s *Service) underWay(ctx context.Context, a Attempt) bool {
	if a.Record.ID == "" {
		return false
	}
	entry, known, err := s.index.Credential(ctx, a.Project.ID, a.Passkey)
	return err == nil && known && entry.Deleted == 0 && entry.User == a.User && entry.Credential == a.Record.PasskeyID()
}

// refuseLogin does as much for a sign-in: err, or why there is an answer that logs nobody in. An answer to a challenge that is spent is no
// attempt: of those that log nobody in the first has been told, and what has logged somebody in may well come again.
func (s *Service) refuseLogin(ctx context.Context, a Attempt, err error) error {
	if err == nil || fault.OfServer(err) || errors.Is(err, account.ErrUnknown) || risk.Waits(err) || errors.Is(err, challenge.ErrUsed) {
		return err
	}
	if risk.Refused(err) { // the policy's own bars are no evidence against anybody
		return cmp.Or(s.spend(ctx, a), err)
	}
	if a.User == "" && len(a.Passkey) > 0 {
		entry, _, unread := s.index.Credential(ctx, a.Project.ID, a.Passkey)
		if unread != nil {
			return err
		}
		a.User = entry.User
	}
	if a.User != "" {
		// A mark and not the event spends the challenge, since others of the user's would have to be compared with that: anybody who knows a
		// user's name can have as many answers refused as the limits let through.
		if unspent := s.spend(ctx, a); unspent != nil {
			return unspent
		}
		// Anybody can make up answers: without a challenge that was given out, a process tells of one.
		s.outbox.Report(ctx, s.refused(a, event.LoginRefused, err, ""))
	}
	if !errors.Is(err, refusal.ErrUnknown) {
		return err
	}
	return s.unknownTo(ctx, a, err)
}

// spend spends the challenge of a refused answer by a mark, if it was to be had and none has yet, whether or not the caller still waits.
func (s *Service) spend(ctx context.Context, a Attempt) error {
	if !a.unspent {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), spendLimit)
	defer cancel()
	if _, err := s.challenges.Spend(ctx, a.Record); err != nil && !errors.Is(err, challenge.ErrUsed) {
		return err
	}
	return nil
}

// spendLimit is how long spending the challenge of a refused answer may take.
const spendLimit = 5 * time.Second

// unknownTo adds to err that the project does not know the passkey of an attempt, unless it does or cannot be asked.
func (s *Service) unknownTo(ctx context.Context, a Attempt, err error) error {
	if len(a.Passkey) == 0 || len(a.Passkey) > relyingparty.MaxCredentialID {
		return err
	}
	if _, known, unread := s.index.Credential(ctx, a.Project.ID, a.Passkey); known || unread != nil {
		return err
	}
	return fault.As(err).Signalling(a.Project.RPID, base64.RawURLEncoding.EncodeToString(a.Passkey))
}

// refused is the event of an attempt. Its ID is that of the ceremony's refusal; without a known challenge, of the process and of what else
// tells one fact from another.
func (s *Service) refused(a Attempt, t event.Type, why error, more string) event.Event {
	r := a.Record
	r.Project = a.Project.ID
	r.Process = cmp.Or(a.Process, r.Process)
	e := r.Event(s.now(), a.User, t, "")
	if r.ID == "" {
		e.ID = challenge.EventID(ident.ChallengeID(strings.Join([]string{string(a.Project.ID), string(a.User), a.Process, more}, "/")), t)
	}
	e.Kind = r.Kind
	environments.Tell(&e, &a.Project, a.Client, environments.Detected(r), s.addresses)
	e.Refused = &event.Refused{Reason: fault.Words(why), Step: relyingparty.StepOf(why)}
	if refusal.IsLate(why) || errors.Is(why, challenge.ErrUnknown) { // a page that was left open is evidence against nobody
		e.Sighted = nil
	}
	if len(a.Passkey) <= relyingparty.MaxCredentialID {
		e.Refused.Passkey = base64.RawURLEncoding.EncodeToString(a.Passkey)
	}
	if aaguid, err := uuid.FromBytes(a.AAGUID); err == nil {
		e.Refused.AAGUID = aaguid.String()
	}
	return e
}

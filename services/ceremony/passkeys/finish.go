package passkeys

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strconv"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
	"github.com/keyward/keyward/services/ceremony/sessions"
)

// named finds the project and the user that the end of a ceremony names.
func (s *Service) named(ctx context.Context, in ident.ProjectID, user string) (project.Project, ident.UserID, error) {
	p, err := tenant.Of(ctx, s.projects, in)
	if err != nil {
		return project.Project{}, "", err
	}
	id, err := userID(user)
	return p, id, err
}

// take takes the challenge that a user answers, who has to be active, or may be waiting to create a passkey. field is where the answer came
// in. A challenge that is known and not good for the answer comes with the error.
func (s *Service) take(ctx context.Context, c challenge.Claim, field string) (account.Account, challenge.Taken, error) {
	a, err := s.Active(ctx, c.Project, c.User)
	if err != nil && (c.Type != rest.PasskeyChallengeTypeRegister || !errors.Is(err, account.ErrUnverified)) {
		return account.Account{}, challenge.Taken{}, err
	}
	c.Known = a.UsedTo
	taken, err := s.challenges.Take(ctx, c, s.now())
	return a, taken, fault.At(field, err)
}

// assertion is a login or mediation whose challenge has been taken.
type assertion struct {
	project      project.Project
	account      account.Account // of the credential's owner, who has it
	taken        challenge.Taken
	answer       *protocol.ParsedCredentialAssertionData
	client       rest.ClientInformation
	process      string
	discoverable bool
}

// finishAssertion verifies, records the completed login in the log, and the use of the passkey in the account, in this order: the event is
// what counts, and an account that lacks it takes it up with the next login.
func (s *Service) finishAssertion(ctx context.Context, f assertion) (rest.PasskeyData, error) {
	party, err := finishParty(f.project, f.taken.Record)
	if err != nil {
		return rest.PasskeyData{}, fault.At(FieldAssertion, err)
	}
	passkey := *find(&f.account, f.answer.RawID)
	use, err := party.Verify(f.account, f.taken.Record, f.discoverable, f.answer)
	if err != nil {
		s.tellBackupChange(ctx, f, passkey, err)
		return rest.PasskeyData{}, fault.At(FieldAssertion, err)
	}
	route := relyingparty.Route(passkey, use.Attachment, f.taken.Route)
	done := s.completed(f.taken.Record, f.account.ID, event.LoginCompleted, passkey.ID)
	done.Route, done.Process = route, f.process
	done.Client = environments.EventClient(f.client, environments.DeviceOf(f.client, detected(f.taken.Record)))
	done.Use = &event.Use{Counter: use.Counter, BackedUp: use.BackupState}
	known, counted, err := s.end(ctx, f, done)
	if err != nil {
		return rest.PasskeyData{}, err
	}
	if passkey, err = s.recordUse(ctx, f, known, counted); err != nil {
		return rest.PasskeyData{}, err
	}
	data := s.passkeyData(f.account.ID, passkey, rest.CeremonyType(route), f.taken.ID)
	if f.taken.SecondFactor {
		data.Amr = new([]string{"pop", "mfa"}) // RFC 8176: the key was proven, and so was its user
	}
	return data, nil
}

// end appends the event of a login, unless the challenge has been spent or the signature counter did not go up: somebody may have copied
// the key. That is told and refused. A counter that has become 0 is told alone: whoever has such an authenticator could never log in again.
// It returns the user's logins that the account may lack, this one last.
func (s *Service) end(ctx context.Context, f assertion, done event.Event) ([]eventlog.Found, relyingparty.Counted, error) {
	var counted relyingparty.Counted
	var stored uint32
	passkey := ident.CredentialID(done.Credential)
	known, err := s.challenges.End(ctx, f.taken, f.account.ID, f.account.UsedTo, func(known []eventlog.Found) (event.Event, error) {
		if stored, counted = relyingparty.CountAfter(f.account, known, passkey, done.Use.Counter); counted == relyingparty.Regressed {
			return event.Event{}, errPasskeyCloned
		}
		return done, nil
	})
	err = fault.At(FieldAssertion, err)
	if err != nil && !errors.Is(err, errPasskeyCloned) || counted == relyingparty.Rose {
		return known, counted, err
	}
	regressed := s.suspicion(f, event.PasskeyCounterRegressed, passkey)
	regressed.Counter = &event.Counter{Stored: stored, Received: done.Use.Counter}
	s.tell(ctx, regressed)
	if counted == relyingparty.NoLonger {
		return known, counted, nil
	}
	s.metrics.Clones.Inc()
	if _, unwarned := s.recordUse(ctx, f, nil, counted); unwarned != nil {
		return nil, counted, unwarned
	}
	return nil, counted, err
}

// recordUse writes to the account what its passkeys were used for, and a doubt of its counter.
func (s *Service) recordUse(
	ctx context.Context, f assertion, known []eventlog.Found, counted relyingparty.Counted,
) (used account.Credential, err error) {
	_, err = s.accounts.Update(ctx, f.project.ID, f.account.ID, func(a *account.Account) error {
		if err := a.Active(); err != nil {
			return err
		}
		c := find(a, f.answer.RawID)
		if c == nil {
			return fault.At(FieldAssertion, ErrPasskeyDeleted)
		}
		relyingparty.TakeUp(a, known)
		c.CloneWarning = c.CloneWarning || counted != relyingparty.Rose
		if counted != relyingparty.Regressed {
			a.WrongCodes = 0
			environments.Remember(a, f.taken.Environment, environments.SightingOf(f.client, detected(f.taken.Record)), s.now().UnixMilli())
		}
		used = *c
		return nil
	})
	return used, err
}

// tellBackupChange tells of a login that was refused because the passkey is not the kind that it was created as.
func (s *Service) tellBackupChange(ctx context.Context, f assertion, passkey account.Credential, err error) {
	if !errors.Is(err, relyingparty.ErrBackupEligibility) {
		return
	}
	s.metrics.BackupChanges.Inc()
	changed := s.suspicion(f, event.PasskeyBackupChanged, passkey.ID)
	changed.Backup = &event.Backup{
		Stored: passkey.BackupEligible, Received: f.answer.Response.AuthenticatorData.Flags.HasBackupEligible(),
	}
	s.tell(ctx, changed)
}

// suspicion is an event that casts doubt on a passkey.
func (s *Service) suspicion(f assertion, t event.Type, passkey ident.CredentialID) event.Event {
	e := s.completed(f.taken.Record, f.account.ID, t, passkey)
	e.Process = f.process
	e.Client = environments.EventClient(f.client, environments.DeviceOf(f.client, detected(f.taken.Record)))
	return e
}

// tell records what there is to tell of a passkey. The ceremony goes its way whether or not that can be done.
func (s *Service) tell(ctx context.Context, e event.Event) {
	if _, err := s.outbox.Append(ctx, e); err != nil {
		s.log.WarnContext(
			ctx, "what there is to tell of a passkey is not in the log", "event", string(e.Type), "project", e.Project, "user", e.User, "credential",
			e.Credential, "error", err,
		)
	}
}

// finishParty accepts the origins that the project had at the start and still has, and those of its apps.
func finishParty(p project.Project, r challenge.Record) (*relyingparty.Party, error) {
	origins := append(r.Accepted(p.Origins), p.AppOrigins()...)
	if len(origins) == 0 {
		return nil, fault.Refuse("the origins of the project have changed since the start")
	}
	return relyingparty.New(p, origins), nil
}

// Active returns an account that may take part in ceremonies.
func (s *Service) Active(ctx context.Context, project ident.ProjectID, user ident.UserID) (account.Account, error) {
	a, _, err := s.accounts.Get(ctx, project, user)
	if err != nil {
		return account.Account{}, err
	}
	return a, a.Active()
}

func detected(r challenge.Record) environments.Device {
	return environments.Device{OS: r.OS, OSVersion: r.OSVersion, Browser: r.Browser, BrowserVersion: r.BrowserVersion}
}

// completed is the event of a ceremony that succeeded.
func (s *Service) completed(r challenge.Record, user ident.UserID, t event.Type, credential ident.CredentialID) event.Event {
	return event.Event{
		ID: EventIDOf(r.ID, t), Project: r.Project, User: user, Type: t, CreatedMs: s.now().UnixMilli(), Process: r.Process,
		Environment: r.Environment, Credential: string(credential), Challenge: r.Value, Ceremony: r.ID,
	}
}

// EventIDOf derives the ID of a ceremony's event from the ID of its challenge, so that the same fact is never two events.
func EventIDOf(id ident.ChallengeID, t event.Type) ident.EventID {
	sum := sha256.Sum256([]byte(string(id) + "/" + string(t)))
	return ident.EventID("pke-" + strconv.FormatUint(binary.BigEndian.Uint64(sum[:8])>>1, 10))
}

// sign returns signed passkey data of a login that has just succeeded, or nil if nobody wants it.
func (s *Service) sign(ctx context.Context, wanted *bool, f assertion, data rest.PasskeyData) (*string, error) {
	if wanted == nil || !*wanted {
		return nil, nil
	}
	signed, err := s.signer.SignLogin(ctx, sessions.PasskeyLogin{
		Project: f.project.ID, User: f.account.ID, Username: data.Username, Process: f.process, Credential: ident.CredentialID(data.ID),
		CredentialID: f.answer.RawID, Challenge: f.taken.ID, Discoverable: f.discoverable, Methods: reply.Methods(data),
	})
	if err != nil {
		return nil, err
	}
	return &signed, nil
}

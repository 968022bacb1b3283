package passkeys

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
	"github.com/keyward/keyward/services/ceremony/sessions"
)

// maxUsedOn bounds the operating systems remembered of a passkey.
const maxUsedOn = 10

// named finds the project and the user that the end of a ceremony names.
func (s *Service) named(ctx context.Context, in ident.ProjectID, user string) (project.Project, ident.UserID, error) {
	p, err := tenant.Of(ctx, s.projects, in)
	if err != nil {
		return project.Project{}, "", err
	}
	id, err := userID(user)
	return p, id, err
}

// take takes the challenge that a user answers, who has to be active. field is where the answer came in. A challenge that is known and not
// good for the answer comes with the error.
func (s *Service) take(ctx context.Context, c challenge.Claim, field string) (account.Account, challenge.Taken, error) {
	a, err := s.Active(ctx, c.Project, c.User)
	if err != nil {
		return account.Account{}, challenge.Taken{}, err
	}
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

// finishAssertion verifies, records the use of the passkey in the account, and the completed login in the log, in this order.
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
	route := ceremonyType(passkey, use.Attachment, f.taken.Route)
	passkey, err = s.recordUse(ctx, f, use, route)
	if err != nil {
		return rest.PasskeyData{}, err
	}
	done := s.completed(f.taken.Record, f.account.ID, event.LoginCompleted, passkey.ID)
	done.Route, done.Process = event.Route(route), f.process
	done.Client = environments.EventClient(f.client, environments.DeviceOf(f.client, detected(f.taken.Record)))
	if _, err := s.conclude(ctx, f.taken, done); err != nil {
		return rest.PasskeyData{}, err
	}
	data := s.passkeyData(f.account.ID, passkey, route, f.taken.ID)
	if f.taken.SecondFactor {
		data.Amr = new([]string{"pop", "mfa"}) // RFC 8176: the key was proven, and so was its user
	}
	return data, nil
}

// recordUse writes the use of a passkey to its account. A signature counter that did not go up is recorded too, told, and then refused:
// somebody may have copied the key. One that has become 0 is told alone: whoever has such an authenticator could never log in again.
func (s *Service) recordUse(ctx context.Context, f assertion, use relyingparty.Use, route rest.CeremonyType) (account.Credential, error) {
	nowMs := s.now().UnixMilli()
	d := environments.SightingOf(f.client, detected(f.taken.Record))
	var (
		used    account.Credential
		counted relyingparty.Counted
		stored  uint32
	)
	_, err := s.accounts.Update(ctx, f.project.ID, f.account.ID, func(a *account.Account) error {
		if err := Active(a); err != nil {
			return err
		}
		c := find(a, f.answer.RawID)
		if c == nil {
			return fault.At(FieldAssertion, ErrPasskeyDeleted)
		}
		stored = c.SignCount
		counted = relyingparty.CountSignature(c, use.Counter)
		if counted != relyingparty.Regressed {
			c.BackupState = use.BackupState
			c.LastUsedMs, a.WrongCodes = nowMs, 0
			if route == rest.CeremonyTypeLocal && d.OS != "" && !slices.Contains(c.UsedOn, d.OS) && len(c.UsedOn) < maxUsedOn {
				c.UsedOn = append(c.UsedOn, d.OS)
			}
			environments.Remember(a, f.taken.Environment, d, nowMs)
		}
		used = *c
		return nil
	})
	if err != nil {
		return account.Credential{}, err
	}
	if counted == relyingparty.Rose {
		return used, nil
	}
	regressed := s.suspicion(f, event.PasskeyCounterRegressed, used.ID)
	regressed.Counter = &event.Counter{Stored: stored, Received: use.Counter}
	s.tell(ctx, regressed)
	if counted == relyingparty.NoLonger {
		return used, nil
	}
	s.metrics.Clones.Inc()
	return account.Credential{}, fault.At(FieldAssertion, errPasskeyCloned)
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
	return a, Active(&a)
}

func Active(a *account.Account) error {
	if a.Status != account.StatusActive {
		return account.ErrInactive
	}
	return nil
}

// ceremonyType derives how a passkey was used from what the client said of the authenticator and from what the passkey is. Clients that say
// nothing of the authenticator are taken to have done what they were offered, as far as the passkey can do it.
func ceremonyType(c account.Credential, attachment string, offered event.Route) rest.CeremonyType {
	hybrid := len(c.Transports) == 0 || c.Hybrid()
	switch {
	case attachment == string(protocol.Platform):
		return rest.CeremonyTypeLocal
	case c.Roaming():
		return rest.CeremonyTypeSecurityKey
	case attachment == string(protocol.CrossPlatform) && hybrid:
		return rest.CeremonyTypeCDA
	case attachment == "" && offered == event.CDA && hybrid:
		return rest.CeremonyTypeCDA
	default:
		return rest.CeremonyTypeLocal
	}
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

// conclude appends the event of a ceremony that succeeded and marks its challenge as completed. A challenge that cannot be marked stays
// consumed, which is as final.
func (s *Service) conclude(ctx context.Context, taken challenge.Taken, done event.Event) (service.Appended, error) {
	marked := make(chan error, 1)
	go func() { marked <- s.challenges.Complete(ctx, taken) }()
	appended, err := s.outbox.Append(ctx, done)
	if marking := <-marked; marking != nil {
		s.metrics.LeftIncomplete.Inc()
		s.log.WarnContext(ctx, "a finished challenge could not be marked as completed", "challenge", taken.ID, "error", marking)
	}
	return appended, err
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

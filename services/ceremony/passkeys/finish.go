package passkeys

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/refusal"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
	"github.com/keyward/keyward/services/ceremony/internal/risk"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/internal/tidings"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
	"github.com/keyward/keyward/services/ceremony/sessions"
)

// named finds the project and the user that the end of a ceremony names, unless the policy does not take what the caller added.
func (s *Service) named(
	ctx context.Context, in ident.ProjectID, user string, added json.RawMessage,
) (project.Project, ident.UserID, error) {
	p, err := tenant.Of(ctx, s.projects, in)
	if err != nil {
		return project.Project{}, "", err
	}
	id, err := userID(user)
	if err == nil {
		err = s.risk.CheckContext(ctx, in, added)
	}
	return p, id, err
}

// take takes the challenge that a user answers, who has to be active, or may be waiting to create a passkey. field is where the answer came
// in. A challenge that is known and not good for the answer comes with the error.
func (s *Service) take(ctx context.Context, c challenge.Claim, field string) (account.Account, challenge.Taken, error) {
	a, err := s.accounts.Present(ctx, c.Project, c.User)
	if err == nil {
		err = a.Active()
	}
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
	added        json.RawMessage // by the caller
	discoverable bool
	signed       bool // the caller wants signed passkey data
	seen         environments.Sighting
	asked        *service.FinishQuestion // how risky it is to take the answer; this and judged: empty until it is asked
	judged       *service.Verdict
}

// finishAssertion verifies, asks how risky the login is, records it in the log as completed, and the use of the passkey in the account, in
// this order: the event is what counts, and an account that lacks it takes it up with the next login.
func (s *Service) finishAssertion(ctx context.Context, f assertion) (rest.PasskeyData, error) {
	party, err := relyingparty.Finishing(f.project, f.taken.Record)
	if err != nil {
		return rest.PasskeyData{}, fault.At(FieldAssertion, err)
	}
	passkey := *f.account.Passkey(f.answer.RawID)
	use, err := party.Verify(f.account, f.taken.Record, f.discoverable, f.answer)
	if err != nil {
		s.tellBackupChange(ctx, f, passkey, err)
		return rest.PasskeyData{}, fault.At(FieldAssertion, err)
	}
	route := relyingparty.Route(passkey, use.Attachment, f.taken.Route)
	done := f.taken.Record.Event(s.now(), f.account.ID, event.LoginCompleted, passkey.ID)
	done.Route, done.Process = route, f.process
	environments.Tell(&done, &f.project, f.client, environments.Detected(f.taken.Record), s.addresses)
	f.seen = environments.SightingOf(f.client, environments.Detected(f.taken.Record))
	done.UV, done.Use = &use.UserVerified, &event.Use{Counter: use.Counter, BackedUp: use.BackupState, Seen: f.seen.Seen()}
	known, counted, err := s.end(ctx, f, done, passkey)
	if err != nil {
		return rest.PasskeyData{}, risk.Judged(err, *f.judged)
	}
	if passkey, err = s.recordUse(ctx, f, known, counted); err != nil {
		return rest.PasskeyData{}, err
	}
	s.tellOfLogin(ctx, f, done)
	return s.loginData(f, passkey, route), nil
}

func (s *Service) loginData(f assertion, passkey account.Credential, route event.Route) rest.PasskeyData {
	data := s.passkeyData(f.account.ID, passkey, rest.CeremonyType(route), f.taken.ID)
	if f.taken.SecondFactor {
		data.Amr = new([]string{"pop", "mfa"}) // RFC 8176: the key was proven, and so was its user
	}
	return data
}

// pass returns nil if the policy lets a login that was judged pass.
func (s *Service) pass(ctx context.Context, f assertion, done event.Event, passkey account.Credential) error {
	return s.risk.Pass(ctx, risk.Withheld{
		Project: f.project.ID, Account: f.account, Process: f.process, Record: f.taken.Record, Verdict: *f.judged, Passkey: passkey, Event: done,
		Data: s.loginData(f, passkey, done.Route), Client: f.client,
		Login: &risk.WithheldLogin{
			CredentialID: f.answer.RawID, Discoverable: f.discoverable, Signed: f.signed, BackupChanged: f.asked.Login.BackupChanged,
		},
	})
}

// end appends the event of a login, unless the challenge has been spent or the signature counter did not go up: somebody may have copied
// the key. That is told and refused. A counter that has become 0 is told alone: whoever has such an authenticator could never log in again.
// Where the policy binds, it says what comes of either. end returns the user's logins that the account may lack, this one last.
func (s *Service) end(
	ctx context.Context, f assertion, done event.Event, used account.Credential,
) ([]eventlog.Found, relyingparty.Counted, error) {
	counted, stored, passkey := relyingparty.Rose, uint32(0), ident.CredentialID(done.Credential)
	known, err := s.challenges.End(ctx, f.taken, f.account.ID, f.account.UsedTo, func(known []eventlog.Found) (event.Event, error) {
		stored, counted = relyingparty.CountAfter(f.account, known, passkey, done.Use.Counter)
		s.judgeLogin(ctx, f, &done, f.account.Knowing(known...), risk.CounterOf(counted, stored, done.Use.Counter))
		if refused := s.pass(ctx, f, done, used); refused != nil {
			return event.Event{}, refused
		}
		if r := f.judged.Risk; counted == relyingparty.Regressed && (r == nil || !r.Enforced) {
			return event.Event{}, refusal.ErrCloned.Because(relyingparty.StepCounter)
		}
		return f.account.Relate(known, done, f.seen.At(done.Environment, done.CreatedMs)), nil
	})
	err = fault.At(FieldAssertion, err)
	s.outbox.Report(ctx, risk.Tidings(ctx, risk.Judgement{Stage: risk.LoginFinish, Event: done, Verdict: *f.judged, Refused: err})...)
	if risk.Refused(err) {
		s.keepUse(ctx, f, done)
	} else if err != nil && !errors.Is(err, refusal.ErrCloned) {
		return known, counted, err
	}
	if counted == relyingparty.Rose {
		return known, counted, err
	}
	regressed := s.suspicion(f, event.PasskeyCounterRegressed, passkey)
	regressed.Counter = &event.Counter{Stored: stored, Received: done.Use.Counter}
	s.outbox.Report(ctx, regressed)
	if counted == relyingparty.NoLonger {
		return known, counted, err
	}
	s.metrics.Clones.Inc()
	if _, unwarned := s.recordUse(ctx, f, nil, counted); unwarned != nil {
		return nil, counted, unwarned
	}
	return known, counted, err
}

// keepUse keeps counter and use of a passkey of a login that the policy does not let pass: a copy of its key is found all the same.
func (s *Service) keepUse(ctx context.Context, f assertion, done event.Event) {
	keep := func(a *account.Account) error {
		if c := a.Passkey(f.answer.RawID); c != nil {
			c.SignCount, c.LastUsedMs = max(c.SignCount, done.Use.Counter), max(c.LastUsedMs, done.CreatedMs)
		}
		return nil
	}
	if _, err := s.accounts.Update(ctx, f.project.ID, f.account.ID, keep); err != nil {
		s.log.WarnContext(ctx, "how a passkey was used is not kept", "user", f.account.ID, "credential", done.Credential, "error", err)
	}
}

// tellOfLogin tells subscribers what a login that is completed has shown of its passkey and of where it was made.
func (s *Service) tellOfLogin(ctx context.Context, f assertion, done event.Event) {
	environments.Locate(&done, f.judged.Place)
	known := f.asked.Account // with the logins that the stored one lacks
	s.outbox.Report(ctx, tidings.Of(done, tidings.Shown{
		BackupChanged: f.asked.Login.BackupChanged, NewCountry: f.judged.NewCountry, NewEnvironment: tidings.IsNew(known, done.Environment),
	})...)
}

// judgeLogin asks how risky a login is: once, but for a counter that another login has moved meanwhile.
func (s *Service) judgeLogin(ctx context.Context, f assertion, done *event.Event, a account.Account, counter service.Counter) {
	if f.asked.Login != nil && f.asked.Login.Counter == counter {
		return
	}
	passkey := *a.Passkey(f.answer.RawID)
	said := &service.FinishedLogin{Route: done.Route, Counter: counter, BackupChanged: passkey.BackupState != done.Use.BackedUp}
	passkey.BackupState = done.Use.BackedUp
	*f.asked = s.finishQuestion(ctx, f.project, &a, f.taken.Record, f.client)
	f.asked.Context, f.asked.Passkey, f.asked.UV, f.asked.Login, f.asked.Proof = f.added, passkey, *done.UV, said, f.taken.StepUp != ""
	*f.judged = s.risk.Finish(ctx, *f.asked)
	environments.Locate(done, f.judged.Place)
}

// finishQuestion is what all ends of ceremonies are judged by.
func (s *Service) finishQuestion(
	ctx context.Context, p project.Project, a *account.Account, r challenge.Record, client rest.ClientInformation,
) service.FinishQuestion {
	environment := s.environments.Recall(p, client)
	return service.FinishQuestion{Question: service.Question{
		Project: p.ID, Account: a, Client: client, Environment: environment, Process: r.Process,
		Sighted:   environments.Sighted(&p, "", environment, client),
		RequestID: reqctx.RequestID(ctx), Frontend: reqctx.Frontend(ctx),
	}, Arm: r.Arm, StartedMs: r.Created}
}

// recordUse ends a login for its account. What logins say, accounts take up from the log; a doubt of the counter is written to the account,
// and what must not wait. Either way the account is looked at again: whoever was disabled, or lost the passkey, is told no more of it.
func (s *Service) recordUse(
	ctx context.Context, f assertion, known []eventlog.Found, counted relyingparty.Counted,
) (used account.Credential, err error) {
	record := s.accounts.Update
	if counted == relyingparty.Rose && f.account.MayLack(known[len(known)-1]) && !s.challenges.Forgetful() {
		record = func(
			ctx context.Context, project ident.ProjectID, user ident.UserID, change func(*account.Account) error,
		) (account.Account, error) {
			return s.accounts.Used(ctx, project, user, known[len(known)-1], change)
		}
	}
	_, err = record(ctx, f.project.ID, f.account.ID, func(a *account.Account) error {
		if err := a.Active(); err != nil {
			return err
		}
		c := a.Passkey(f.answer.RawID)
		if c == nil {
			return fault.At(FieldAssertion, refusal.ErrDeleted)
		}
		c.CloneWarning = c.CloneWarning || counted != relyingparty.Rose
		if counted != relyingparty.Regressed {
			a.WrongCodes = 0
		}
		environments.RememberNewest(a, known, f.seen)
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
	s.outbox.Report(ctx, changed)
}

// suspicion is an event that casts doubt on a passkey.
func (s *Service) suspicion(f assertion, t event.Type, passkey ident.CredentialID) event.Event {
	e := f.taken.Record.Event(s.now(), f.account.ID, t, passkey)
	e.Process = f.process
	environments.Tell(&e, &f.project, f.client, environments.Detected(f.taken.Record), s.addresses)
	return e
}

// Active returns an account that may take part in ceremonies.
func (s *Service) Active(ctx context.Context, project ident.ProjectID, user ident.UserID) (account.Account, error) {
	a, _, err := s.accounts.Get(ctx, project, user)
	if err == nil {
		err = a.Active()
	}
	return a, err
}

// sign returns signed passkey data of a login that has just succeeded, or nil if nobody wants it.
func (s *Service) sign(ctx context.Context, wanted *bool, f assertion, data rest.PasskeyData) (*string, error) {
	if wanted == nil || !*wanted {
		return nil, nil
	}
	signed, err := s.signer.SignLogin(ctx, sessions.PasskeyLogin{
		Project: f.project.ID, User: f.account.ID, Username: data.Username, Process: f.process, Credential: ident.CredentialID(data.ID),
		CredentialID: f.answer.RawID, Challenge: f.taken.ID, Discoverable: f.discoverable, Methods: reply.Methods(data),
		MaxSessionSeconds: f.judged.Risk.Bound().MaxSessionSeconds,
	})
	return &signed, err
}

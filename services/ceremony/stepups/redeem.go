package stepups

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/attestation"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/enrolment"
	"github.com/keyward/keyward/services/ceremony/internal/risk"
	"github.com/keyward/keyward/services/ceremony/internal/stepup"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/internal/tidings"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
	"github.com/keyward/keyward/services/ceremony/sessions"
)

// withheld is what a finish would have answered and recorded, as it is sealed.
type withheld struct {
	Record  challenge.Record       `json:"record"`
	Event   event.Event            `json:"event"`
	Data    rest.PasskeyData       `json:"data"`
	Passkey account.Credential     `json:"passkey"` // of a creation, the one that the account does not have yet
	Login   *login                 `json:"login,omitempty"`
	Client  rest.ClientInformation `json:"client"`

	Shown      tidings.Shown          `json:"shown,omitzero"`       // of a ceremony; what is new of where it was made, redemption finds out
	Statement  *attestation.Statement `json:"statement,omitempty"`  // of a creation
	Evaluation *evaluated             `json:"evaluation,omitempty"` // of an evaluation, which has nothing of the above
}

// login is what a login has beside.
type login struct {
	Signed       bool   `json:"signed,omitempty"` // the caller wants signed passkey data
	CredentialID []byte `json:"credentialID"`     // of WebAuthn
	Discoverable bool   `json:"discoverable,omitempty"`
	// As the verdict obliges that asked for the proof; 0 = it does not, or was withheld by an earlier version
	MaxSessionSeconds int `json:"maxSessionSeconds,omitempty"`
}

func withheldOf(w risk.Withheld) withheld {
	kept := withheld{Record: w.Record, Event: w.Event, Data: w.Data, Passkey: w.Passkey, Client: w.Client, Statement: w.Statement}
	kept.Shown.NewCountry = w.Verdict.NewCountry
	if l := w.Login; l != nil {
		kept.Shown.BackupChanged = l.BackupChanged
		kept.Login = &login{
			Signed: l.Signed, CredentialID: l.CredentialID, Discoverable: l.Discoverable,
			MaxSessionSeconds: w.Verdict.Risk.Bound().MaxSessionSeconds,
		}
	}
	return kept
}

// seen is where the ceremony was made.
func (w *withheld) seen() environments.Sighting {
	r := w.Record
	return environments.SightingOf(w.Client, environments.Device{
		OS: r.OS, OSVersion: r.OSVersion, Browser: r.Browser, BrowserVersion: r.BrowserVersion,
	})
}

// RedeemStepUp implements service.StepUps. What is to be recorded is recorded first, which can be repeated to the same effect; who removes
// the step-up then has the answer.
func (s *Service) RedeemStepUp(ctx context.Context, req service.ForProject[ident.StepUpID]) (rest.StepUpRedeemRsp, error) {
	p, err := tenant.Of(ctx, s.deps.Projects, req.Project)
	if err != nil {
		return rest.StepUpRedeemRsp{}, err
	}
	ref := stepup.Ref{Project: p.ID, ID: req.Body}
	u, revision, err := s.deps.StepUps.Get(ctx, ref, s.deps.Now())
	if err != nil {
		return rest.StepUpRedeemRsp{}, err
	}
	kept, err := s.unseal(ctx, p, &u)
	if err != nil {
		return rest.StepUpRedeemRsp{}, err
	}
	redeem := s.createPasskey
	switch {
	case kept.Evaluation != nil:
		redeem = s.sayPassed
	case kept.Login != nil:
		redeem = s.logIn
	}
	rsp, err := redeem(ctx, &u, kept)
	if err == nil && u.Offer { // its creation may be offered until it expires
		return rsp, nil
	}
	if err == nil {
		err = s.deps.StepUps.Redeem(ctx, ref, revision)
	}
	if err != nil {
		return rest.StepUpRedeemRsp{}, err
	}
	s.deps.Counted.Redeemed.Inc()
	return rsp, nil
}

// unseal returns what was withheld.
func (s *Service) unseal(ctx context.Context, p project.Project, u *stepup.StepUp) (kept withheld, err error) {
	raw, err := u.Open(p.Ring)
	if errors.Is(err, stepup.ErrSealed) {
		s.deps.Log.WarnContext(ctx, "a withheld answer cannot be opened", "project", u.Project, "user", u.User, "step_up", u.ID)
		return kept, stepup.ErrUnknown
	}
	if err != nil {
		return kept, err
	}
	if err := json.Unmarshal(raw, &kept); err != nil {
		return kept, fault.Internal(fmt.Errorf("decode what step-up %s withheld: %w", u.ID, err))
	}
	return kept, nil
}

// logIn ends a login that was withheld: its event is in the log, and the account has taken it up.
func (s *Service) logIn(ctx context.Context, u *stepup.StepUp, kept withheld) (rsp rest.StepUpRedeemRsp, err error) {
	a, _, err := s.deps.Accounts.Stored(ctx, u.Project, u.User)
	if err == nil {
		err = mayLogIn(&a, u.Passkey)
	}
	if err != nil {
		return rsp, err
	}
	methods := methodsOf(reply.Methods(kept.Data), u.Passed)
	rsp.PasskeyData = &kept.Data
	rsp.PasskeyData.Amr = &methods
	if kept.Login.Signed {
		signed, err := s.deps.Signer.SignLogin(ctx, sessions.PasskeyLogin{
			Project: u.Project, User: u.User, Username: kept.Data.Username, Process: u.Process, Credential: u.Passkey,
			CredentialID: kept.Login.CredentialID, Challenge: u.Ceremony, Discoverable: kept.Login.Discoverable, Methods: methods,
			MaxSessionSeconds: kept.Login.MaxSessionSeconds,
		})
		if err != nil {
			return rsp, err
		}
		rsp.SignedPasskeyData = &signed
	}
	return rsp, s.recordLogin(ctx, a, u, kept)
}

// mayLogIn refuses a user who may not log in any more, or not with this passkey.
func mayLogIn(a *account.Account, passkey ident.CredentialID) error {
	if err := a.Active(); err != nil {
		return err
	}
	return mayHave(a, passkey)
}

// recordLogin puts a login into the log and the account. One that is there already has been put there by an attempt that was cut short.
func (s *Service) recordLogin(ctx context.Context, a account.Account, u *stepup.StepUp, kept withheld) error {
	done, seen := kept.Event, kept.seen()
	done.CreatedMs = s.deps.Now().UnixMilli()
	known, err := s.deps.Challenges.End(ctx, challenge.Taken{Record: kept.Record}, u.User, a.UsedTo, func(
		lacking []eventlog.Found,
	) (event.Event, error) {
		return a.Relate(lacking, done, seen.At(done.Environment, done.CreatedMs)), nil
	})
	if errors.Is(err, challenge.ErrUsed) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = s.deps.Accounts.Update(ctx, u.Project, u.User, func(now *account.Account) error {
		if err := mayLogIn(now, u.Passkey); err != nil {
			return err
		}
		now.WrongCodes = 0
		environments.RememberNewest(now, known, seen)
		return nil
	})
	if err != nil {
		return err
	}
	kept.Shown.NewEnvironment = tidings.IsNew(&a, done.Environment)
	s.deps.Outbox.Report(ctx, tidings.Of(done, kept.Shown)...)
	return nil
}

// createPasskey ends a creation that was withheld: the passkey is its user's, and its event is in the log.
func (s *Service) createPasskey(ctx context.Context, u *stepup.StepUp, kept withheld) (rsp rest.StepUpRedeemRsp, err error) {
	err = s.enrolment.Keep(ctx, enrolment.Passkey{
		Credential: kept.Passkey, Record: kept.Record, Field: fieldStepUp, Statement: kept.Statement,
		Remember: func(a *account.Account) {
			environments.Remember(a, kept.Record.Environment, kept.seen(), kept.Passkey.CreatedMs)
			s.deps.Outbox.Untold(a)
		},
	})
	if errors.Is(err, challenge.ErrUsed) { // an attempt that was cut short has kept it
		a, _, unread := s.deps.Accounts.Stored(ctx, u.Project, u.User)
		if unread == nil {
			unread = mayHave(&a, u.Passkey)
		}
		err = unread
	}
	if err != nil {
		return rsp, err
	}
	done := kept.Event
	done.CreatedMs = s.deps.Now().UnixMilli()
	if _, err := s.deps.Outbox.Append(ctx, done); err != nil {
		return rsp, err
	}
	s.deps.Outbox.Report(ctx, tidings.Of(done, kept.Shown)...)
	rsp.PasskeyData = &kept.Data
	return rsp, nil
}

// mayHave refuses a passkey that was deleted since it was kept.
func mayHave(a *account.Account, passkey ident.CredentialID) error {
	if !slices.ContainsFunc(a.Credentials, func(c account.Credential) bool { return c.ID == passkey }) {
		return stepup.ErrUnknown
	}
	return nil
}

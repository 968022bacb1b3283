package registrations

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/enrolment"
)

// ListPasskeys implements service.Registrations. A passkey without a name of the user's has that of its provider, or what the authenticator
// shows.
func (s *Service) ListPasskeys(ctx context.Context, req service.ForUser[service.Empty]) (service.PasskeyList, error) {
	// The log before the account: whatever the list lacks came after the moment that it names.
	sequence, at, err := s.positions.Newest(ctx, req.Project, req.User)
	if err != nil {
		return service.PasskeyList{}, err
	}
	a, _, err := s.accounts.Get(ctx, req.Project, req.User)
	if err != nil {
		return service.PasskeyList{}, registrationFault(err)
	}
	if sequence == 0 {
		at = time.UnixMilli(a.UpdatedMs)
	}
	list := service.PasskeyList{Passkeys: make([]service.Passkey, len(a.Credentials)), ChangedMs: at.UnixMilli()}
	for i, c := range a.Credentials {
		list.Passkeys[i] = service.Passkey{ID: c.ID, Name: cmp.Or(c.Name, s.aaguids.Name(c.AAGUID), c.Username)}
	}
	return list, nil
}

// RemovePasskey implements service.Registrations.
func (s *Service) RemovePasskey(ctx context.Context, req service.ForUser[ident.CredentialID]) (service.Change, error) {
	change, err := s.passkeys.Remove(ctx, req)
	if !errors.Is(err, account.ErrUnknownCredential) {
		return change, registrationFault(err)
	}
	change, err = s.endRegistration(ctx, req)
	if errors.Is(err, challenge.ErrUsed) {
		// It has been finished meanwhile, or failed.
		change, err = s.passkeys.Remove(ctx, req)
	}
	if errors.Is(err, account.ErrUnknownCredential) {
		return service.Change{}, service.ErrPasskeyUnknown
	}
	return change, registrationFault(err)
}

// endRegistration ends the registration of a passkey that is yet to be created. The account notes that, with the event that makes it known:
// so no crash leaves a registration that is over and that nobody was told of.
func (s *Service) endRegistration(ctx context.Context, req service.ForUser[ident.CredentialID]) (service.Change, error) {
	a, _, err := s.accounts.Stored(ctx, req.Project, req.User)
	if err != nil {
		return service.Change{}, err
	}
	record, err := s.registrationOf(ctx, &a, req.Body)
	if err != nil {
		return service.Change{}, err
	}
	now := s.now().UnixMilli()
	if record.Status != rest.PasskeyChallengeStatusPending || now >= record.Expires {
		return service.Change{}, service.ErrPasskeyUnknown
	}
	if !record.EndsByAccount() {
		if _, err := s.challenges.Spend(ctx, record); err != nil {
			return service.Change{}, err
		}
	}
	gone := event.Event{
		ID: challenge.EventID(record.ID, event.PasskeyDeleted), Project: req.Project, User: req.User, Type: event.PasskeyDeleted,
		CreatedMs: now, Credential: string(req.Body),
		Ceremony: record.ID,
	}
	if _, err := s.outbox.Change(ctx, gone, func(a *account.Account) error { return enrolment.GiveUp(a, record, now) }); err != nil {
		return service.Change{}, err
	}
	return service.Change{ChangedMs: now, CreatedMs: record.Created}, nil
}

package passkeys

import (
	"context"
	"errors"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/credindex"
	"github.com/keyward/keyward/services/ceremony/internal/enrolment"
	"github.com/keyward/keyward/services/ceremony/internal/passwordmanager"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
)

// ListCredentials implements service.Users.
func (s *Service) ListCredentials(ctx context.Context, req service.ForUser[service.List]) (rest.CredentialList, error) {
	a, _, err := s.accounts.Get(ctx, req.Project, req.User)
	if err != nil {
		return rest.CredentialList{}, err
	}
	page, paging, err := listing.Apply(a.Credentials, req.Body, reply.CredentialFields(a.ID), "created:asc")
	if err != nil {
		return rest.CredentialList{}, err
	}
	credentials := make([]rest.Credential, len(page))
	for i, c := range page {
		credentials[i] = s.CredentialOf(c)
	}
	return rest.CredentialList{Credentials: credentials, Paging: rest.Paging(paging)}, nil
}

// DeleteCredential implements service.Users.
func (s *Service) DeleteCredential(ctx context.Context, req service.ForUser[ident.CredentialID]) (service.Empty, error) {
	_, err := s.Remove(ctx, req)
	return service.Empty{}, err
}

// Remove deletes a passkey. It stops working with the write to the account; what follows only keeps its name known.
func (s *Service) Remove(ctx context.Context, req service.ForUser[ident.CredentialID]) (service.Change, error) {
	tidings := s.outbox.NewEvent(req.Project, req.User, event.PasskeyDeleted)
	tidings.Credential = string(req.Body)
	nowMs := tidings.CreatedMs
	var gone account.Credential
	a, err := s.outbox.Change(ctx, tidings, func(a *account.Account) (err error) {
		gone, err = enrolment.Bury(a, req.Body, nowMs, nowMs-2*s.challengeTTL.Milliseconds())
		return err
	})
	if a.ID == "" {
		return service.Change{}, err
	}
	entry := credindex.Entry{User: req.User, Credential: gone.ID, Created: gone.CreatedMs, Deleted: nowMs}
	change := service.Change{ChangedMs: nowMs, CreatedMs: gone.CreatedMs}
	err = errors.Join(err, s.enrolment.Statements.Forget(ctx, req.Project, req.User, &gone))
	return change, errors.Join(err, s.index.MarkDeleted(ctx, req.Project, gone.CredentialID, entry))
}

// CredentialOf is a passkey as backends know it.
func (s *Service) CredentialOf(c account.Credential) rest.Credential {
	return reply.Credential(c, s.aaguids.Name(c.AAGUID))
}

func (s *Service) passkeyData(
	user ident.UserID, c account.Credential, route rest.CeremonyType, challenge ident.ChallengeID,
) rest.PasskeyData {
	return rest.PasskeyData{
		ID: string(c.ID), UserID: string(user), Username: c.Username, CeremonyType: route, ChallengeID: string(challenge),
		AAGUIDDetails: reply.AAGUID(c.AAGUID, s.aaguids.Name(c.AAGUID)),
	}
}

// ListPasswordManagers implements service.Directory.
func (s *Service) ListPasswordManagers(ctx context.Context, req service.ForUser[service.Empty]) (rest.PasswordManagerList, error) {
	a, _, err := s.accounts.Get(ctx, req.Project, req.User)
	if err != nil {
		return rest.PasswordManagerList{}, err
	}
	return rest.PasswordManagerList{PasswordManagers: passwordmanager.Of(a, s.aaguids.PasswordManager)}, nil
}

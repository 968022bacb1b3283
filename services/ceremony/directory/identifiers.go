package directory

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/identindex"
)

// A reservation lapses after nameLapsesIn, if its owner's account does not have the name by then. So whoever has reserved one stores the
// account within nameLimit or not at all; what lies between is how far the clocks of two instances may be apart.
const (
	nameLapsesIn = time.Minute
	nameLimit    = 30 * time.Second
)

const (
	FieldIdentifier       = "identifierValue"
	FieldIdentifierID     = "identifierID"
	FieldIdentifierType   = "identifierType"
	fieldIdentifierStatus = "status"
	MessageTaken          = "already exists"
	messageIdentifierType = "must be a valid value"
	messageIdentifierStat = "must be a valid value"
)

// CreateIdentifier implements service.Directory. A value that any user of the project has is a conflict, this one included.
func (s *Service) CreateIdentifier(ctx context.Context, req service.ForUser[rest.IdentifierCreateReq]) (rest.Identifier, error) {
	value, err := checkIdentifier(req.Body)
	if err != nil {
		return rest.Identifier{}, err
	}
	a, _, err := s.accounts.Get(ctx, req.Project, req.User)
	if err != nil {
		return rest.Identifier{}, err
	}
	id := reqctx.Seed(ctx).IdentifierID()
	if i := IdentifierAt(&a, id); i >= 0 { // of an earlier attempt of this call
		return identifierOf(req.User, a.Identifiers[i]), s.outbox.Announce(ctx, a)
	}
	created := account.Identifier{
		ID: id, Type: account.IdentifierType(req.Body.IdentifierType), Value: value, Status: account.IdentifierStatus(req.Body.Status),
		CreatedMs: s.now().UnixMilli(),
	}
	add := func(a *account.Account) error { return addIdentifier(a, created) }
	if err := add(&a); err != nil {
		return rest.Identifier{}, err
	}
	err = s.claim(ctx, claim{
		project: req.Project,
		user:    req.User,
		name:    identifierName(req.Project, created.Type, value),
		id:      string(created.ID),
		field:   FieldIdentifier,
		has:     func(other *account.Account) bool { return other.Identifier(created.Type, value) != nil },
		add:     add,
	})
	if err != nil {
		return rest.Identifier{}, err
	}
	return identifierOf(req.User, created), nil
}

func checkIdentifier(body rest.IdentifierCreateReq) (string, error) {
	var wrong []fault.FieldError
	value := ""
	switch {
	case body.IdentifierType == "":
		wrong = append(wrong, fault.FieldError{Field: FieldIdentifierType, Message: "cannot be blank"})
	case !body.IdentifierType.Valid():
		wrong = append(wrong, fault.FieldError{Field: FieldIdentifierType, Message: messageIdentifierType})
	default:
		cleaned, err := account.CleanIdentifier(account.IdentifierType(body.IdentifierType), body.IdentifierValue)
		if err != nil {
			wrong = append(wrong, fault.FieldError{Field: FieldIdentifier, Message: err.Error()})
		}
		value = cleaned
	}
	if err := checkIdentifierStatus(body.Status); err != nil {
		wrong = append(wrong, err.Validation...)
	}
	if len(wrong) > 0 {
		return "", fault.Fields(wrong...)
	}
	return value, nil
}

func checkIdentifierStatus(status rest.IdentifierStatus) *fault.Fault {
	switch {
	case status == "":
		return fault.Field(fieldIdentifierStatus, "cannot be blank")
	case !status.Valid():
		return fault.Field(fieldIdentifierStatus, messageIdentifierStat)
	default:
		return nil
	}
}

// addIdentifier gives a user one identifier more.
func addIdentifier(a *account.Account, created account.Identifier) error {
	if a.Identifier(created.Type, created.Value) != nil {
		return fault.Conflict(FieldIdentifier, MessageTaken)
	}
	if len(a.Identifiers) >= account.MaxIdentifiers {
		return fault.Field(FieldIdentifier, "a user has at most %d identifiers", account.MaxIdentifiers)
	}
	a.Identifiers = append(slices.Clone(a.Identifiers), created)
	keepOnePrimary(a, created)
	return nil
}

// keepOnePrimary makes the earlier primary identifier of the type a verified one, if this one is primary.
func keepOnePrimary(a *account.Account, chosen account.Identifier) {
	if chosen.Status != account.IdentifierStatusPrimary {
		return
	}
	for i := range a.Identifiers {
		if other := &a.Identifiers[i]; other.Type == chosen.Type && other.ID != chosen.ID && other.Status == account.IdentifierStatusPrimary {
			other.Status = account.IdentifierStatusVerified
		}
	}
}

// UpdateIdentifier implements service.Directory.
func (s *Service) UpdateIdentifier(ctx context.Context, req service.ForUser[patch.Identifier]) (rest.Identifier, error) {
	if err := checkIdentifierStatus(req.Body.Status); err != nil {
		return rest.Identifier{}, err
	}
	var changed account.Identifier
	_, err := s.outbox.Change(ctx, s.outbox.NewEvent(req.Project, req.User, event.UserUpdated), func(a *account.Account) error {
		i := IdentifierAt(a, req.Body.ID)
		if i < 0 {
			return fault.Unknown(FieldIdentifierID)
		}
		a.Identifiers[i].Status = account.IdentifierStatus(req.Body.Status)
		changed = a.Identifiers[i]
		keepOnePrimary(a, changed)
		return nil
	})
	if err != nil {
		return rest.Identifier{}, err
	}
	return identifierOf(req.User, changed), nil
}

// DeleteIdentifier implements service.Directory. The value is free when it has returned.
func (s *Service) DeleteIdentifier(ctx context.Context, req service.ForUser[ident.IdentifierID]) (service.Empty, error) {
	var gone account.Identifier
	a, err := s.outbox.Change(ctx, s.outbox.NewEvent(req.Project, req.User, event.UserUpdated), func(a *account.Account) error {
		i := IdentifierAt(a, req.Body)
		if i < 0 {
			return fault.Unknown(FieldIdentifierID)
		}
		gone = a.Identifiers[i]
		a.Identifiers = slices.Delete(a.Identifiers, i, i+1)
		return nil
	})
	if a.ID == "" {
		// If the account was stored all the same, the entry means nothing any more.
		return service.Empty{}, err
	}
	return service.Empty{}, errors.Join(
		err, s.names.Release(ctx, identifierName(req.Project, gone.Type, gone.Value), string(req.User), string(gone.ID)),
	)
}

// GiveBack frees the names that an account had before a change and has no longer after it.
func (s *Service) GiveBack(ctx context.Context, before, after account.Account) error {
	before.Identifiers = slices.DeleteFunc(slices.Clone(before.Identifiers), func(i account.Identifier) bool {
		return IdentifierAt(&after, i.ID) >= 0
	})
	before.SocialAccounts = slices.DeleteFunc(slices.Clone(before.SocialAccounts), func(one account.SocialAccount) bool {
		return slices.Contains(after.SocialAccounts, one)
	})
	return s.eraseIdentifierIndex(ctx, before)
}

func IdentifierAt(a *account.Account, id ident.IdentifierID) int {
	return slices.IndexFunc(a.Identifiers, func(i account.Identifier) bool { return i.ID == id })
}

func identifierName(project ident.ProjectID, kind account.IdentifierType, value string) identindex.Name {
	name := identindex.InProject(project, string(kind), account.IdentifierKey(kind, value))
	name.Forms = account.IdentifierForms(kind, value)
	return name
}

func identifierOf(user ident.UserID, i account.Identifier) rest.Identifier {
	return rest.Identifier{
		IdentifierID: string(
			i.ID,
		),
		Type:   rest.IdentifierType(i.Type),
		Value:  i.Value,
		Status: rest.IdentifierStatus(i.Status),
		UserID: string(user),
	}
}

// claim is a name that a user is to have, and nobody else of the project.
type claim struct {
	project ident.ProjectID
	user    ident.UserID
	name    identindex.Name
	id      string                       // of what has the name
	field   string                       // of the request, where a name that is taken is reported
	has     func(*account.Account) bool  // whether an account has the name
	add     func(*account.Account) error // gives it the name
}

// claim reserves the name and then gives it to the account; the account says who has it. What is left of an attempt that was interrupted
// lapses, at once for the same user.
func (s *Service) claim(ctx context.Context, c claim) error {
	limited, cancel := context.WithTimeout(ctx, nameLimit)
	defer cancel()
	entry := identindex.Entry{Owner: string(c.user), ID: c.id, Created: s.now().UnixMilli()}
	err := s.names.Reserve(limited, c.name, entry, nameLapsesIn, func(owner string) (bool, error) {
		other, _, err := s.accounts.Inspect(limited, c.project, ident.UserID(owner))
		if errors.Is(err, account.ErrUnknown) {
			return false, nil
		}
		return err == nil && c.has(&other), err
	})
	if errors.Is(err, identindex.ErrTaken) {
		return fault.Conflict(c.field, MessageTaken)
	}
	if err != nil {
		return err
	}
	_, err = s.outbox.Change(limited, s.outbox.NewEvent(c.project, c.user, event.UserUpdated), c.add)
	if errors.Is(err, account.ErrUnknown) {
		// Nobody else reserves for a user who is gone, so nothing of theirs can be lost.
		return errors.Join(err, s.names.Release(ctx, c.name, string(c.user), c.id))
	}
	return err
}

// Owner returns who has reserved an identifier, or ""; whether they have it only their account can tell.
func (s *Service) Owner(ctx context.Context, project ident.ProjectID, kind account.IdentifierType, value string) (ident.UserID, error) {
	entry, _, err := s.names.Find(ctx, identifierName(project, kind, value))
	return ident.UserID(entry.Owner), err
}

// TakenError reports that another user has an identifier. It is an identindex.ErrTaken.
type TakenError struct{ Type account.IdentifierType }

// Error implements error.
func (e *TakenError) Error() string { return "the " + string(e.Type) + " is taken" }

// Unwrap returns identindex.ErrTaken.
func (e *TakenError) Unwrap() error { return identindex.ErrTaken }

// CreateWithIdentifiers stores the account of a new user with all its identifiers, which it reserves first. The first that another user has
// is a *TakenError. After another error nobody knows whether the account was stored; if not, the reservations lapse.
func (s *Service) CreateWithIdentifiers(ctx context.Context, a account.Account) error {
	limited, cancel := context.WithTimeout(ctx, nameLimit)
	defer cancel()
	for _, i := range a.Identifiers {
		if err := s.reserve(limited, a, i); err != nil {
			return err
		}
	}
	return s.accounts.Create(limited, a)
}

func (s *Service) reserve(ctx context.Context, a account.Account, i account.Identifier) error {
	entry := identindex.Entry{Owner: string(a.ID), ID: string(i.ID), Created: a.CreatedMs}
	err := s.names.Reserve(ctx, identifierName(a.Project, i.Type, i.Value), entry, nameLapsesIn, func(owner string) (bool, error) {
		other, _, err := s.accounts.Inspect(ctx, a.Project, ident.UserID(owner))
		if errors.Is(err, account.ErrUnknown) {
			return false, nil
		}
		return err == nil && other.Identifier(i.Type, i.Value) != nil, err
	})
	if errors.Is(err, identindex.ErrTaken) {
		return &TakenError{Type: i.Type}
	}
	return err
}

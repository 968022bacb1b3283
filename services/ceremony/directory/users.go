package directory

import (
	"context"
	"crypto/rand"
	"errors"
	"unicode/utf8"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/credindex"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

const (
	maxUserHandle    = 64 // bytes, W3C WebAuthn §5.4.3
	userHandleLength = 32 // bytes
	fieldUserName    = "fullName"
	fieldHandle      = "explicitWebauthnID"
	MinFullName      = 3   // characters
	MaxFullName      = 255 // characters
)

// CreateUser implements service.Users. An explicitWebauthnID that another user of the project has is a conflict: an authenticator keeps one
// passkey per user handle, so two users with one handle would overwrite each other's.
func (s *Service) CreateUser(ctx context.Context, req service.ForProject[rest.UserCreateReq]) (rest.User, error) {
	if _, err := tenant.Of(ctx, s.projects, req.Project); err != nil {
		return rest.User{}, err
	}
	if err := checkNewUser(req.Body); err != nil {
		return rest.User{}, err
	}
	seed := reqctx.Seed(ctx)
	if made, ok, err := s.userMadeBefore(ctx, req.Project, seed); err != nil || ok {
		return userOf(made), err
	}
	nowMs := s.now().UnixMilli()
	a := account.Account{
		Project: req.Project, ID: seed.UserID(), FullName: req.Body.FullName, Status: account.Status(req.Body.Status),
		ExplicitWebauthnID: req.Body.ExplicitWebauthnID, CreatedMs: nowMs, UpdatedMs: nowMs,
	}
	a.Unannounced = []event.Event{s.outbox.NewEvent(a.Project, a.ID, event.UserCreated)}
	if a.ExplicitWebauthnID == nil {
		a.UserHandle = NewUserHandle()
		if err := s.accounts.Create(ctx, a); err != nil {
			return rest.User{}, err
		}
		if err := s.outbox.Announce(ctx, a); err != nil {
			return rest.User{}, err
		}
		return userOf(a), nil
	}
	a.UserHandle = []byte(*a.ExplicitWebauthnID)
	limited, cancel := context.WithTimeout(ctx, nameLimit)
	defer cancel()
	if err := s.reserveHandle(limited, a); err != nil {
		return rest.User{}, err
	}
	// If this fails, nobody knows whether the account was stored. If not, the reservation lapses.
	if err := s.accounts.Create(limited, a); err != nil {
		return rest.User{}, err
	}
	if err := s.outbox.Announce(ctx, a); err != nil {
		return rest.User{}, err
	}
	return userOf(a), nil
}

// userMadeBefore returns the user that an earlier attempt of this call has created. Only a call that may be a repeat looks for one.
func (s *Service) userMadeBefore(ctx context.Context, project ident.ProjectID, seed ident.Seed) (account.Account, bool, error) {
	if seed == "" {
		return account.Account{}, false, nil
	}
	a, _, err := s.accounts.Get(ctx, project, seed.UserID())
	if errors.Is(err, account.ErrUnknown) {
		return account.Account{}, false, nil
	}
	if err != nil {
		return account.Account{}, false, err
	}
	return a, true, s.outbox.Announce(ctx, a)
}

func checkNewUser(body rest.UserCreateReq) error {
	var wrong []fault.FieldError
	if body.Status == "" {
		wrong = append(wrong, fault.FieldError{Field: "status", Message: "cannot be blank"})
	} else if !body.Status.Valid() {
		wrong = append(wrong, fault.FieldError{Field: "status", Message: statusMessage})
	}
	if id := body.ExplicitWebauthnID; id != nil && (*id == "" || len(*id) > maxUserHandle) {
		wrong = append(wrong, fault.FieldError{Field: fieldHandle, Message: "must be from 1 to 64 bytes long"})
	}
	if !fitsName(body.FullName) {
		wrong = append(wrong, fault.FieldError{Field: fieldUserName, Message: nameMessage})
	}
	if len(wrong) > 0 {
		return fault.Fields(wrong...)
	}
	return nil
}

const (
	statusMessage = "must be a valid value"
	nameMessage   = "the length must be between 3 and 255"
)

// fitsName reports whether a full name that is given has a length that one may have.
func fitsName(name *string) bool {
	if name == nil {
		return true
	}
	length := utf8.RuneCountInString(*name)
	return length >= MinFullName && length <= MaxFullName
}

// errHandleTaken says that a user handle cannot be another user's too.
var errHandleTaken = fault.Conflict(fieldHandle, "is another user's already").Named("handle-taken")

func (s *Service) reserveHandle(ctx context.Context, a account.Account) error {
	entry := credindex.Entry{User: a.ID, Created: a.CreatedMs}
	err := s.index.ReserveHandle(ctx, a.Project, a.UserHandle, entry, nameLapsesIn, func(owner ident.UserID) (bool, error) {
		_, _, err := s.accounts.Inspect(ctx, a.Project, owner)
		if errors.Is(err, account.ErrUnknown) {
			return false, nil
		}
		return true, err
	})
	return errHandleTaken.Instead(err, credindex.ErrTaken)
}

// GetUser implements service.Users.
func (s *Service) GetUser(ctx context.Context, req service.ForUser[service.Empty]) (rest.User, error) {
	a, _, err := s.accounts.Get(ctx, req.Project, req.User)
	if err != nil {
		return rest.User{}, err
	}
	return userOf(a), nil
}

// UpdateUser implements service.Users. What the request does not name stays as it is.
func (s *Service) UpdateUser(ctx context.Context, req service.ForUser[rest.UserUpdateReq]) (rest.User, error) {
	if req.Body.Status != nil && !req.Body.Status.Valid() {
		return rest.User{}, fault.Field("status", statusMessage)
	}
	if !fitsName(req.Body.FullName) {
		return rest.User{}, fault.Field(fieldUserName, nameMessage)
	}
	a, err := s.outbox.Change(ctx, s.outbox.NewEvent(req.Project, req.User, event.UserUpdated), func(a *account.Account) error {
		if req.Body.FullName != nil {
			a.FullName = req.Body.FullName
		}
		if req.Body.Status != nil {
			a.Status = account.Status(*req.Body.Status)
		}
		if a.Status == account.StatusActive && req.Body.Status != nil {
			a.WrongCodes = 0 // the operator takes the user for who they are
		}
		return nil
	})
	if err != nil {
		return rest.User{}, err
	}
	return userOf(a), nil
}

func userOf(a account.Account) rest.User {
	return rest.User{
		UserID: string(a.ID), FullName: a.FullName, Status: rest.UserStatus(a.Status), ExplicitWebauthnID: a.ExplicitWebauthnID,
		Updated: account.Timestamp(a.UpdatedMs), UpdatedMs: a.UpdatedMs,
	}
}

// NewUserHandle draws the handle by which authenticators know a user.
func NewUserHandle() []byte {
	handle := make([]byte, userHandleLength)
	rand.Read(handle)
	return handle
}

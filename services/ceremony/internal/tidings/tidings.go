// Package tidings says what there is to tell subscribers of a ceremony that was completed, beside that it was: whether at its finish, or
// when its further proof had been given. It is pure.
package tidings

import (
	"slices"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
)

// Shown is what a ceremony has shown of its passkey and of where it was made.
type Shown struct {
	BackupChanged  bool `json:"backupChanged,omitempty"`  // of a login: the passkey says something else of whether it is backed up
	NewCountry     bool `json:"newCountry,omitempty"`     // the account had not succeeded there before
	NewEnvironment bool `json:"newEnvironment,omitempty"` // nor in this browser or app
}

// IsNew reports whether an account has not succeeded in an environment before, as far as is known. None is not new.
func IsNew(a *account.Account, environment ident.EnvironmentID) bool {
	here := func(e account.Environment) bool { return e.ID == environment }
	return environment != "" && !slices.ContainsFunc(a.Environments, here)
}

// Of returns the events that tell of it. Done says that the ceremony was completed, and where; the IDs come of the ceremony's, so that
// nothing is told twice.
func Of(done event.Event, s Shown) (all []event.Event) {
	if s.BackupChanged && done.Use != nil {
		changed := Beside(done, event.BackupStateChanged)
		changed.Backup = &event.Backup{Stored: !done.Use.BackedUp, Received: done.Use.BackedUp}
		all = append(all, changed)
	}
	if s.NewCountry {
		country := Beside(done, event.NewCountry)
		country.Origin = done.Origin
		all = append(all, country)
	}
	if s.NewEnvironment {
		all = append(all, Beside(done, event.NewEnvironment))
	}
	return all
}

// Beside is an event of the same ceremony as another one.
func Beside(of event.Event, t event.Type) event.Event {
	return event.Event{
		ID: challenge.EventID(of.Ceremony, t), Project: of.Project, User: of.User, Type: t, CreatedMs: of.CreatedMs, Process: of.Process,
		Environment: of.Environment, Credential: of.Credential, Challenge: of.Challenge, Ceremony: of.Ceremony, Client: of.Client,
	}
}

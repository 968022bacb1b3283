package event_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/keyward/keyward/core/event"
)

// TestTypesAreAsTheyWereWhenEventsOfThemWereStored holds the traits to what the names of the first types said, so that no entry of the list
// changes what stored events mean. A type that is added may say otherwise, and is then named here.
func TestTypesAreAsTheyWereWhenEventsOfThemWereStored(t *testing.T) {
	t.Parallel()
	engine := []event.Type{
		event.LoginOffered, event.LoginDenied, event.LoginCompleted, event.AppendOffered, event.AppendCompleted, event.Deleted,
		event.LoginCodeFailed, event.PasskeyCounterRegressed, event.PasskeyBackupChanged, event.AppendRefused,
		event.LoginRefused, event.LoginEventsLimited, event.EnvironmentForgotten, event.StepUpFailed,
		event.AuthenticatorStatusChanged, event.RiskFeedback,
	}
	account := []event.Type{
		event.UserCreated, event.UserUpdated, event.UserDeleted, event.PasskeyDeleted, event.PasskeyCode, event.AuthSignUp, event.AuthLogin,
		event.AuthPasskeyAdded, event.UserLabelled, event.BackupStateChanged, event.NewEnvironment,
		event.NewCountry, event.StepUpStarted, event.StepUpPassed, event.RiskDecided,
	}
	for _, kind := range event.Types() {
		wire := !slices.Contains(engine, kind) && !slices.Contains(account, kind)
		clients := wire && !strings.HasPrefix(string(kind), "user-")
		if !kind.Known() || kind.OnWire() != wire || kind.FromClients() != clients || kind.OfAccount() != slices.Contains(account, kind) {
			t.Errorf("%s: known %t, on the wire %t, from clients %t, of the account %t",
				kind, kind.Known(), kind.OnWire(), kind.FromClients(), kind.OfAccount())
		}
		login, nudge := wire && strings.HasPrefix(string(kind), "login-"), wire && strings.HasPrefix(string(kind), "append-")
		if kind.AnswersLogin() != login || kind.AnswersAppend() != nudge {
			t.Errorf("%s: answers a login %t, an append %t", kind, kind.AnswersLogin(), kind.AnswersAppend())
		}
		if kind.Observed() != (kind == event.LoginOffered || kind == event.LoginDenied) {
			t.Errorf("%s: observed %t", kind, kind.Observed())
		}
	}
}

func TestWhatIsNoTypeIsNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []event.Type{"", "login-mystery", "append-", "Login-error", "login-error "} {
		if kind.Known() || kind.OnWire() || kind.FromClients() || kind.OfAccount() || kind.AnswersLogin() || kind.AnswersAppend() ||
			kind.Observed() {
			t.Errorf("%q passes for a type", kind)
		}
	}
}

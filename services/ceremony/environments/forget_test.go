package environments_test

import (
	"errors"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/environments"
)

func forget(t *testing.T, st *ceremonytest.Stack, user ident.UserID, id string) error {
	t.Helper()
	_, err := st.DeleteClientEnv(
		t.Context(), service.ForUser[ident.EnvironmentID]{Project: st.Project.ID, User: user, Body: ident.EnvironmentID(id)},
	)
	return err
}

func TestAnEnvironmentIsForgottenAndTheOthersAreNot(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	other := authenticator.Phone()
	other.Key = d.Key
	login(t, st, user, other, func(*rest.ClientInformation) {})
	here := string(st.Account(t, user).Credentials[0].Environment)
	if here == "" || len(listed(t, st, user)) != 2 {
		t.Fatalf("it was created in %q of %+v", here, st.Account(t, user).Environments)
	}

	for range 2 { // whoever repeats it is answered alike
		if err := forget(t, st, user, here); err != nil {
			t.Fatal(err)
		}
	}
	told := st.Events.OfType(event.EnvironmentForgotten)
	if len(told) != 1 || string(told[0].Environment) != here || told[0].User != user || told[0].CreatedMs != st.Clock.Now().UnixMilli() {
		t.Errorf("told as %+v", told)
	}
	a := st.Account(t, user)
	if len(a.Environments) != 1 || string(a.Environments[0].ID) == here || a.Credentials[0].Environment != "" || len(a.Unannounced) != 0 {
		t.Errorf("left: %+v", a)
	}

	// The handle is known still, and what happens from now on is remembered anew.
	st.Clock.Advance(time.Minute)
	login(t, st, user, d, func(*rest.ClientInformation) {})
	if list := listed(t, st, user); len(list) != 2 || list[0].ID != here || list[0].CreatedMs != st.Clock.Now().UnixMilli() {
		t.Errorf("remembered anew: %+v", list)
	}
	if err := forget(t, st, user, here); err != nil || len(st.Events.OfType(event.EnvironmentForgotten)) != 2 {
		t.Errorf("it is not forgotten again: %v", err)
	}
}

func TestAnEnvironmentThatOnlyEventsKnowIsForgotten(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	failed := event.Event{
		ID: ident.NewEventID(), Project: st.Project.ID, User: user, Type: event.LoginError, Environment: "env-7", CreatedMs: 1,
	}
	if _, err := st.Events.Append(t.Context(), failed); err != nil {
		t.Fatal(err)
	}
	if err := forget(t, st, user, "env-7"); err != nil || len(st.Events.OfType(event.EnvironmentForgotten)) != 1 {
		t.Errorf("%v, told %d times", err, len(st.Events.OfType(event.EnvironmentForgotten)))
	}
}

func TestAnEnvironmentThatTheUserWasNeverInIsNotThere(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	theirs := listed(t, st, user)[0].ID
	for name, c := range map[string]struct {
		user ident.UserID
		id   string
		want error
	}{
		"an unknown one":         {user, "env-1", environments.ErrUnknown},
		"that of somebody else":  {st.NewUser(t), theirs, environments.ErrUnknown},
		"of a user who is not":   {"usr-1", theirs, account.ErrUnknown},
		"what is no environment": {user, "nothing", environments.ErrUnknown},
	} {
		if err := forget(t, st, c.user, c.id); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if f := fault.As(environments.ErrUnknown); f.Status != 404 {
		t.Errorf("an unknown one is a %d", f.Status)
	}
	if told := st.Events.OfType(event.EnvironmentForgotten); len(told) != 0 {
		t.Errorf("told: %+v", told)
	}
}

func TestWhereTheLogIsAwayAnEnvironmentIsForgottenAndToldLater(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	id := listed(t, st, user)[0].ID
	st.Events.FailNext(3)
	if err := forget(t, st, user, id); !errors.Is(fault.As(err), fault.TypeUnavailable) {
		t.Errorf("got %v", err)
	}
	if left := st.Account(t, user).Unannounced; len(left) != 1 || left[0].Type != event.EnvironmentForgotten {
		t.Errorf("to be told later: %+v", left)
	}
}

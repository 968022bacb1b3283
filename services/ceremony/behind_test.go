package ceremony_test

import (
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
)

// awaited is how many writes a caller waits for who adds a name: what keeps it unique, and the account, which has the event.
const awaited = 2

func TestAUserIsThereWithTwoWritesAndToldOfAfterAnyCrash(t *testing.T) {
	t.Parallel()
	body := rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: new("ada")}
	ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
		st, writes := ceremonytest.New(t), c.Left
		process, end := st.Living(t, c)
		_, err := process.CreateUser(t.Context(), service.ForProject[rest.UserCreateReq]{Project: st.Project.ID, Body: body})
		end()
		if (err == nil) != (writes >= awaited) {
			t.Errorf("after %d writes: %v", writes, err)
		}
		st.Clock.Advance(time.Minute)
		again := st.Restart(t)
		var made []account.Account
		for _, a := range st.Everyone(t) {
			if a.ExplicitWebauthnID != nil {
				made = append(made, a)
			}
		}
		_, second := again.NewUserOf(t, body)
		if len(made) == 0 {
			if err == nil || second != nil {
				t.Errorf("acknowledged and lost, or the handle is not free: %v, %v", err, second)
			}
			return
		}
		st.WantTold(t, made[0].ID, event.UserCreated)
		ceremonytest.WantField(t, second, 409, "explicitWebauthnID", "is another user's already")
	})
}

func TestAnIdentifierIsThereWithTwoWritesAndToldOfAfterAnyCrash(t *testing.T) {
	t.Parallel()
	ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
		st, writes := ceremonytest.New(t), c.Left
		ada, bob := st.NewUser(t), st.NewUser(t)
		process, end := st.Living(t, c)
		_, err := st.AddIdentifier(t, process, ada, account.IdentifierTypeEmail, ceremonytest.Email)
		end()
		if (err == nil) != (writes >= awaited) {
			t.Errorf("after %d writes: %v", writes, err)
		}
		st.Clock.Advance(time.Minute)
		again := st.Restart(t)
		has := len(st.Account(t, ada).Identifiers) == 1
		if err == nil && !has {
			t.Fatal("acknowledged and lost")
		}
		_, second := again.AddIdentifier(t, again, bob, account.IdentifierTypeEmail, ceremonytest.Email)
		if !has {
			st.WantTold(t, ada, event.UserCreated)
			if second != nil {
				t.Errorf("nobody has the address, and it is not free: %v", second)
			}
			return
		}
		st.WantTold(t, ada, event.UserCreated, event.UserUpdated)
		ceremonytest.WantField(t, second, 409, "identifierValue", "already exists")
	})
}

func TestNothingOfAUserWhoIsErasedComesLater(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	process, end := st.Living(t, &ceremonytest.Crash{Left: -1})
	defer end()
	calls := func() int {
		st.Events.Mu.Lock()
		defer st.Events.Mu.Unlock()
		return st.Events.Calls
	}
	before := calls()
	st.Events.FailNext(1) // the user's event is tried again while the user is erased
	made, err := process.CreateUser(t.Context(), service.ForProject[rest.UserCreateReq]{
		Project: st.Project.ID, Body: rest.UserCreateReq{Status: rest.UserStatusActive},
	})
	if err != nil {
		t.Fatal(err)
	}
	for calls() == before {
		<-time.After(time.Millisecond)
	}
	named := service.ForUser[service.Empty]{Project: st.Project.ID, User: ident.UserID(made.UserID)}
	if _, err := process.DeleteUser(t.Context(), named); err != nil {
		t.Fatal(err)
	}
	if told := st.Events.Told(named.User); len(told) != 1 || told[0].Type != event.UserDeleted {
		t.Errorf("left in the log: %+v", told)
	}
}

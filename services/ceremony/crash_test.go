package ceremony_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

func TestNoCrashLeavesHalfAnIdentifier(t *testing.T) {
	t.Parallel()
	ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
		st := ceremonytest.New(t)
		ada, bob := st.NewUser(t), st.NewUser(t)
		_, err := st.AddIdentifier(t, st.Mortal(t, c), ada, account.IdentifierTypeEmail, ceremonytest.Email)
		st.Clock.Advance(time.Minute)
		again := st.Restart(t)
		a := st.Account(t, ada)
		if err == nil && len(a.Identifiers) != 1 {
			t.Fatalf("acknowledged and lost: %+v", a)
		}
		if len(a.Identifiers) == 0 {
			st.WantTold(t, ada, event.UserCreated)
			if _, err := again.AddIdentifier(t, again, bob, account.IdentifierTypeEmail, ceremonytest.Email); err != nil {
				t.Errorf("nobody has the address, and it is not free: %v", err)
			}
			return
		}
		st.WantTold(t, ada, event.UserCreated, event.UserUpdated)
		_, err = again.AddIdentifier(t, again, bob, account.IdentifierTypeEmail, ceremonytest.Email)
		ceremonytest.WantField(t, err, 409, "identifierValue", "already exists")
	})
}

func TestAnInterruptedCallerMayTryAgainAtOnce(t *testing.T) {
	t.Parallel()
	ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
		st := ceremonytest.New(t)
		ada := st.NewUser(t)
		_, _ = st.AddIdentifier(t, st.Mortal(t, c), ada, account.IdentifierTypeEmail, ceremonytest.Email)
		again := st.Restart(t)
		before := len(st.Account(t, ada).Identifiers)
		_, err := again.AddIdentifier(t, again, ada, account.IdentifierTypeEmail, ceremonytest.Email)
		if before == 0 && err != nil {
			t.Errorf("got %v", err)
		}
		if before == 1 {
			ceremonytest.WantField(t, err, 409, "identifierValue", "already exists")
		}
	})
}

func TestNoCrashLeavesHalfADeletedIdentifier(t *testing.T) {
	t.Parallel()
	ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
		st := ceremonytest.New(t)
		ada, bob := st.NewUser(t), st.NewUser(t)
		created, err := st.AddIdentifier(t, st, ada, account.IdentifierTypeEmail, ceremonytest.Email)
		if err != nil {
			t.Fatal(err)
		}
		named := service.ForUser[ident.IdentifierID]{Project: st.Project.ID, User: ada, Body: ident.IdentifierID(created.IdentifierID)}
		_, err = st.Mortal(t, c).DeleteIdentifier(t.Context(), named)
		if err != nil {
			st.Clock.Advance(time.Minute)
		}
		again := st.Restart(t)
		a := st.Account(t, ada)
		if err == nil && len(a.Identifiers) != 0 {
			t.Fatalf("acknowledged and still there: %+v", a)
		}
		_, claimed := again.AddIdentifier(t, again, bob, account.IdentifierTypeEmail, ceremonytest.Email)
		if len(a.Identifiers) == 0 {
			st.WantTold(t, ada, event.UserCreated, event.UserUpdated, event.UserUpdated)
			if claimed != nil {
				t.Errorf("nobody has the address, and it is not free: %v", claimed)
			}
			return
		}
		st.WantTold(t, ada, event.UserCreated, event.UserUpdated)
		ceremonytest.WantField(t, claimed, 409, "identifierValue", "already exists")
		if _, err := again.DeleteIdentifier(t.Context(), named); err != nil {
			t.Errorf("the deletion cannot be repeated: %v", err)
		}
	})
}

func TestNoCrashLeavesHalfAUser(t *testing.T) {
	t.Parallel()
	body := rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: new("ada")}
	ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
		st := ceremonytest.New(t)
		created, err := st.Mortal(t, c).CreateUser(t.Context(), service.ForProject[rest.UserCreateReq]{Project: st.Project.ID, Body: body})
		st.Clock.Advance(time.Minute)
		again := st.Restart(t)
		all := st.Everyone(t)
		if err == nil && (len(all) != 1 || string(all[0].ID) != created.UserID) {
			t.Fatalf("acknowledged and lost: %+v", all)
		}
		_, second := again.NewUserOf(t, body)
		if len(all) == 0 {
			if second != nil {
				t.Errorf("nobody has the handle, and it is not free: %v", second)
			}
			return
		}
		st.WantTold(t, all[0].ID, event.UserCreated)
		ceremonytest.WantField(t, second, 409, "explicitWebauthnID", "is another user's already")
	})
}

// populated makes a user of whom there is something in every place.
func populated(t *testing.T, st *ceremonytest.Stack) (user ident.UserID, d *authenticator.Device) {
	t.Helper()
	created, err := st.NewUserOf(t, rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: new("ada"), FullName: new("Ada")})
	if err != nil {
		t.Fatal(err)
	}
	user, d = ident.UserID(created.UserID), authenticator.Phone()
	st.Enroll(t, user, d)
	gone := st.Enroll(t, user, authenticator.Phone())
	if _, err := st.DeleteCredential(
		t.Context(),
		service.ForUser[ident.CredentialID]{Project: st.Project.ID, User: user, Body: ident.CredentialID(gone.ID)},
	); err != nil {
		t.Fatal(err)
	}
	st.BeginLogin(t, user, d)
	refuse(t, st, user, d)
	if _, err := st.AddIdentifier(t, st, user, account.IdentifierTypeEmail, ceremonytest.Email); err != nil {
		t.Fatal(err)
	}
	if _, err := st.AddSocialAccount(t, st, user, "4711"); err != nil {
		t.Fatal(err)
	}
	if _, err := st.NewCode(t, user, ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Email)); err != nil {
		t.Fatal(err)
	}
	if _, err := st.CreateLongSession(t.Context(), service.ForUser[rest.LongSessionCreateReq]{
		Project: st.Project.ID, User: user, Body: rest.LongSessionCreateReq{
			AppType: rest.AppTypeWeb, IdentifierValue: ceremonytest.Email,
		},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := st.CreateConnectToken(t.Context(), service.ForProject[rest.ConnectTokenCreateReq]{
		Project: st.Project.ID, Body: rest.ConnectTokenCreateReq{
			Type: rest.ConnectTokenTypePasskeyList, Data: rest.ConnectTokenData{Identifier: "Ada@Example.com"},
		},
	}); err != nil {
		t.Fatal(err)
	}
	return user, d
}

// wantErased checks that of the user nothing is left but one event, and that everything that was the user's can be another's.
func wantErased(t *testing.T, st *ceremonytest.Stack, user ident.UserID) {
	t.Helper()
	st.WantNoTrace(t, user)
	left := st.Events.Everything()
	for _, e := range left {
		if e.User == user && e.Type != event.UserDeleted {
			t.Errorf("left in the log: %+v", e)
		}
	}
	st.WantTold(t, user, event.UserDeleted)
	named := service.ForUser[service.Empty]{Project: st.Project.ID, User: user}
	_, err := st.GetUser(t.Context(), named)
	ceremonytest.WantField(t, err, 400, "userID", "does not exist")
	_, err = st.DeleteUser(t.Context(), named)
	ceremonytest.WantField(t, err, 400, "userID", "does not exist")

	other, err := st.NewUserOf(t, rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: new("ada")})
	if err != nil {
		t.Fatalf("the handle is not free: %v", err)
	}
	if _, err := st.AddIdentifier(t, st, ident.UserID(other.UserID), account.IdentifierTypeEmail, ceremonytest.Email); err != nil {
		t.Errorf("the address is not free: %v", err)
	}
	if _, err := st.AddSocialAccount(t, st, ident.UserID(other.UserID), "4711"); err != nil {
		t.Errorf("the social account is not free: %v", err)
	}
}

func TestNoCrashLeavesHalfADeletedUser(t *testing.T) {
	t.Parallel()
	for name, resume := range map[string]func(t *testing.T, st *ceremonytest.Stack, user ident.UserID) *ceremonytest.Stack{
		"finished in the background": func(t *testing.T, st *ceremonytest.Stack, _ ident.UserID) *ceremonytest.Stack {
			st.Clock.Advance(time.Minute)
			return st.Restart(t)
		},
		"asked for again": func(t *testing.T, st *ceremonytest.Stack, user ident.UserID) *ceremonytest.Stack {
			again := *st
			again.Service = st.Mortal(t, &ceremonytest.Crash{Left: -1})
			named := service.ForUser[service.Empty]{Project: st.Project.ID, User: user}
			if _, err := again.DeleteUser(t.Context(), named); err != nil {
				if len(st.Everyone(t)) == 1 { // the other user alone: only the answer was lost
					ceremonytest.WantField(t, err, 400, "userID", "does not exist")
					return &again
				}
				wantUnderWay(t, err)
				st.Clock.Advance(time.Minute)
				if _, err := again.DeleteUser(t.Context(), named); err != nil {
					t.Fatal(err)
				}
			}
			return &again
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
				st := ceremonytest.New(t)
				user, d := populated(t, st)
				bystander := st.NewUser(t)
				st.Enroll(t, bystander, authenticator.Phone())
				named := service.ForUser[service.Empty]{Project: st.Project.ID, User: user}

				_, err := st.Mortal(t, c).DeleteUser(t.Context(), named)
				_, reading := st.GetUser(t.Context(), named)
				switch {
				case err == nil:
					wantErased(t, st, user)
				case reading == nil:
					// Not begun: the user is as before.
					data, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions))
					if err != nil || data.UserID != string(user) {
						t.Errorf("a user whose deletion did not begin cannot log in: %v", err)
					}
				default:
					ceremonytest.WantStatus(t, err, 503)
					ceremonytest.WantField(t, reading, 400, "userID", "does not exist")
					wantErased(t, resume(t, st, user), user)
				}
				if a := st.Account(t, bystander); len(a.Credentials) != 1 || len(st.Events.Told(bystander)) != 1 {
					t.Errorf("another user lost something: %+v", a)
				}
			})
		})
	}
}

func wantUnderWay(t *testing.T, err error) {
	t.Helper()
	ceremonytest.WantStatus(t, err, 503)
	if !strings.Contains(err.Error(), "goes on by itself") {
		t.Errorf("got %v", err)
	}
}

func TestAnErasureThatIsResumedTakesNothingFromWhoHasTheNamesNow(t *testing.T) {
	t.Parallel()
	// The crash comes after the indexes have been cleared, when all names are free; another user takes them before the erasure is resumed.
	for n := 0; ; n++ {
		st := ceremonytest.New(t)
		user, _ := populated(t, st)
		c := &ceremonytest.Crash{Left: n}
		if _, err := st.Mortal(t, c).DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user}); err == nil {
			break
		}
		second, err := st.NewUserOf(t, rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: new("ada")})
		if err != nil {
			continue
		}
		other := ident.UserID(second.UserID)
		_, err = st.AddIdentifier(t, st, other, account.IdentifierTypeEmail, ceremonytest.Email)
		took := err == nil
		st.Clock.Advance(time.Minute)
		again := st.Restart(t)
		_, err = again.NewUserOf(t, rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: new("ada")})
		ceremonytest.WantField(t, err, 409, "explicitWebauthnID", "is another user's already")
		if took {
			_, err = again.AddIdentifier(t, again, st.NewUser(t), account.IdentifierTypeEmail, ceremonytest.Email)
			ceremonytest.WantField(t, err, 409, "identifierValue", "already exists")
		}
	}
}

func TestADeletionIsDoneOnceHoweverManyAskForIt(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, _ := populated(t, st)
	processes := []*ceremony.Service{st.Mortal(t, &ceremonytest.Crash{Left: -1}), st.Mortal(t, &ceremonytest.Crash{Left: -1})}
	var wait sync.WaitGroup
	results := make([]error, 20)
	for i := range results {
		wait.Go(func() {
			_, results[i] = processes[i%2].DeleteUser(context.Background(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user})
		})
	}
	wait.Wait()
	done := 0
	for _, err := range results {
		switch {
		case err == nil:
			done++
		case ceremonytest.StatusOf(err) == 503:
			wantUnderWay(t, err)
		default:
			ceremonytest.WantField(t, err, 400, "userID", "does not exist")
		}
	}
	if done == 0 {
		t.Errorf("nobody was told that the user is gone: %v", errors.Join(results...))
	}
	wantErased(t, st, user)
}

// refuse has a login of the user refused, which leaves a mark.
func refuse(t *testing.T, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device) {
	t.Helper()
	stranger := authenticator.Phone()
	if _, err := st.FinishLogin(t, user, stranger, stranger.Get(t, st.BeginLogin(t, user, d).AssertionOptions)); err == nil {
		t.Fatal("a stranger logged in")
	}
}

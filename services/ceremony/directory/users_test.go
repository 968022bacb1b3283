package directory_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/faulty"
)

func TestAUserIsCreatedReadChangedAndDeleted(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	created, err := st.NewUserOf(
		t, rest.UserCreateReq{FullName: new("Ada Lovelace"), Status: rest.UserStatusPending, ExplicitWebauthnID: new("ada")},
	)
	if err != nil {
		t.Fatal(err)
	}
	want := rest.User{
		UserID: created.UserID, FullName: new("Ada Lovelace"), Status: rest.UserStatusPending, ExplicitWebauthnID: new("ada"),
		Updated: "2026-11-22T12:00:00", UpdatedMs: ceremonytest.Started.UnixMilli(),
	}
	if diff := cmp.Diff(want, created); diff != "" {
		t.Error(diff)
	}
	user := ident.UserID(created.UserID)
	named := service.ForUser[service.Empty]{Project: st.Project.ID, User: user}
	got, err := st.GetUser(t.Context(), named)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if handle := st.Account(t, user).UserHandle; string(handle) != "ada" {
		t.Errorf("user handle %q", handle)
	}

	st.Clock.Advance(time.Minute)
	got, err = st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{
		Project: st.Project.ID, User: user, Body: rest.UserUpdateReq{Status: new(rest.UserStatusActive)},
	})
	if err != nil {
		t.Fatal(err)
	}
	want.Status, want.Updated, want.UpdatedMs = rest.UserStatusActive, "2026-11-22T12:01:00", st.Clock.Now().UnixMilli()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("more was changed than was asked for: %s", diff)
	}

	d := authenticator.Phone()
	st.Enroll(t, user, d)
	st.BeginLogin(t, user, d)
	if _, err := st.DeleteUser(t.Context(), named); err != nil {
		t.Fatal(err)
	}
	_, err = st.GetUser(t.Context(), named)
	ceremonytest.WantField(t, err, 400, "userID", "does not exist")
	_, err = st.DeleteUser(t.Context(), named)
	ceremonytest.WantField(t, err, 400, "userID", "does not exist")
	if diff := cmp.Diff([]ident.UserID{user}, st.Events.Erased); diff != "" {
		t.Error(diff)
	}
	st.WantNoTrace(t, user)
	if _, err := st.NewUserOf(t, rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: new("ada")}); err != nil {
		t.Errorf("the user handle of a deleted user is not free: %v", err)
	}
	st.Enroll(t, st.NewUser(t), d)
}

func TestAUserWithoutAHandleGetsARandomOne(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	a, b := st.Account(t, st.NewUser(t)), st.Account(t, st.NewUser(t))
	if len(a.UserHandle) != 32 || len(b.UserHandle) != 32 || string(a.UserHandle) == string(b.UserHandle) || a.ExplicitWebauthnID != nil ||
		a.FullName != nil {
		t.Errorf("accounts: %+v %+v", a, b)
	}
}

func TestBadUsersAreRefused(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	for name, c := range map[string]struct {
		body           rest.UserCreateReq
		field, message string
	}{
		"no status":         {rest.UserCreateReq{}, "status", "cannot be blank"},
		"an unknown status": {rest.UserCreateReq{Status: "gone"}, "status", "must be a valid value"},
		"an empty user handle": {
			rest.UserCreateReq{Status: "active", ExplicitWebauthnID: new("")}, "explicitWebauthnID",
			"must be from 1 to 64 bytes long",
		},
		"a user handle too long": {
			rest.UserCreateReq{Status: "active", ExplicitWebauthnID: new(strings.Repeat("ä", 33))}, "explicitWebauthnID",
			"must be from 1 to 64 bytes long",
		},
		"a name too long": {
			rest.UserCreateReq{Status: "active", FullName: new(strings.Repeat("ä", 256))}, "fullName",
			"the length must be between 3 and 255",
		},
		"a name too short": {rest.UserCreateReq{Status: "active", FullName: new("äd")}, "fullName", "the length must be between 3 and 255"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := st.NewUserOf(t, c.body)
			ceremonytest.WantField(t, err, 400, c.field, c.message)
		})
	}
	user := st.NewUser(t)
	_, err := st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{
		Project: st.Project.ID, User: user, Body: rest.UserUpdateReq{Status: new(rest.UserStatus("gone"))},
	})
	ceremonytest.WantField(t, err, 400, "status", "must be a valid value")
	_, err = st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{Project: st.Project.ID, User: "usr-1"})
	ceremonytest.WantField(t, err, 400, "userID", "does not exist")
}

func TestAUserHandleBelongsToOneUserOfAProject(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	body := rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: new("ada")}
	var (
		wait    sync.WaitGroup
		mu      sync.Mutex
		created int
	)
	for range 20 {
		wait.Go(func() {
			_, err := st.CreateUser(context.Background(), service.ForProject[rest.UserCreateReq]{Project: st.Project.ID, Body: body})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				created++
				return
			}
			ceremonytest.WantField(t, err, 409, "explicitWebauthnID", "is another user's already")
		})
	}
	wait.Wait()
	if created != 1 {
		t.Errorf("%d users have one user handle", created)
	}
	if _, err := ceremonytest.New(t).NewUserOf(t, body); err != nil {
		t.Errorf("another project cannot use it: %v", err)
	}
}

func TestAUserHandleWhoseUserWasNeverStoredLapses(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	accounts, index := &faulty.Bucket{KeyValue: b.Accounts}, &faulty.Bucket{KeyValue: b.Index}
	b.Accounts, b.Index = accounts, index
	st := ceremonytest.NewOn(t, b)
	body := rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: new("ada")}
	accounts.FailCreates(1)
	index.FailPurges(1)
	if _, err := st.NewUserOf(t, body); fault.As(err).Status != 503 {
		t.Fatalf("got %v", err)
	}
	_, err := st.NewUserOf(t, body)
	ceremonytest.WantField(t, err, 409, "explicitWebauthnID", "is another user's already")
	st.Clock.Advance(time.Minute)
	if _, err := st.NewUserOf(t, body); err != nil {
		t.Errorf("the handle did not lapse: %v", err)
	}
	st.Clock.Advance(time.Hour)
	_, err = st.NewUserOf(t, body)
	ceremonytest.WantField(t, err, 409, "explicitWebauthnID", "is another user's already")
}

func TestAnInterruptedDeletionIsRepeated(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]func(st *ceremonytest.Stack, accounts, challenges, index *faulty.Bucket){
		"while events are erased":      func(st *ceremonytest.Stack, _, _, _ *faulty.Bucket) { st.Events.FailNext(1) },
		"while challenges are removed": func(_ *ceremonytest.Stack, _, challenges, _ *faulty.Bucket) { challenges.FailPurges(1) },
		"while marks are removed": func(st *ceremonytest.Stack, _, _, _ *faulty.Bucket) {
			st.Buckets.Marks.(*faulty.Bucket).FailPurges(1)
		},
		"while the index is cleared":         func(_ *ceremonytest.Stack, _, _, index *faulty.Bucket) { index.FailPurges(1) },
		"before the account itself is gone":  func(_ *ceremonytest.Stack, accounts, _, _ *faulty.Bucket) { accounts.FailPurges(1) },
		"before anything at all has changed": func(_ *ceremonytest.Stack, accounts, _, _ *faulty.Bucket) { accounts.FailUpdates(1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := ceremonytest.OpenBuckets(t)
			accounts, challenges, index := &faulty.Bucket{
				KeyValue: b.Accounts,
			}, &faulty.Bucket{
				KeyValue: b.Challenges,
			}, &faulty.Bucket{
				KeyValue: b.Index,
			}
			b.Accounts, b.Challenges, b.Index, b.Marks = accounts, challenges, index, &faulty.Bucket{KeyValue: b.Marks}
			st := ceremonytest.NewOn(t, b)
			created, err := st.NewUserOf(t, rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: new("ada")})
			if err != nil {
				t.Fatal(err)
			}
			user, d := ident.UserID(created.UserID), authenticator.Phone()
			data := st.Enroll(t, user, d)
			kept := authenticator.Phone()
			st.Enroll(t, user, kept)
			refuse(t, st, user, kept)
			if _, err := st.DeleteCredential(
				t.Context(),
				service.ForUser[ident.CredentialID]{Project: st.Project.ID, User: user, Body: ident.CredentialID(data.ID)},
			); err != nil {
				t.Fatal(err)
			}

			interrupt(st, accounts, challenges, index)
			named := service.ForUser[service.Empty]{Project: st.Project.ID, User: user}
			if _, err := st.DeleteUser(t.Context(), named); fault.As(err).Status != 503 {
				t.Fatalf("got %v", err)
			}
			if _, _, err := st.Accounts.Inspect(t.Context(), st.Project.ID, user); err != nil {
				t.Fatalf("the account went first: %v", err)
			}
			if _, err := st.DeleteUser(t.Context(), named); err != nil {
				t.Fatal(err)
			}
			st.WantNoTrace(t, user)
		})
	}
}

func TestACeremonyUnderWayAddsNothingToAUserWhoIsBeingDeleted(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	answer := d.Create(t, st.BeginAppend(t, user, d).AttestationOptions)
	st.Events.OnErase = func() {
		st.Events.OnErase = nil
		st.Events.Mu.Unlock()
		defer st.Events.Mu.Lock()
		_, err := st.FinishAppend(t, user, d, answer)
		ceremonytest.WantField(t, err, 400, "userID", "does not exist")
	}
	if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user}); err != nil {
		t.Fatal(err)
	}
	st.WantNoTrace(t, user)
}

func TestUsersAreListed(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	for i, name := range []*string{new("Grace"), new("Ada"), nil, new("Barbara")} {
		status := account.StatusActive
		if i == 3 {
			status = account.StatusDisabled
		}
		if _, err := st.NewUserOf(t, rest.UserCreateReq{FullName: name, Status: rest.UserStatus(status)}); err != nil {
			t.Fatal(err)
		}
		st.Clock.Advance(time.Minute)
	}
	ceremonytest.New(t).NewUser(t) // of another project

	for name, c := range map[string]struct {
		list  service.List
		want  []string
		items int32
	}{
		"in the order of their creation": {service.List{}, []string{"Grace", "Ada", "", "Barbara"}, 4},
		"by name":                        {service.List{Sort: "name:desc"}, []string{"Grace", "Barbara", "Ada", ""}, 4},
		"by full name":                   {service.List{Sort: "fullName:asc"}, []string{"", "Ada", "Barbara", "Grace"}, 4},
		"of one status":                  {service.List{Filter: []string{"status:eq:disabled"}}, []string{"Barbara"}, 1},
		"created after a time":           {service.List{Filter: []string{"created:gt:2026-11-22T12:01:00"}}, []string{"", "Barbara"}, 2},
		"by a part of the name":          {service.List{Filter: []string{"searchValue:eq:AR"}}, []string{"Barbara"}, 1},
		"by page":                        {service.List{Page: 2, PageSize: 3}, []string{"Barbara"}, 4},
		"beyond the last page":           {service.List{Page: 9}, []string{}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := ceremonytest.Patiently(t, func() (rest.UserList, error) {
				return st.ListUsers(t.Context(), service.ForProject[service.List]{Project: st.Project.ID, Body: c.list})
			})
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, u := range list.Users {
				got = append(got, fmt.Sprint(*orBlank(u.FullName)))
				if u.EmailIdentifiers == nil || u.PhoneNumberIdentifiers == nil || u.UsernameIdentifiers == nil || u.SocialAccounts == nil {
					t.Errorf("a list is nil: %+v", u)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" || list.Paging.TotalItems != c.items {
				t.Errorf("%s, paging %+v", diff, list.Paging)
			}
		})
	}
	_, err := st.ListUsers(t.Context(), service.ForProject[service.List]{Project: st.Project.ID, Body: service.List{Sort: "email:asc"}})
	if f := fault.As(err); len(f.Validation) != 1 || f.Validation[0].Field != "email" {
		t.Errorf("got %v", err)
	}
}

func orBlank(s *string) *string {
	if s == nil {
		return new("")
	}
	return s
}

// refuse has a login of the user refused, which leaves a mark.
func refuse(t *testing.T, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device) {
	t.Helper()
	stranger := authenticator.Phone()
	if _, err := st.FinishLogin(t, user, stranger, stranger.Get(t, st.BeginLogin(t, user, d).AssertionOptions)); err == nil {
		t.Fatal("a stranger logged in")
	}
}

package directory_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
)

func setStatus(
	tb testing.TB, st *ceremonytest.Stack, user ident.UserID, id string, status account.IdentifierStatus,
) (rest.Identifier, error) {
	tb.Helper()
	return st.UpdateIdentifier(tb.Context(), service.ForUser[patch.Identifier]{
		Project: st.Project.ID, User: user, Body: patch.Identifier{ID: ident.IdentifierID(id), Status: rest.IdentifierStatus(status)},
	})
}

func deleteIdentifier(tb testing.TB, st *ceremonytest.Stack, user ident.UserID, id string) error {
	tb.Helper()
	_, err := st.DeleteIdentifier(tb.Context(), service.ForUser[ident.IdentifierID]{
		Project: st.Project.ID, User: user, Body: ident.IdentifierID(id),
	})
	return err
}

func TestAnIdentifierIsCreatedChangedAndDeleted(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	ada, bob := st.NewUser(t), st.NewUser(t)
	st.Clock.Advance(time.Second)
	created, err := st.AddIdentifier(t, st, ada, account.IdentifierTypeEmail, " Ada@Example.com ")
	if err != nil {
		t.Fatal(err)
	}
	want := rest.Identifier{
		IdentifierID: created.IdentifierID, Type: rest.IdentifierTypeEmail, Value: "Ada@Example.com",
		Status: rest.IdentifierStatusPrimary, UserID: string(ada),
	}
	if diff := cmp.Diff(want, created); diff != "" || !strings.HasPrefix(created.IdentifierID, "ide-") {
		t.Error(diff, created.IdentifierID)
	}
	a := st.Account(t, ada)
	kept := []account.Identifier{
		{
			ID:        ident.IdentifierID(created.IdentifierID),
			Type:      "email",
			Value:     "Ada@Example.com",
			Status:    "primary",
			CreatedMs: st.Clock.Now().UnixMilli(),
		},
	}
	if diff := cmp.Diff(kept, a.Identifiers); diff != "" || a.UpdatedMs != st.Clock.Now().UnixMilli() {
		t.Error(diff, a.UpdatedMs)
	}
	for name, user := range map[string]ident.UserID{"another user": bob, "the same user": ada} {
		_, err = st.AddIdentifier(t, st, user, account.IdentifierTypeEmail, "ada@example.COM")
		if t.Log(name); true {
			ceremonytest.WantField(t, err, 409, "identifierValue", "already exists")
		}
	}
	if _, err := createIdentifierOfNew(t, ceremonytest.New(t), "ada@example.com"); err != nil {
		t.Errorf("another project cannot have it: %v", err)
	}

	changed, err := setStatus(t, st, ada, created.IdentifierID, account.IdentifierStatusVerified)
	want.Status = rest.IdentifierStatusVerified
	if diff := cmp.Diff(want, changed); diff != "" || err != nil {
		t.Error(diff, err)
	}
	_, err = setStatus(t, st, bob, created.IdentifierID, account.IdentifierStatusVerified)
	ceremonytest.WantField(t, err, 400, "identifierID", "does not exist")
	ceremonytest.WantField(t, deleteIdentifier(t, st, bob, created.IdentifierID), 400, "identifierID", "does not exist")

	if err := deleteIdentifier(t, st, ada, created.IdentifierID); err != nil {
		t.Fatal(err)
	}
	ceremonytest.WantField(t, deleteIdentifier(t, st, ada, created.IdentifierID), 400, "identifierID", "does not exist")
	if _, err := st.AddIdentifier(t, st, bob, account.IdentifierTypeEmail, "ada@example.com"); err != nil {
		t.Errorf("what was deleted is not free at once: %v", err)
	}
	st.WantTold(t, ada, event.UserCreated, event.UserUpdated, event.UserUpdated, event.UserUpdated)
	st.WantTold(t, bob, event.UserCreated, event.UserUpdated)
}

func createIdentifierOfNew(tb testing.TB, st *ceremonytest.Stack, value string) (rest.Identifier, error) {
	tb.Helper()
	return st.AddIdentifier(tb, st, st.NewUser(tb), account.IdentifierTypeEmail, value)
}

func TestBadIdentifiersAreRefused(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	for name, c := range map[string]struct {
		user           ident.UserID
		body           rest.IdentifierCreateReq
		field, message string
	}{
		"an empty value": {user, rest.IdentifierCreateReq{IdentifierType: "email", Status: "primary"}, "identifierValue", "cannot be blank"},
		"no type":        {user, rest.IdentifierCreateReq{IdentifierValue: "x", Status: "primary"}, "identifierType", "cannot be blank"},
		"an unknown type": {
			user, rest.IdentifierCreateReq{IdentifierType: "pager", IdentifierValue: "x", Status: "primary"}, "identifierType",
			"must be a valid value",
		},
		"no status": {user, rest.IdentifierCreateReq{IdentifierType: "username", IdentifierValue: "x"}, "status", "cannot be blank"},
		"an unknown status": {
			user, rest.IdentifierCreateReq{IdentifierType: "username", IdentifierValue: "x", Status: "lost"}, "status",
			"must be a valid value",
		},
		"no email address": {
			user, rest.IdentifierCreateReq{IdentifierType: "email", IdentifierValue: "x", Status: "primary"}, "identifierValue",
			"must be an email address such as ada@example.com",
		},
		"no phone number": {
			user, rest.IdentifierCreateReq{IdentifierType: "phone", IdentifierValue: "123", Status: "primary"}, "identifierValue",
			"must be a phone number with the country's code and nothing between its digits, such as +4915112345678",
		},
		"a user nobody created": {
			"usr-1", rest.IdentifierCreateReq{IdentifierType: "username", IdentifierValue: "x", Status: "primary"}, "userID",
			"does not exist",
		},
		"a user that cannot be": {
			"usr-*", rest.IdentifierCreateReq{IdentifierType: "username", IdentifierValue: "x", Status: "primary"}, "userID",
			"does not exist",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := st.CreateIdentifier(t.Context(), service.ForUser[rest.IdentifierCreateReq]{Project: st.Project.ID, User: c.user, Body: c.body})
			ceremonytest.WantField(t, err, 400, c.field, c.message)
		})
	}
	_, err := setStatus(t, st, user, "ide-1", "lost")
	ceremonytest.WantField(t, err, 400, "status", "must be a valid value")
	_, err = setStatus(t, st, "usr-1", "ide-1", "primary")
	ceremonytest.WantField(t, err, 400, "userID", "does not exist")
	ceremonytest.WantField(t, deleteIdentifier(t, st, "usr-1", "ide-1"), 400, "userID", "does not exist")
}

func TestAUserHasOnePrimaryIdentifierOfAType(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	ids := map[string]string{}
	for _, c := range []struct {
		kind  account.IdentifierType
		value string
	}{{"email", "a@example.com"}, {"phone", "+491511234567"}, {"email", "b@example.com"}} {
		made, err := st.AddIdentifier(t, st, user, c.kind, c.value)
		if err != nil {
			t.Fatal(err)
		}
		ids[c.value] = made.IdentifierID
	}
	statuses := func() map[string]account.IdentifierStatus {
		found := map[string]account.IdentifierStatus{}
		for _, i := range st.Account(t, user).Identifiers {
			found[i.Value] = i.Status
		}
		return found
	}
	want := map[string]account.IdentifierStatus{"a@example.com": "verified", "+491511234567": "primary", "b@example.com": "primary"}
	if diff := cmp.Diff(want, statuses()); diff != "" {
		t.Error(diff)
	}
	if _, err := setStatus(t, st, user, ids["a@example.com"], account.IdentifierStatusPrimary); err != nil {
		t.Fatal(err)
	}
	want["a@example.com"], want["b@example.com"] = "primary", "verified"
	if diff := cmp.Diff(want, statuses()); diff != "" {
		t.Error(diff)
	}
}

func TestTheIdentifiersOfAUserAreBounded(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	for i := range account.MaxIdentifiers {
		if _, err := st.AddIdentifier(t, st, user, account.IdentifierTypeUsername, fmt.Sprint("ada", i)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := st.AddIdentifier(t, st, user, account.IdentifierTypeUsername, "one too many")
	ceremonytest.WantField(t, err, 400, "identifierValue", "a user has at most 100 identifiers")
	if _, err := st.AddIdentifier(t, st, st.NewUser(t), account.IdentifierTypeUsername, "one too many"); err != nil {
		t.Errorf("what was refused is not free: %v", err)
	}
}

func TestAnIdentifierBelongsToOneUserWhoeverAsksAtOnce(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	users := make([]ident.UserID, 10)
	for i := range users {
		users[i] = st.NewUser(t)
	}
	var (
		wait    sync.WaitGroup
		mu      sync.Mutex
		created []string
	)
	for i := range 50 {
		wait.Go(func() {
			made, err := st.CreateIdentifier(context.Background(), service.ForUser[rest.IdentifierCreateReq]{
				Project: st.Project.ID, User: users[i%len(users)], Body: rest.IdentifierCreateReq{
					IdentifierType: rest.IdentifierTypeEmail, IdentifierValue: ceremonytest.Email, Status: rest.IdentifierStatusPending,
				},
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				created = append(created, made.IdentifierID)
				return
			}
			ceremonytest.WantField(t, err, 409, "identifierValue", "already exists")
		})
	}
	wait.Wait()
	var owners []account.Identifier
	for _, user := range users {
		owners = append(owners, st.Account(t, user).Identifiers...)
	}
	if len(created) != 1 || len(owners) != 1 || string(owners[0].ID) != created[0] {
		t.Errorf("created %v, in accounts %+v", created, owners)
	}
	told := 0
	for _, user := range users {
		told += len(st.Events.Told(user)) - 1
	}
	if told != 1 {
		t.Errorf("%d changes were told of", told)
	}
}

// However creations and deletions follow one another, no two users have one value, and a value that nobody has can be had.
func TestIdentifiersStayUnique(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		st := ceremonytest.New(t)
		users := []ident.UserID{st.NewUser(t), st.NewUser(t), st.NewUser(t)}
		owner := map[string]ident.UserID{}
		ids := map[string]string{}
		values := []string{"a@example.com", "b@example.com"}
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			user := rapid.SampledFrom(users).Draw(r, "user")
			value := rapid.SampledFrom(values).Draw(r, "value")
			if rapid.Bool().Draw(r, "create") {
				made, err := st.AddIdentifier(t, st, user, account.IdentifierTypeEmail, value)
				if free := owner[value] == ""; free != (err == nil) {
					r.Fatalf("%s is %s's, and a creation for %s answered %v", value, owner[value], user, err)
				}
				if err == nil {
					owner[value], ids[value] = user, made.IdentifierID
				}
				continue
			}
			if owner[value] == "" {
				continue
			}
			if err := deleteIdentifier(t, st, owner[value], ids[value]); err != nil {
				r.Fatal(err)
			}
			delete(owner, value)
		}
		for _, user := range users {
			for _, i := range st.Account(t, user).Identifiers {
				if owner[i.Value] != user {
					r.Errorf("%s has %s, which is %q's", user, i.Value, owner[i.Value])
				}
			}
		}
	})
}

func TestSocialAccounts(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	ada, bob := st.NewUser(t), st.NewUser(t)
	made, err := st.AddSocialAccount(t, st, ada, "4711")
	if err != nil {
		t.Fatal(err)
	}
	want := rest.SocialAccount{
		SocialAccountID: made.SocialAccountID,
		ProviderType:    rest.SocialProviderTypeGithub,
		IdentifierValue: ceremonytest.Email,
		UserID:          string(ada),
		ForeignID:       "4711",
		AvatarURL:       "https://example.com/ada.png",
		FullName:        "Ada",
	}
	if diff := cmp.Diff(want, made); diff != "" || !strings.HasPrefix(made.SocialAccountID, "soc-") {
		t.Error(diff, made.SocialAccountID)
	}
	for _, user := range []ident.UserID{ada, bob} {
		_, err = st.AddSocialAccount(t, st, user, "4711")
		ceremonytest.WantField(t, err, 409, "foreignID", "already exists")
	}
	if _, err = st.AddSocialAccount(t, st, ada, "0815"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		list service.List
		want []string
	}{
		"all":                    {service.List{Sort: "foreignID:asc"}, []string{"0815", "4711"}},
		"one by its foreign ID":  {service.List{Filter: []string{"foreignID:eq:0815"}}, []string{"0815"}},
		"none of a provider":     {service.List{Filter: []string{"providerType:eq:google"}}, []string{}},
		"the second page of one": {service.List{Sort: "foreignID:asc", Page: 2, PageSize: 1}, []string{"4711"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := st.ListUserSocialAccounts(t.Context(), service.ForUser[service.List]{Project: st.Project.ID, User: ada, Body: c.list})
			if err != nil || list == nil {
				t.Fatal(list, err)
			}
			got := []string{}
			for _, one := range list {
				got = append(got, one.ForeignID)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if list, err := st.ListUserSocialAccounts(
		t.Context(), service.ForUser[service.List]{Project: st.Project.ID, User: bob},
	); err != nil || list == nil ||
		len(list) != 0 {
		t.Errorf("got %v, %v", list, err)
	}
	_, err = st.ListUserSocialAccounts(t.Context(), service.ForUser[service.List]{Project: st.Project.ID, User: "usr-1"})
	ceremonytest.WantField(t, err, 400, "userID", "does not exist")
	_, err = st.AddSocialAccount(t, st, "usr-1", "1")
	ceremonytest.WantField(t, err, 400, "userID", "does not exist")
	st.WantTold(t, ada, event.UserCreated, event.UserUpdated, event.UserUpdated)
}

func TestBadSocialAccountsAreRefused(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	good := rest.SocialAccountCreateReq{ProviderType: "google", ForeignID: "1", IdentifierValue: ceremonytest.Email}
	for field, spoil := range map[string]func(*rest.SocialAccountCreateReq){
		"providerType": func(b *rest.SocialAccountCreateReq) { b.ProviderType = "myspace" },
		"foreignID":    func(b *rest.SocialAccountCreateReq) { b.ForeignID = strings.Repeat("x", 256) },
		"avatarURL":    func(b *rest.SocialAccountCreateReq) { b.AvatarURL = "javascript:alert(1)" },
		"fullName":     func(b *rest.SocialAccountCreateReq) { b.FullName = strings.Repeat("x", 256) },
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			body := good
			spoil(&body)
			_, err := st.CreateSocialAccount(t.Context(), service.ForUser[rest.SocialAccountCreateReq]{
				Project: st.Project.ID, User: user, Body: body,
			})
			f := fault.As(err)
			if f.Status != 400 || len(f.Validation) != 1 || f.Validation[0].Field != field {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWhatIsNotInTheLogIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	const always = 1_000_000
	for name, call := range map[string]func() error{
		"a new user": func() error { _, err := st.NewUserOf(t, rest.UserCreateReq{Status: "active"}); return err },
		"a changed user": func() error {
			_, err := st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{
				Project: st.Project.ID, User: user, Body: rest.UserUpdateReq{FullName: new("Ada")},
			})
			return err
		},
		"an identifier":    func() error { _, err := st.AddIdentifier(t, st, user, "email", ceremonytest.Email); return err },
		"a social account": func() error { _, err := st.AddSocialAccount(t, st, user, "1"); return err },
	} {
		st.Events.FailNext(always)
		if err := call(); err == nil {
			t.Errorf("%s was acknowledged", name)
		} else {
			ceremonytest.WantStatus(t, err, 503)
		}
		st.Events.FailNext(0)
	}
	if told := st.Events.Told(user); len(told) != 1 {
		t.Fatalf("told %+v", told)
	}
	st.Restart(t)
	st.WantTold(t, user, event.UserCreated, event.UserUpdated, event.UserUpdated, event.UserUpdated)
	if all := st.Everyone(t); len(all) != 2 || len(st.Events.OfType(event.UserCreated)) != 2 {
		t.Errorf("%d accounts, %d told of", len(all), len(st.Events.OfType(event.UserCreated)))
	}
}

func TestChangesWaitWhileTheLogIsAway(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	st.Events.FailNext(1_000_000)
	rename := func(name string) error {
		_, err := st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{
			Project: st.Project.ID, User: user, Body: rest.UserUpdateReq{FullName: &name},
		})
		return err
	}
	if _, err := st.Accounts.Update(t.Context(), st.Project.ID, user, func(a *account.Account) error {
		for range 50 {
			a.Unannounced = append(a.Unannounced, event.Event{ID: ident.NewEventID(), Project: st.Project.ID, User: user, Type: event.UserUpdated})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	ceremonytest.WantStatus(t, rename("Ada"), 503)
	if a := st.Account(t, user); a.FullName != nil || len(a.Unannounced) != 50 {
		t.Errorf("the account has %d events to tell and the name %v", len(a.Unannounced), a.FullName)
	}
	st.Events.FailNext(0)
	st.Restart(t)
	if err := rename("Ada"); err != nil {
		t.Error(err)
	}
}

// entered gives a user an identifier as a version before did, which knew one form of a domain from another.
func entered(t *testing.T, st *ceremonytest.Stack, value string) ident.UserID {
	t.Helper()
	user := st.NewUser(t)
	one := account.Identifier{
		ID: ident.NewIdentifierID(), Type: account.IdentifierTypeEmail, Value: value, Status: account.IdentifierStatusPrimary,
		CreatedMs: 1,
	}
	if _, err := st.Accounts.Update(t.Context(), st.Project.ID, user, func(a *account.Account) error {
		a.Identifiers = append(a.Identifiers, one)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(value))
	key := string(st.Project.ID) + ".email." + base64.RawURLEncoding.EncodeToString(sum[:])
	entry := []byte(`{"owner":"` + string(user) + `","id":"` + string(one.ID) + `","created":1}`)
	if _, err := st.Buckets.Names.Create(t.Context(), key, entry); err != nil {
		t.Fatal(err)
	}
	return user
}

func TestADomainIsOneWhicheverWayItIsWritten(t *testing.T) {
	t.Parallel()
	const unicode, ascii = "a@m\u00fcnchen.de", "a@xn--mnchen-3ya.de"
	other := map[string]string{unicode: ascii, ascii: unicode}
	owner := func(t *testing.T, st *ceremonytest.Stack, value string) ident.UserID {
		t.Helper()
		user, err := st.Owner(t.Context(), st.Project.ID, account.IdentifierTypeEmail, value)
		if err != nil {
			t.Fatal(err)
		}
		return user
	}
	for kept, sent := range other {
		for name, make := range map[string]func(t *testing.T, st *ceremonytest.Stack) ident.UserID{
			"entered now": func(t *testing.T, st *ceremonytest.Stack) ident.UserID {
				t.Helper()
				user := st.NewUser(t)
				if _, err := st.AddIdentifier(t, st, user, account.IdentifierTypeEmail, kept); err != nil {
					t.Fatal(err)
				}
				return user
			},
			"entered before": func(t *testing.T, st *ceremonytest.Stack) ident.UserID { t.Helper(); return entered(t, st, kept) },
		} {
			t.Run(kept+" "+name, func(t *testing.T) {
				t.Parallel()
				st := ceremonytest.New(t)
				user := make(t, st)
				if owner(t, st, kept) != user || owner(t, st, sent) != user {
					t.Errorf("%s is of %s and %s of %s, not of %s", kept, owner(t, st, kept), sent, owner(t, st, sent), user)
				}
				_, err := st.AddIdentifier(t, st, st.NewUser(t), account.IdentifierTypeEmail, sent)
				ceremonytest.WantField(t, err, 409, "identifierValue", "already exists")
				if err := deleteIdentifier(t, st, user, string(st.Account(t, user).Identifiers[0].ID)); err != nil {
					t.Fatal(err)
				}
				if owner(t, st, kept) != "" || owner(t, st, sent) != "" {
					t.Error("a deleted address is somebody's still")
				}
			})
		}
	}
}

func TestOfTwoAccountsOfOneMailboxEachStaysItsOwners(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	for value, user := range map[string]ident.UserID{
		"a@m\u00fcnchen.de": entered(t, st, "a@m\u00fcnchen.de"), "a@xn--mnchen-3ya.de": entered(t, st, "a@xn--mnchen-3ya.de"),
	} {
		if found, err := st.Owner(t.Context(), st.Project.ID, account.IdentifierTypeEmail, value); err != nil || found != user {
			t.Errorf("%s is of %s, %v, not of %s", value, found, err, user)
		}
	}
}

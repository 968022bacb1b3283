package passkeys_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

func TestADeletedPasskeyIsToldOf(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	data := st.Enroll(t, user, authenticator.Phone())
	if _, err := st.DeleteCredential(
		t.Context(),
		service.ForUser[ident.CredentialID]{Project: st.Project.ID, User: user, Body: ident.CredentialID(data.ID)},
	); err != nil {
		t.Fatal(err)
	}
	want := []event.Event{
		{Project: st.Project.ID, User: user, Type: event.PasskeyDeleted, CreatedMs: ceremonytest.Started.UnixMilli(), Credential: data.ID},
	}
	if diff := cmp.Diff(want, st.Events.OfType(event.PasskeyDeleted), cmpopts.IgnoreFields(event.Event{}, "ID")); diff != "" {
		t.Error(diff)
	}
	st.WantTold(t, user, event.UserCreated, event.PasskeyDeleted)
}

func TestCredentialsAreListedAndDeleted(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	first := st.Enroll(t, user, authenticator.Phone())
	st.Clock.Advance(time.Minute)
	second := st.Enroll(t, user, authenticator.SecurityKey())

	list := func(l service.List) []string {
		t.Helper()
		rsp, err := st.ListCredentials(t.Context(), service.ForUser[service.List]{Project: st.Project.ID, User: user, Body: l})
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{}
		for _, c := range rsp.Credentials {
			ids = append(ids, c.ID)
		}
		return ids
	}
	for name, c := range map[string]struct {
		list service.List
		want []string
	}{
		"in the order of creation": {service.List{}, []string{first.ID, second.ID}},
		"newest first":             {service.List{Sort: "created:desc"}, []string{second.ID, first.ID}},
		"by backup state":          {service.List{Filter: []string{"backupState:eq:false"}}, []string{second.ID}},
		"by system and browser": {
			service.List{Filter: []string{"osName:eq:macOS", "browserName:eq:Safari", "status:eq:active", "userID:eq:" + string(user)}},
			[]string{first.ID, second.ID},
		},
		"by status": {service.List{Filter: []string{"status:eq:pending"}}, []string{}},
	} {
		if diff := cmp.Diff(c.want, list(c.list)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}

	remove := func(user ident.UserID, id string) error {
		_, err := st.DeleteCredential(t.Context(), service.ForUser[ident.CredentialID]{
			Project: st.Project.ID, User: user, Body: ident.CredentialID(id),
		})
		return err
	}
	ceremonytest.WantField(t, remove(st.NewUser(t), first.ID), 400, "credentialID", "does not exist")
	ceremonytest.WantField(t, remove("usr-1", first.ID), 400, "userID", "does not exist")
	if err := remove(user, first.ID); err != nil {
		t.Fatal(err)
	}
	ceremonytest.WantField(t, remove(user, first.ID), 400, "credentialID", "does not exist")
	if diff := cmp.Diff([]string{second.ID}, list(service.List{})); diff != "" {
		t.Error(diff)
	}
	if d := st.Account(t, user).Deleted; len(d) != 1 || d[0].ID != ident.CredentialID(first.ID) {
		t.Errorf("tombstones: %+v", d)
	}
	_, err := st.ListCredentials(t.Context(), service.ForUser[service.List]{Project: st.Project.ID, User: "usr-1"})
	ceremonytest.WantField(t, err, 400, "userID", "does not exist")
}

func TestTombstonesAreBounded(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	if _, err := st.Accounts.Update(t.Context(), st.Project.ID, user, func(a *account.Account) error {
		for i := range 100 {
			a.Deleted = append(a.Deleted, account.Tombstone{ID: ident.CredentialID(fmt.Sprintf("cre-%d", i)), CredentialID: []byte{byte(i)}})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	data := st.Enroll(t, user, authenticator.Phone())
	if _, err := st.DeleteCredential(
		t.Context(),
		service.ForUser[ident.CredentialID]{Project: st.Project.ID, User: user, Body: ident.CredentialID(data.ID)},
	); err != nil {
		t.Fatal(err)
	}
	if d := st.Account(t, user).Deleted; len(d) != 100 || d[0].ID != "cre-1" || string(d[99].ID) != data.ID {
		t.Errorf("%d tombstones from %v to %v", len(d), d[0].ID, d[len(d)-1].ID)
	}
}

package directory_test

import (
	"testing"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/transfer"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
)

// An export says of some deleted passkeys no WebAuthn credential ID: the creation was given up.
func TestUsersWhoseDeletedPasskeysHaveNoCredentialIDAreImportedAndDeletedBesideEachOther(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	users := []transfer.User{
		{ID: "usr-1000000000000000001", Status: "active", Deleted: []transfer.Tombstone{
			{ID: "cre-1000000000000000001"}, {ID: "cre-1000000000000000002"},
		}},
		{ID: "usr-1000000000000000002", Status: "active", Deleted: []transfer.Tombstone{
			{ID: "cre-1000000000000000003", CredentialID: []byte{}},
		}},
	}
	results, err := st.ImportUsers(t.Context(), service.ForProject[transfer.UserImport]{
		Project: st.Project.ID, Body: transfer.UserImport{Users: users},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.Outcome != transfer.ImportCreated {
			t.Errorf("%s: %+v", users[i].ID, r)
		}
	}
	for _, u := range users {
		if got := st.Account(t, u.ID).Deleted; len(got) != len(u.Deleted) {
			t.Errorf("%s has %+v", u.ID, got)
		}
		if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: u.ID}); err != nil {
			t.Error(err)
		}
	}
}

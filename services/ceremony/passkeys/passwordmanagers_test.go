package passkeys_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
)

func TestPasswordManagers(t *testing.T) {
	t.Parallel()
	const other = "00000000-0000-0000-0000-000000000000"
	home := account.Environment{ID: "env-1", OSName: "macOS"}
	synced := account.Credential{
		ID: "cre-1", AAGUID: ceremonytest.PhoneAAGUID, Transports: []string{"internal", "hybrid"}, BackupEligible: true,
		BackupState: true, CreatedMs: 10, LastUsedMs: 10,
	}
	with := func(c account.Credential, change func(*account.Credential)) account.Credential {
		change(&c)
		return c
	}
	told := func(change func(*rest.PasswordManager)) []rest.PasswordManager {
		m := rest.PasswordManager{
			ID: ceremonytest.PhoneAAGUID, AAGUID: ceremonytest.PhoneAAGUID, CredentialID: "cre-1", Status: "pending", Score: 50,
			CreatedMs: 10,
		}
		change(&m)
		return []rest.PasswordManager{m}
	}
	for name, c := range map[string]struct {
		credentials []account.Credential
		want        []rest.PasswordManager
	}{
		"none without a passkey": {nil, []rest.PasswordManager{}},
		"one that has synced":    {[]account.Credential{synced}, told(func(*rest.PasswordManager) {})},
		"one that has not": {
			[]account.Credential{with(synced, func(c *account.Credential) { c.BackupState = false })},
			told(func(m *rest.PasswordManager) { m.Score = 25 }),
		},
		"no security key": {
			[]account.Credential{{ID: "cre-1", AAGUID: other, Transports: []string{"usb"}, BackupEligible: true}},
			[]rest.PasswordManager{},
		},
		"no device-bound passkey": {
			[]account.Credential{{ID: "cre-1", AAGUID: other, Transports: []string{"internal"}}}, []rest.PasswordManager{},
		},
		"one that the bundle says": {[]account.Credential{with(synced, func(c *account.Credential) {
			c.AAGUID, c.BackupEligible, c.BackupState = ceremonytest.ManagerAAGUID, false, false
		})}, told(func(m *rest.PasswordManager) {
			m.ID, m.AAGUID, m.Score = ceremonytest.ManagerAAGUID, ceremonytest.ManagerAAGUID, 25
		})},
		"where it was seen": {
			[]account.Credential{with(synced, func(c *account.Credential) { c.Environment = "env-1" })},
			told(func(m *rest.PasswordManager) { m.ClientEnvID, m.Score = "env-1", 75 }),
		},
		"not where nobody knows": {
			[]account.Credential{with(synced, func(c *account.Credential) { c.Environment = "env-2" })},
			told(func(*rest.PasswordManager) {}),
		},
		"used where it was seen": {[]account.Credential{with(synced, func(c *account.Credential) {
			c.Environment, c.UsedOn, c.LastUsedMs = "env-1", []string{"macOS"}, 20
		})}, told(func(m *rest.PasswordManager) { m.ClientEnvID, m.Score, m.Status = "env-1", 100, "active" })},
		"the passkey used last of several": {
			[]account.Credential{
				synced, with(synced, func(c *account.Credential) { c.ID, c.LastUsedMs = "cre-2", 20 }),
				with(synced, func(c *account.Credential) { c.ID = "cre-3" }),
			},
			told(func(m *rest.PasswordManager) { m.CredentialID, m.Status = "cre-2", "active" }),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user := st.NewUser(t)
			if _, err := st.Accounts.Update(t.Context(), st.Project.ID, user, func(a *account.Account) error {
				a.Credentials, a.Environments = c.credentials, []account.Environment{home}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				list, err := st.ListPasswordManagers(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, list.PasswordManagers, cmpopts.IgnoreFields(rest.PasswordManager{}, "UserID")); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

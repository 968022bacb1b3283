package passkeys

import (
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
)

func TestCeremonyType(t *testing.T) {
	t.Parallel()
	synced := account.Credential{Transports: []string{"internal", "hybrid"}, BackupEligible: true, Attachment: "platform"}
	local := account.Credential{Transports: []string{"internal"}, Attachment: "platform"}
	key := account.Credential{Transports: []string{"usb", "nfc"}, Attachment: "cross-platform"}
	silentKey := account.Credential{Attachment: "cross-platform"}
	viaPhone := account.Credential{Transports: []string{"internal", "hybrid"}, BackupEligible: true, Attachment: "cross-platform"}
	bare := account.Credential{BackupEligible: true}
	for name, c := range map[string]struct {
		credential account.Credential
		attachment string
		offered    event.Route
		want       rest.CeremonyType
	}{
		"a platform authenticator is local":                               {synced, "platform", event.CDA, rest.CeremonyTypeLocal},
		"a roaming authenticator with a synced passkey is another device": {synced, "cross-platform", event.Local, rest.CeremonyTypeCDA},
		"a passkey made on a phone nearby is another device":              {viaPhone, "cross-platform", event.Local, rest.CeremonyTypeCDA},
		"the same passkey on the phone itself is local":                   {viaPhone, "platform", event.Local, rest.CeremonyTypeLocal},
		"a roaming authenticator with a key's passkey is a security key":  {key, "cross-platform", event.Local, rest.CeremonyTypeSecurityKey},
		"a key that says nothing is a security key":                       {key, "", event.Local, rest.CeremonyTypeSecurityKey},
		"a key that never told its transports is a security key":          {silentKey, "", event.Local, rest.CeremonyTypeSecurityKey},
		"silence after a cross-device offer is another device":            {synced, "", event.CDA, rest.CeremonyTypeCDA},
		"silence after a local offer is local":                            {synced, "", event.Local, rest.CeremonyTypeLocal},
		"silence of a passkey that cannot travel is local":                {local, "", event.CDA, rest.CeremonyTypeLocal},
		"a roaming answer of a passkey that cannot travel is local":       {local, "cross-platform", event.Local, rest.CeremonyTypeLocal},
		"a roaming answer of a passkey of unknown transports":             {bare, "cross-platform", event.Local, rest.CeremonyTypeCDA},
		"silence in a mediation is local":                                 {synced, "", "", rest.CeremonyTypeLocal},
	} {
		if got := ceremonyType(c.credential, c.attachment, c.offered); got != c.want {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func TestAnEventIDIsThatOfItsFact(t *testing.T) {
	t.Parallel()
	a, b := EventIDOf("was-1", event.LoginCompleted), EventIDOf("was-1", event.LoginCompleted)
	if a != b || a == EventIDOf("was-2", event.LoginCompleted) || a == EventIDOf("was-1", event.AppendCompleted) {
		t.Error("event IDs do not follow the fact")
	}
}

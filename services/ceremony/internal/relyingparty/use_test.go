package relyingparty

import (
	"testing"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
)

func TestTheRouteOfALogin(t *testing.T) {
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
		want       event.Route
	}{
		"a platform authenticator is local":                               {synced, "platform", event.CDA, event.Local},
		"a roaming authenticator with a synced passkey is another device": {synced, "cross-platform", event.Local, event.CDA},
		"a passkey made on a phone nearby is another device":              {viaPhone, "cross-platform", event.Local, event.CDA},
		"the same passkey on the phone itself is local":                   {viaPhone, "platform", event.Local, event.Local},
		"a roaming authenticator with a key's passkey is a security key":  {key, "cross-platform", event.Local, event.SecurityKey},
		"a key that says nothing is a security key":                       {key, "", event.Local, event.SecurityKey},
		"a key that never told its transports is a security key":          {silentKey, "", event.Local, event.SecurityKey},
		"silence after a cross-device offer is another device":            {synced, "", event.CDA, event.CDA},
		"silence after a local offer is local":                            {synced, "", event.Local, event.Local},
		"silence of a passkey that cannot travel is local":                {local, "", event.CDA, event.Local},
		"a roaming answer of a passkey that cannot travel is local":       {local, "cross-platform", event.Local, event.Local},
		"a roaming answer of a passkey of unknown transports":             {bare, "cross-platform", event.Local, event.CDA},
		"silence in a mediation is local":                                 {synced, "", "", event.Local},
	} {
		if got := Route(c.credential, c.attachment, c.offered); got != c.want {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func TestACounterIsComparedWithThatOfTheNewestLogin(t *testing.T) {
	t.Parallel()
	login := func(sequence uint64, passkey string, counter uint32) eventlog.Found {
		return eventlog.Found{Sequence: sequence, Event: event.Event{
			Type: event.LoginCompleted, Credential: passkey, Use: &event.Use{Counter: counter},
		}}
	}
	unsaid := eventlog.Found{Sequence: 11, Event: event.Event{Type: event.LoginCompleted, Credential: "cre-1"}}
	for name, c := range map[string]struct {
		lacking []eventlog.Found
		counter uint32
		stored  uint32
		want    Counted
	}{
		"the account knows all":                         {nil, 8, 7, Rose},
		"a login is newer":                              {[]eventlog.Found{login(11, "cre-1", 8)}, 8, 8, Regressed},
		"the newest of several counts":                  {[]eventlog.Found{login(11, "cre-1", 8), login(12, "cre-1", 9)}, 9, 9, Regressed},
		"a login of another passkey":                    {[]eventlog.Found{login(11, "cre-2", 90)}, 8, 7, Rose},
		"what the account knows already":                {[]eventlog.Found{login(10, "cre-1", 90)}, 8, 7, Rose},
		"a log that ends before what the account knows": {[]eventlog.Found{login(3, "cre-1", 8)}, 8, 8, Regressed},
		"an event without a use":                        {[]eventlog.Found{unsaid}, 8, 7, Rose},
		"it counts no longer":                           {nil, 0, 7, NoLonger},
		"it counts no longer since, and begins anew":    {[]eventlog.Found{login(11, "cre-1", 0)}, 1, 0, Rose},
	} {
		a := account.Account{UsedTo: 10, Credentials: []account.Credential{{ID: "cre-1", SignCount: 7}, {ID: "cre-2"}}}
		if stored, got := CountAfter(a, c.lacking, "cre-1", c.counter); got != c.want || stored != c.stored {
			t.Errorf("%s: %d after %d", name, got, stored)
		}
		if a.UsedTo != 10 || a.Credentials[0].SignCount != 7 {
			t.Errorf("%s: the account was changed: %+v", name, a)
		}
	}
}

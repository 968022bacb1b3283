package test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/services/ceremony/delivery"
)

// Two addresses that no other test calls from.
const (
	home    = "203.0.113.177"
	village = "2001:db8:77aa::9"
)

// lives does what leaves something of an address behind: ceremonies, those that fail, what a caller reports and asks, codes.
func (a caller) lives(t *testing.T, mail string) {
	t.Helper()
	judged := a.start(t)
	as[rest.PasskeyLoginFinishRsp](t, a.finish(t, a.options(t, judged)))
	response, err := a.device.Get(a.options(t, a.start(t)), "https://elsewhere.example")
	if err != nil {
		t.Fatal(err)
	}
	body := a.body(a.nextProcess())
	body["assertionResponse"] = response
	a.call(t, http.MethodPost, "/v2/passkey/login/finish", body).fault(t, http.StatusBadRequest)
	a.report(t, "failure")
	a.report(t, "success")
	a.postEvent(t, map[string]any{"eventType": "local-unlock"})
	asked := a.body(a.nextProcess())
	asked["action"] = "payment"
	as[rest.RiskEvaluateRsp](t, a.call(t, http.MethodPost, "/v2/risk/evaluate", asked))
	code := as[rest.Challenge](t, a.call(t, http.MethodPost, "/v2/users/"+a.id+"/challenges", map[string]any{
		"challengeType": "email_otp", "identifierValue": mail, "clientInformation": asked["clientInformation"],
	}))
	a.call(t, http.MethodPatch, "/v2/users/"+a.id+"/challenges/"+code.ChallengeID, map[string]any{"value": "000000"})
	as[rest.LongSession](t, a.call(t, "POST", "/v2/users/"+a.id+"/longSessions", map[string]any{"appType": "web", "identifierValue": mail}))
	a.tellFraud(t, judged.header.Get("X-Keyward-Decision-ID"))
}

func TestWhereAddressesAreKeptAsTokensTheirTextIsNowhere(t *testing.T) {
	t.Parallel()
	at := startNATS(t, t.TempDir())
	st := shape{redis: true}.start(t, func(c *settings.Config) {
		c.NATS.URL, c.Ceremony.AddressStorage = settings.Secret(at), string(address.Token)
		c.Decision.PoliciesDir, c.Delivery.Kind = bundleWith(t, map[string]any{}), delivery.Outbox
		c.HTTP.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	conn, err := nats.Connect(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	kept := holdings{js, st.redis}
	ada := caller{person: st.newPerson(t), address: home}
	ada.device = authenticator.Phone()
	ada.create(t)
	mail := ada.mail(t)
	isNew := func(from string, want bool) {
		t.Helper()
		ada.address = from
		if said := risk(ada.start(t)); strings.Contains(said, "new-network") != want {
			t.Errorf("from %s it is judged %s", from, said)
		}
	}
	ada.lives(t, mail)
	isNew(home, false)
	isNew(village, true)
	ada.lives(t, mail)
	isNew(village, false)
	page := &visitor{client: client{base: st.base}, device: authenticator.Phone(), from: village}
	page.signUp(t, "bea")

	p, err := projectsAt(t, at).Find(t.Context(), project1)
	if err != nil {
		t.Fatal(err)
	}
	named := p.Namer().Name(ada.id, "", home)
	eventually(t, "tokens do not get to where they are looked for", func() bool {
		networks := strings.Join(kept.naming(t, named.Network), "\n")
		return strings.Contains(networks, "PASSKEY_EVENTS ") && strings.Contains(networks, "PASSKEY_DECISIONS ") &&
			strings.Contains(strings.Join(kept.naming(t, named.Address), "\n"), "PASSKEY_EVENTS ") &&
			strings.Contains(strings.Join(kept.naming(t, named.User), "\n"), ".risk-feedback")
	})
	for _, text := range []string{"203.0.113.", "2001:db8:77aa", "2001:0db8:77aa"} {
		for _, found := range kept.naming(t, text) {
			if !strings.HasPrefix(found, "Redis {rate/") { // of calls, for as long as a limit counts them
				t.Errorf("%s is in %s", text, found)
			}
		}
	}

	as[rest.GenericRsp](t, ada.call(t, "DELETE", "/v2/users/"+ada.id, nil))
	within(t, 6*patience, "a token of who was erased is left", func() bool {
		return len(kept.naming(t, named.Network))+len(kept.naming(t, named.Address))+len(kept.naming(t, named.User)) == 0
	})
}

package detect_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

func TestWhoAsksForAnotherDeviceMeansAnyThatCanBeHad(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	fromPhone, fromMac := credential(apple, true, "iOS", "internal", "hybrid"), credential(apple, true, "macOS", "internal", "hybrid")
	phone, mac := factstest.Browser("iOS", "18", "Safari"), factstest.Browser("macOS", "15", "Safari")
	bleOff := factstest.With(mac, func(i *rest.ClientInformation) { i.BluetoothAvailable = new(false) })
	for name, tc := range map[string]struct {
		client     rest.ClientInformation
		strategy   rest.CrossDeviceAuthenticationStrategy
		credential account.Credential
		want       facts.CDA
	}{
		"on a phone":               {phone, "standard", fromPhone, facts.CDA{Client: true, RemoteHigh: true, Route: true}},
		"a passkey that is here":   {mac, "standard", fromPhone, facts.CDA{Client: true, RemoteHigh: true, Route: true}},
		"one that no phone showed": {mac, "standard", fromMac, facts.CDA{Client: true, RemoteLow: true, Route: true}},
		"without Bluetooth":        {bleOff, "standard", fromPhone, facts.CDA{RemoteHigh: true}},
		"under minimize":           {mac, "minimize", fromPhone, facts.CDA{Client: true}},
		"a passkey without hybrid": {mac, "standard", credential(apple, true, "iOS", "internal"), facts.CDA{Client: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := k.Login(detect.Input{
				Question: question(tc.client, tc.credential), Complete: true, Now: now, Strategy: tc.strategy, Source: event.OtherDevice,
			})
			if diff := cmp.Diff(tc.want, d.Facts.CDA); diff != "" || d.Facts.Source != event.OtherDevice {
				t.Errorf("source %s; (-want +got)\n%s", d.Facts.Source, diff)
			}
		})
	}
}

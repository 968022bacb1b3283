package population_test

import (
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/services/decision/invariant/internal/population"
)

func TestWhatOneCallChangesNoOtherSees(t *testing.T) {
	t.Parallel()
	for name, clients := range map[string]func() []rest.ClientInformation{
		"people": population.People, "apps": population.Apps, "strangers": population.Strangers,
	} {
		for i, c := range clients() {
			switch {
			case c.NativeMeta != nil:
				*c.NativeMeta.Platform = "changed"
				if again := *clients()[i].NativeMeta.Platform; again == "changed" {
					t.Errorf("%s %d: the app's platform is changed", name, i)
				}
			case c.JavaScriptHighEntropy != nil:
				c.JavaScriptHighEntropy.Platform = "changed"
				if clients()[i].JavaScriptHighEntropy.Platform == "changed" {
					t.Errorf("%s %d: the hints are changed", name, i)
				}
			}
		}
	}
	for i, p := range population.Passkeys() {
		for n := range p.Transports {
			p.Transports[n] = "changed"
			if population.Passkeys()[i].Transports[n] == "changed" {
				t.Errorf("passkey %d: the transports are changed", i)
			}
		}
	}
}

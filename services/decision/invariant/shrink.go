package invariant

import (
	"slices"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
)

// maxTries bounds the search for the smallest situation that breaks an invariant.
const maxTries = 2000

// shrink leaves out of the situation what is not needed to break the claim.
func (t *trial) shrink(c *claim) []asked {
	broken := c.broken(t)
	for tries, smaller := 0, true; smaller && tries < maxTries; {
		smaller = false
		for _, s := range t.s.simpler() {
			if tries++; tries > maxTries || t.ended() {
				return broken
			}
			simpler := t.of(s)
			if found := c.broken(simpler); found != nil {
				t, broken, smaller = simpler, found, true
				break
			}
		}
	}
	return broken
}

// simpler returns situations that lack one thing each.
func (s *situation) simpler() []*situation {
	var all []*situation
	for _, process := range s.processes() {
		all = append(all, s.without(func(e *event.Event) bool { return e.Process == process }))
	}
	for i := range s.passkeys {
		all = append(all, s.having(slices.Delete(slices.Clone(s.passkeys), i, i+1)))
	}
	for i := range s.log {
		id := s.log[i].ID
		all = append(all, s.without(func(e *event.Event) bool { return e.ID == id }))
	}
	for _, change := range plainer() {
		c := s.copied()
		if change(c) {
			all = append(all, c)
		}
	}
	return all
}

func (s *situation) processes() []string {
	var all []string
	for i := range s.log {
		if p := s.log[i].Process; !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// plainer returns changes that take something from a situation; they report whether there was something to take.
func plainer() []func(*situation) bool {
	return []func(*situation) bool{
		func(s *situation) bool { return emptied(&s.client.BluetoothAvailable) },
		func(s *situation) bool { return emptied(&s.client.PasswordManagerAvailable) },
		func(s *situation) bool { return emptied(&s.client.PrivateMode) },
		func(s *situation) bool { return emptied(&s.client.Webdriver) },
		func(s *situation) bool { return emptied(&s.client.ClientCapabilities) },
		func(s *situation) bool { return emptied(&s.client.ConditionalMediationAvailable) },
		func(s *situation) bool { return emptied(&s.client.UserVerifyingPlatformAuthenticatorAvailable) },
		func(s *situation) bool { return emptied(&s.client.JavaScriptHighEntropy) },
		func(s *situation) bool { return emptied(&s.flags.AskForAutoAppend) },
		func(s *situation) bool { return emptied(&s.flags.AskForConditionalCreate) },
		func(s *situation) bool { return emptied(&s.flags.LoginMethod) },
		func(s *situation) bool { return emptied(&s.flags.AskForInAppAppend) },
		func(s *situation) bool { return emptied(&s.flags.ForcePasskeyAppend) },
		func(s *situation) bool { return emptied(&s.entry) },
		func(s *situation) bool { return emptied(&s.lookupFailed) },
		func(s *situation) bool { return emptied(&s.handle) },
		func(s *situation) bool { return emptied(&s.source) },
		func(s *situation) bool {
			standard := rest.CrossDeviceAuthenticationStrategyStandard
			changed := s.strategy != standard
			s.strategy = standard
			return changed
		},
	}
}

// emptied takes a value away and reports whether there was one.
func emptied[T comparable](value *T) bool {
	var zero T
	changed := *value != zero
	*value = zero
	return changed
}

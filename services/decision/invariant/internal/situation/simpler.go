package situation

import (
	"slices"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
)

// Simpler returns situations that lack one thing each.
func (s *Situation) Simpler() []*Situation {
	var all []*Situation
	for _, process := range s.processes() {
		all = append(all, s.without(func(e *event.Event) bool { return e.Process == process }))
	}
	for i := range s.Passkeys {
		all = append(all, s.Having(slices.Delete(slices.Clone(s.Passkeys), i, i+1)))
	}
	for i := range s.Log {
		id := s.Log[i].ID
		all = append(all, s.without(func(e *event.Event) bool { return e.ID == id }))
	}
	for _, change := range plainer() {
		c := s.Copied()
		if change(c) {
			all = append(all, c)
		}
	}
	return all
}

func (s *Situation) processes() []string {
	var all []string
	for i := range s.Log {
		if p := s.Log[i].Process; !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// plainer returns changes that take something from a situation; they report whether there was something to take.
func plainer() []func(*Situation) bool {
	return []func(*Situation) bool{
		func(s *Situation) bool { return emptied(&s.Client.BluetoothAvailable) },
		func(s *Situation) bool { return emptied(&s.Client.PasswordManagerAvailable) },
		func(s *Situation) bool { return emptied(&s.Client.PrivateMode) },
		func(s *Situation) bool { return emptied(&s.Client.Webdriver) },
		func(s *Situation) bool { return emptied(&s.Client.ClientCapabilities) },
		func(s *Situation) bool { return emptied(&s.Client.ConditionalMediationAvailable) },
		func(s *Situation) bool { return emptied(&s.Client.UserVerifyingPlatformAuthenticatorAvailable) },
		func(s *Situation) bool { return emptied(&s.Client.JavaScriptHighEntropy) },
		func(s *Situation) bool { return emptied(&s.Flags.AskForAutoAppend) },
		func(s *Situation) bool { return emptied(&s.Flags.AskForConditionalCreate) },
		func(s *Situation) bool { return emptied(&s.Flags.LoginMethod) },
		func(s *Situation) bool { return emptied(&s.Flags.AskForInAppAppend) },
		func(s *Situation) bool { return emptied(&s.Flags.ForcePasskeyAppend) },
		func(s *Situation) bool { return emptied(&s.Entry) },
		func(s *Situation) bool { return emptied(&s.LookupFailed) },
		func(s *Situation) bool { return emptied(&s.Handle) },
		func(s *Situation) bool { return emptied(&s.Source) },
		func(s *Situation) bool {
			standard := rest.CrossDeviceAuthenticationStrategyStandard
			changed := s.Strategy != standard
			s.Strategy = standard
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

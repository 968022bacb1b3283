package passkeys_test

import (
	"testing"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// A client that got no answer sends its own again, and a user clicks twice. A challenge that is spent is none to guess at either: nothing
// that answers it logs anybody in.
func TestAnAnswerToASpentChallengeIsRefusedAndNoEvidence(t *testing.T) {
	t.Parallel()
	const used = "the challenge has been used already"
	tampered := func(t *testing.T, answer string) string {
		return authenticator.Edit(t, answer, func(_, response map[string]any) { authenticator.Flip(t, response, "signature", -1) })
	}
	again := map[string]func(t *testing.T, d *authenticator.Device, options, answer string) string{
		"the same":                 func(_ *testing.T, _ *authenticator.Device, _, answer string) string { return answer },
		"one of another moment":    func(t *testing.T, d *authenticator.Device, options, _ string) string { return d.Get(t, options) },
		"one that does not verify": func(t *testing.T, _ *authenticator.Device, _, answer string) string { return tampered(t, answer) },
		"another passkey's, by name": func(t *testing.T, _ *authenticator.Device, options, _ string) string {
			return authenticator.SecurityKey().Get(t, options)
		},
	}
	for what, second := range again {
		for way, begin := range map[string]func(*testing.T, *ceremonytest.Stack, *authenticator.Device) (string, func(string) error){
			"a login": func(t *testing.T, st *ceremonytest.Stack, d *authenticator.Device) (string, func(string) error) {
				user := st.NewUser(t)
				st.Enroll(t, user, d)
				return st.BeginLogin(t, user, d).AssertionOptions, func(answer string) error {
					_, err := st.FinishLogin(t, user, d, answer)
					return err
				}
			},
			"a mediation": func(t *testing.T, st *ceremonytest.Stack, d *authenticator.Device) (string, func(string) error) {
				_, known, _ := ceremonytest.Known(t, st)
				*d = *known
				return st.BeginMediation(t, d).AssertionOptions, func(answer string) error {
					_, err := st.FinishMediation(t, d, answer)
					return err
				}
			},
		} {
			if way == "a mediation" && what == "another passkey's, by name" {
				continue // whose it is nobody knows, and nothing is told of nobody
			}
			t.Run(what+" after "+way, func(t *testing.T) {
				t.Parallel()
				st := ceremonytest.New(t)
				d := authenticator.Phone()
				options, finish := begin(t, st, d)
				answer := d.Get(t, options)
				if err := finish(answer); err != nil {
					t.Fatal(err)
				}
				for range 3 {
					ceremonytest.WantField(t, finish(second(t, d, options, answer)), 400, "assertionResponse", used)
				}
				if told := st.Events.OfType(event.LoginRefused); len(told) != 0 {
					t.Errorf("counts against the user: %+v", told)
				}
			})
		}
	}
}

// The policy's own bars are no evidence, however often what was barred is sent.
func TestWhatThePolicyDidNotLetPassIsNoEvidenceWhenItComesAgain(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	answer := d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)
	judging(st, binding("deny"), nil)
	for range 3 {
		if _, err := st.FinishLogin(t, user, d, answer); err == nil {
			t.Fatal("let pass")
		}
	}
	if told := st.Events.OfType(event.LoginRefused); len(told) != 0 {
		t.Errorf("counts against the user: %+v", told)
	}
}

func TestAnAnswerThatDoesNotVerifyIsEvidenceOnceHoweverOftenItComes(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	answer := authenticator.Edit(t, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions), func(_, response map[string]any) {
		authenticator.Flip(t, response, "signature", -1)
	})
	for range 3 {
		if _, err := st.FinishLogin(t, user, d, answer); err == nil {
			t.Fatal("logged in")
		}
	}
	told := st.Events.OfType(event.LoginRefused)
	if len(told) != 1 || told[0].Refused.Step != "signature" {
		t.Errorf("told: %+v", told)
	}
}

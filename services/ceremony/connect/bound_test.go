package connect_test

import (
	"testing"

	"github.com/keyward/keyward/services/ceremony/ceremonytest"
)

func TestASessionOverConnectLivesNoLongerThanThePolicyObliges(t *testing.T) {
	t.Parallel()
	for name, login := range map[string]func(*testing.T, *page) string{
		"by the form": func(t *testing.T, p *page) string { return p.identified(t, "ada@example.com").Body.AssertionOptions },
		"by autofill": func(t *testing.T, p *page) string { return *p.loginInit(t).Body.ConditionalUIChallenge },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPage(ceremonytest.New(t))
			p.enrolled(t, "ada@example.com")
			p.token = ""
			if name == "by the form" {
				p.loginInit(t)
			}
			options := login(t, p)
			p.Oblige(60, true)
			done, err := p.loginFinishWith(t, p.device.Get(t, options), name == "by autofill")
			if err != nil {
				t.Fatal(err)
			}
			ends := float64(p.Clock.Now().Unix() + 60)
			for token, issuer := range map[string]string{done.Session: ceremonytest.FrontendURL, done.SignedPasskeyData: string(p.Project.ID)} {
				if exp := p.Verified(t, token, issuer)["exp"]; exp != ends {
					t.Errorf("%s ends at %v, want %v", issuer, exp, ends)
				}
			}
		})
	}
}

package connect_test

import (
	"testing"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
)

func TestTheAnswersOfBothAPIsNameTheDeviceThatHoldsThePasskey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cda  bool
		said string
		want string
	}{
		"another device that is known":   {true, "iPhone", "iPhone"},
		"another device that is not":     {true, "", ""},
		"this device, whatever is known": {false, "iPhone", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			p := newPage(st)
			user := p.enrolled(t, "ada@example.com")
			st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) {
				v.IsCDACandidate, v.OtherDevice = c.cda, c.said
			}
			backend := st.BeginLogin(t, user, p.device).OtherDevice
			p.loginInit(t)
			connect := p.identified(t, "ada@example.com").Body.OtherDevice
			for api, got := range map[string]*string{"Backend": backend, "Connect": connect} {
				if (got != nil) != (c.want != "") || got != nil && *got != c.want {
					t.Errorf("%s: %v, want %q", api, got, c.want)
				}
			}
		})
	}
}

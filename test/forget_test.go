package test

import (
	"testing"

	"github.com/keyward/keyward/api/rest"
)

func TestAnEnvironmentIsForgottenFromTheNextDecisionOnWhateverTheShape(t *testing.T) {
	t.Parallel()
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := s.start(t)
			ada := st.newPerson(t)
			ada.createPasskey(t)
			first := ada.loginStart(t, ada.nextProcess())
			here := first.DetectionInsights.ClientEnvIds[0]
			if first.DecisionTag != rest.DecisionTagUserPositiveEnvHistory {
				t.Fatalf("before: %s", first.DecisionTag)
			}
			bar := ada.postEvent(t, map[string]any{"eventType": "user-login-blacklisted", "clientEnvID": here})

			path := "/v2/users/" + ada.id + "/clientEnvs/" + here
			for range 2 {
				as[rest.GenericRsp](t, ada.call(t, "DELETE", path, nil))
			}
			if list := as[rest.ClientEnvList](t, ada.call(t, "GET", "/v2/users/"+ada.id+"/clientEnvs", nil)); len(list.ClientEnvs) != 0 {
				t.Errorf("listed still: %+v", list)
			}
			if got := ada.loginStart(t, ada.nextProcess()); got.DecisionTag != rest.DecisionTagUserLoginBlacklisted {
				t.Errorf("the bar was forgotten too: %s", got.DecisionTag)
			}
			as[rest.GenericRsp](t, ada.call(t, "DELETE", "/v2/users/"+ada.id+"/passkeyEvents/"+bar.PasskeyEventID, nil))

			process := ada.nextProcess()
			after := ada.loginStart(t, process)
			if !after.LoginAllow || after.DecisionTag == rest.DecisionTagUserPositiveEnvHistory {
				t.Errorf("after: %t, %s", after.LoginAllow, after.DecisionTag)
			}
			as[rest.PasskeyLoginFinishRsp](t, ada.loginFinish(t, process, after.AssertionOptions))
			if again := ada.loginStart(t, ada.nextProcess()); again.DecisionTag != rest.DecisionTagUserPositiveEnvHistory {
				t.Errorf("used anew: %s", again.DecisionTag)
			}

			e := ada.call(t, "DELETE", "/v2/users/"+ada.id+"/clientEnvs/env-1", nil).fault(t, 404)
			if e.Error.Type != rest.ErrorTypeNotFound {
				t.Errorf("an unknown one: %+v", e.Error)
			}
		})
	}
}

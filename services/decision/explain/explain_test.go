package explain_test

import (
	"os"
	"testing"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/explain"
)

func TestTry(t *testing.T) {
	p, err := explain.Load(t.Context(), policies.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	for _, facts := range []string{
		`{"complete":true,"account":"active","strategy":"standard","client":{"os":"windows","osVersion":11,"browser":"chrome","native":false,"mobile":false,"desktop":true,"privateMode":false,"webdriver":false},"support":{"webauthn":true,"uvpa":true,"ble":"on","conditionalGet":true,"conditionalCreate":true,"hybrid":"yes","immediateGet":false},"environment":{"known":true,"rejected":false,"listed":"none"},"credentials":{"total":1,"likely":1,"uncertain":0,"remote":0,"securityKey":0},"cda":{"client":true,"remoteHigh":false,"remoteLow":false,"route":false},"securityKeyOnly":false,"pair":{"localStreak":1,"cdaStreak":0,"securityKeyStreak":0,"noCredentials":false,"lastFailedRoute":"","positive":false,"lastRoute":"","positiveSecurityKey":false,"existsHere":false,"createdHere":false},"blacklist":{"login":false,"appendAfterHybrid":false,"appendAfterError":false},"experiments":{}}`,
	} {
		e, err := p.Explain(t.Context(), "login", "", []byte(facts))
		if err != nil {
			t.Fatal(err)
		}
		if err := e.WriteText(os.Stdout); err != nil {
			t.Fatal(err)
		}
	}
}

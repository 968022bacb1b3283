package test

import (
	"net/http"
	"testing"

	"github.com/keyward/keyward/api/frontend"
)

func TestADecisionIsExplainedToItsProjectWhateverTheShape(t *testing.T) {
	t.Parallel()
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := s.start(t)
			p := st.newPerson(t)
			p.createPasskey(t)
			started := p.call(t, "POST", "/v2/passkey/login/start", p.loginStartBody(p.nextProcess()))
			id := started.header.Get("X-Keyward-Decision-ID")
			var d frontend.TrialDecision
			eventually(t, "the decision is not explained", func() bool {
				a, err := st.do("GET", "/v2/trial/decisions/"+id, nil)
				if err != nil || a.status != http.StatusOK {
					return false
				}
				d = as[frontend.TrialDecision](t, a)
				return true
			})
			last := d.Rows[len(d.Rows)-1]
			if d.DecisionID != id || d.Action != frontend.TrialDecisionActionLogin || last.Row != d.Row ||
				last.Outcome != frontend.TrialRowOutcomeAnswered ||
				d.Title == "" ||
				len(d.Facts) == 0 {
				t.Errorf("explained %+v", d)
			}
			if d.PolicyRevision != started.header.Get("X-Keyward-Policy-Revision") {
				t.Errorf("revision %s, decided by %s", d.PolicyRevision, started.header.Get("X-Keyward-Policy-Revision"))
			}
			if a, err := st.do("GET", "/v2/trial/decisions/dec-1795348800000123456789012", nil); err != nil || a.status != http.StatusNotFound {
				t.Errorf("a decision that nobody made: %d %s, %v", a.status, a.body, err)
			}
		})
	}
}

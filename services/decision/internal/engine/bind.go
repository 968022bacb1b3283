package engine

import (
	"slices"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// bind puts how a start was judged into its verdict, and takes the offer back if the policy enforces that. An offer that there was not
// stays away. It reports whether it took one back.
func (r *Risk) bind(said *service.Verdict, barred bool, now time.Time) bool {
	if r == nil {
		return false
	}
	told := r.Verdict
	switch {
	case told.RetrySeconds > 0:
		told.NextEligibleAt = roundUp(now.UTC().Add(time.Duration(told.RetrySeconds) * time.Second))
	case !said.Allow:
		told.NextEligibleAt = said.NextEligibleAt
	}
	said.Risk = &told
	if !barred || !said.Allow {
		return false
	}
	said.Allow, said.Tag = false, rest.DecisionTagEnvBlacklisted
	if len(told.Reasons) > 0 && told.Reasons[0].About == service.AboutUser {
		said.Tag = rest.DecisionTagUserLoginBlacklisted
	}
	if told.Enforced && told.RetrySeconds > 0 {
		said.NextEligibleAt = told.NextEligibleAt
	}
	return true
}

// bars reports whether a login must not be offered.
func (r *Risk) bars() bool { return r.told().Bars() }

// asks reports whether anything but a login must not go on, also where a further proof would do.
func (r *Risk) asks() bool { return r.told().Bars() || r.told().Challenges() }

// bindLogin does as much for a login, and takes out the passkeys that it must not name. A login that has none left is not offered: without
// a name every passkey would do.
func (r *Risk) bindLogin(said *service.LoginVerdict, now time.Time) {
	taken := r.bind(&said.Verdict, r.bars(), now)
	if told := r.told(); told != nil && told.Enforced && len(told.Exclude) > 0 && len(said.AllowCredentials) > 0 {
		left := make([]ident.CredentialID, 0, len(said.AllowCredentials))
		for _, id := range said.AllowCredentials {
			if !slices.Contains(told.Exclude, id) {
				left = append(left, id)
			}
		}
		if said.AllowCredentials = left; len(left) == 0 && said.Allow {
			said.Allow, said.Tag, taken = false, rest.DecisionTagEnvBlacklisted, true
		}
	}
	if taken {
		said.Reason = loginReason(verdict{tag: said.Tag})
		said.IsCDACandidate, said.PreferImmediatelyAvailable, said.OtherDevice = false, false, ""
	}
}

// Package binding puts how a start was judged for risk into its verdict. It is pure, and promises that a verdict which offers nothing comes
// to offer nothing more by it.
package binding

import (
	"slices"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/refusal"
)

// Verdict puts how a start was judged into its verdict, and takes the offer back if barred says so. An offer that there was not stays away.
// It reports whether it took one back. Of nil nothing was judged.
func Verdict(r *service.Risk, said *service.Verdict, barred bool, now time.Time) bool {
	if r == nil {
		return false
	}
	told := *r
	switch {
	case told.RetrySeconds > 0:
		told.NextEligibleAt = WholeSeconds(now.UTC().Add(time.Duration(told.RetrySeconds) * time.Second))
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

// Login does as much for a login, and takes out the passkeys that it must not name. A login that has none left is not offered: without a
// name every passkey would do.
func Login(r *service.Risk, said *service.LoginVerdict, now time.Time) {
	taken := Verdict(r, &said.Verdict, r.Bars(), now)
	if r != nil && r.Enforced && len(r.Exclude) > 0 && len(said.AllowCredentials) > 0 {
		left := make([]ident.CredentialID, 0, len(said.AllowCredentials))
		for _, id := range said.AllowCredentials {
			if !slices.Contains(r.Exclude, id) {
				left = append(left, id)
			}
		}
		if said.AllowCredentials = left; len(left) == 0 && said.Allow {
			said.Allow, said.Tag, taken = false, rest.DecisionTagEnvBlacklisted, true
		}
	}
	if taken {
		said.Reason = refusal.OfLogin(false, said.Tag)
		said.IsCDACandidate, said.PreferImmediatelyAvailable, said.OtherDevice = false, false, ""
	}
}

// WholeSeconds rounds a moment up.
func WholeSeconds(at time.Time) time.Time {
	if whole := at.Truncate(time.Second); !whole.Equal(at) {
		return whole.Add(time.Second)
	}
	return at
}

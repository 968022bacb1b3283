package decision_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// TestAPasskeyIsVouchedForAsItWouldBeJudged holds an account of two passkeys, cre-1 and cre-2, to what speaks against each.
func TestAPasskeyIsVouchedForAsItWouldBeJudged(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixMilli() }
	const day = 24 * time.Hour
	suspicion := func(of event.Type, passkey string) []event.Event {
		return []event.Event{{ID: "pke-1", Type: of, Credential: passkey, CreatedMs: ago(time.Hour)}}
	}
	for name, c := range map[string]struct {
		change  func(a *account.Account)
		events  []event.Event
		risk    map[string]any
		against map[ident.CredentialID][]string
	}{
		"nothing": {},
		"one was added a moment ago": {
			change:  func(a *account.Account) { a.Credentials[1].CreatedMs = ago(10 * time.Minute) },
			against: map[ident.CredentialID][]string{"cre-2": {"fresh-passkey"}},
		},
		"both were": {
			change: func(a *account.Account) {
				a.Credentials[0].CreatedMs, a.Credentials[1].CreatedMs = ago(20*time.Minute), ago(10*time.Minute)
			},
			against: map[ident.CredentialID][]string{"cre-1": {"fresh-passkey"}, "cre-2": {"fresh-passkey"}},
		},
		"nobody vouches for either, and a label asks for that": {
			change:  func(a *account.Account) { a.Labels = []string{"admin"} },
			risk:    map[string]any{"requireAal": map[string]any{"admin": 3}},
			against: map[ident.CredentialID][]string{"cre-1": {"assurance-low"}, "cre-2": {"assurance-low"}},
		},
		"the model of one may not be used": {
			risk:    map[string]any{"deniedAaguids": []string{"11111111-1111-1111-1111-111111111111"}},
			against: map[ident.CredentialID][]string{"cre-1": {"denied-authenticator"}},
		},
		"the counter of one went back": {
			change:  func(a *account.Account) { a.Credentials[0].CloneWarning = true },
			events:  suspicion(event.PasskeyCounterRegressed, "cre-1"),
			against: map[ident.CredentialID][]string{"cre-1": {"counter-regressed"}},
		},
		"the counter of one fell to 0, and it does not count any more": {
			change: func(a *account.Account) { a.Credentials[0].CloneWarning, a.Credentials[0].SignCount = true, 0 },
		},
		"one turned out to be of another kind": {
			events:  suspicion(event.PasskeyBackupChanged, "cre-1"),
			against: map[ident.CredentialID][]string{"cre-1": {"backup-changed"}},
		},
		"what speaks against the user alone is none of theirs": {
			events: []event.Event{{
				ID: "pke-1", Type: event.RiskFeedback, Decision: "dec-1", CreatedMs: ago(day),
				Feedback: &event.Feedback{Outcome: event.FraudConfirmed},
			}},
		},
		"where the policy does not bind nothing does": {
			change: func(a *account.Account) { a.Credentials[1].CreatedMs = ago(10 * time.Minute) },
			risk:   map[string]any{"mode": "observe"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := policyDir(t)
			setRisk(t, dir, c.risk)
			a := &account.Account{
				Project: "pro-1", ID: "usr-1", Status: account.StatusActive, CreatedMs: ago(90 * day),
				Credentials: []account.Credential{
					{ID: "cre-1", AAGUID: "11111111-1111-1111-1111-111111111111", SignCount: 5, CreatedMs: ago(80 * day), Transports: []string{"usb"}},
					{ID: "cre-2", AAGUID: "22222222-2222-2222-2222-222222222222", SignCount: 5, CreatedMs: ago(70 * day)},
				},
			}
			if c.change != nil {
				c.change(a)
			}
			svc := newService(t, serviceOptions{dir: dir, events: fakeEvents{events: c.events}, now: now})
			vouched, err := svc.Vouch(t.Context(), service.Question{Project: "pro-1", Account: a})
			if err != nil {
				t.Fatal(err)
			}
			got := map[ident.CredentialID][]string(nil)
			for _, each := range vouched.Against {
				if got == nil {
					got = map[ident.CredentialID][]string{}
				}
				for _, reason := range each.Reasons {
					got[each.Passkey] = append(got[each.Passkey], reason.Code)
				}
				slices.Sort(got[each.Passkey])
			}
			if diff := cmp.Diff(c.against, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

package riskfacts_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/riskfacts"
)

const (
	model   = "2fc0579f-8113-47ea-b116-bb5a8db9202a"
	noModel = "00000000-0000-0000-0000-000000000000"
)

// told is a key of a model that somebody vouches for.
func told(by account.Trust, aaguid string) account.Credential {
	return account.Credential{ID: "cre-1", AAGUID: aaguid, Attestation: &account.Attestation{Format: "packed", Trust: by}}
}

func TestTheAssuranceOfAPasskeyIsThatOfItsAuthenticator(t *testing.T) {
	t.Parallel()
	is := func(status metadata.Status, level int) riskfacts.Standing {
		return func(c *account.Credential) metadata.Standing {
			if c.AAGUID != model {
				return metadata.Standing{Status: metadata.Unknown}
			}
			return metadata.Standing{Status: status, Level: level}
		}
	}
	synced := told(account.TrustVerified, model)
	synced.BackupEligible = true
	for name, c := range map[string]struct {
		passkey  account.Credential
		standing riskfacts.Standing
		unproven bool // its user was not verified
		want     facts.Attested
		aal      int
	}{
		"its maker vouches, and nothing is said against it": {
			told(account.TrustVerified, model), is(metadata.OK, 3), false, facts.Attested{By: "verified", Status: "ok", Level: 3}, 3,
		},
		"its user was not verified": {
			told(account.TrustVerified, model), is(metadata.OK, 3), true, facts.Attested{By: "verified", Status: "ok", Level: 3}, 1,
		},
		"it can leave its device": {synced, is(metadata.OK, 3), false, facts.Attested{By: "verified", Status: "ok", Level: 3}, 2},
		"its maker does not vouch": {
			told(account.TrustUnverified, model), is(metadata.OK, 3), false, facts.Attested{By: "unverified", Status: "ok", Level: 3}, 2,
		},
		"it vouches by itself": {
			told(account.TrustSelf, model), is(metadata.OK, 1), false, facts.Attested{By: "self", Status: "ok", Level: 1}, 2,
		},
		"it said nothing": {
			account.Credential{AAGUID: model}, is(metadata.OK, 1), false, facts.Attested{By: "none", Status: "ok", Level: 1}, 2,
		},
		"there is an update": {
			told(account.TrustVerified, model), is(metadata.Update, 1), false, facts.Attested{By: "verified", Status: "update", Level: 1}, 2,
		},
		"it has been revoked": {
			told(account.TrustVerified, model), is(metadata.Revoked, 1), false, facts.Attested{By: "verified", Status: "revoked", Level: 1}, 2,
		},
		"nothing is known of models": {
			told(account.TrustVerified, model), nil, false, facts.Attested{By: "verified", Status: "unknown"}, 2,
		},
		"it is of no model": {
			told(account.TrustVerified, noModel), is(metadata.OK, 3), false, facts.Attested{By: "verified", Status: "unknown"}, 2,
		},
	} {
		in := input()
		in.Standing = c.standing
		in.Account = &account.Account{Credentials: []account.Credential{c.passkey}}
		in.Finish = &riskfacts.Finish{FinishQuestion: &service.FinishQuestion{
			Passkey: c.passkey, UV: !c.unproven, Login: &service.FinishedLogin{},
		}}
		in.Stage = facts.LoginFinish
		used := riskfacts.Find(in).Used
		if diff := cmp.Diff(&c.want, used.Attested); diff != "" || used.AAL != c.aal {
			t.Errorf("%s: level %d, want %d %s", name, used.AAL, c.aal, diff)
		}
		items, _ := riskfacts.Passkeys(in, []riskfacts.Passkey{{Credential: &in.Account.Credentials[0]}})
		if diff := cmp.Diff(&c.want, items[0].Attested); diff != "" {
			t.Errorf("%s: of the account's passkeys %s", name, diff)
		}
		in.Finish.Login, in.Stage = nil, facts.AppendFinish
		created := riskfacts.Find(in).Created
		format := map[bool]string{true: "packed", false: "none"}[c.passkey.Attestation != nil]
		if diff := cmp.Diff(&c.want, created.Attested); diff != "" || created.AAL != c.aal || created.Format != format {
			t.Errorf("%s: of a creation %+v %s", name, created, diff)
		}
	}
}

func TestAccountsWhosePasskeysAreAttestedInAnotherOrderHaveEqualFacts(t *testing.T) {
	t.Parallel()
	in := input()
	a, b := told(account.TrustVerified, model), account.Credential{ID: "cre-2", AAGUID: model}
	a.CreatedMs, b.CreatedMs = before(time.Hour), before(time.Hour)
	in.Account = &account.Account{}
	one, firstly := riskfacts.Passkeys(in, []riskfacts.Passkey{{Credential: &a}, {Credential: &b}})
	other, secondly := riskfacts.Passkeys(in, []riskfacts.Passkey{{Credential: &b}, {Credential: &a}})
	if diff := cmp.Diff(one, other); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(firstly, secondly); diff != "" {
		t.Error(diff)
	}
}

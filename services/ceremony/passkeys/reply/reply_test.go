package reply_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
)

func TestARefusalTellsWhyAndUntilWhen(t *testing.T) {
	t.Parallel()
	ends := time.Date(2026, 12, 22, 13, 0, 0, 0, time.FixedZone("CET", 3600))
	text := func(p *string) string {
		if p == nil {
			return "absent"
		}
		return *p
	}
	for name, c := range map[string]struct {
		verdict     service.Verdict
		reason      string
		why, wantAt string
	}{
		"that ends":     {service.Verdict{NextEligibleAt: ends}, "cooldown", "cooldown", "2026-12-22T12:00:00Z"},
		"that does not": {service.Verdict{}, "no_passkeys", "no_passkeys", "absent"},
		"is none":       {service.Verdict{Allow: true, NextEligibleAt: ends}, "cooldown", "absent", "absent"},
	} {
		login := reply.Login(nil, nil, service.LoginVerdict{Verdict: c.verdict, Reason: c.reason}, "").DecisionInsights
		creation := reply.Append(nil, nil, service.AppendVerdict{Verdict: c.verdict, Reason: c.reason}, "").DecisionInsights
		got := []string{text(login.Reason), text(login.NextEligibleAt), text(creation.Reason), text(creation.NextEligibleAt)}
		for i, want := range []string{c.why, c.wantAt, c.why, c.wantAt} {
			if got[i] != want {
				t.Errorf("%s: got %q", name, got)
			}
		}
	}
}

// Strict clients refuse a list that is null.
func TestNoListIsAbsent(t *testing.T) {
	t.Parallel()
	login := reply.Login(nil, nil, service.LoginVerdict{}, "")
	creation := reply.Append(nil, nil, service.AppendVerdict{}, "")
	credential := reply.Credential(account.Credential{}, "")
	for name, list := range map[string]any{
		"detection tags of a login":    login.DetectionTags,
		"experiments of a login":       login.DecisionInsights.Experiments,
		"credentials of a login":       login.DetectionInsights.CredentialIds,
		"environments of a login":      login.DetectionInsights.ClientEnvIds,
		"managers of a login":          login.DetectionInsights.PasswordManagerIds,
		"detection tags of a creation": creation.DetectionTags,
		"credentials of a creation":    creation.DetectionInsights.CredentialIds,
		"tags of a passkey":            credential.Tags,
		"transports of a passkey":      credential.Transport,
		"tags of a frontend's passkey": reply.Passkey(credential).Tags,
	} {
		if written, err := json.Marshal(list); err != nil || string(written) != "[]" {
			t.Errorf("%s: %s, %v", name, written, err)
		}
	}
}

func TestAWordThatTheWireDoesNotHaveIsLeftOut(t *testing.T) {
	t.Parallel()
	stored := account.Credential{Transports: []string{"usb", "carrier-pigeon", "hybrid"}}
	want := []rest.CredentialTransport{rest.CredentialTransportUsb, rest.CredentialTransportHybrid}
	if diff := cmp.Diff(want, reply.Credential(stored, "").Transport); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for reason, onWire := range map[string]bool{"passkey_already_exists": true, "passkeys_not_supported": true, "cooldown": false, "": false} {
		refused := reply.Append(nil, nil, service.AppendVerdict{Reason: reason}, "")
		if told := refused.AppendNotAllowedReason != nil; told != onWire {
			t.Errorf("%q: appendNotAllowedReason %v", reason, refused.AppendNotAllowedReason)
		}
	}
}

func TestACredentialManagerIsToldWhatIsLeft(t *testing.T) {
	t.Parallel()
	full := "Ada Lovelace"
	a := account.Account{
		UserHandle:  []byte("user"),
		Credentials: []account.Credential{{CredentialID: []byte("one")}, {CredentialID: []byte("two")}},
	}
	for name, tc := range map[string]struct {
		fullName    *string
		displayName string
	}{
		"by the full name":                    {&full, full},
		"by the identifier, if there is none": {nil, "ada@example.org"},
	} {
		a.FullName = tc.fullName
		got := reply.Signals("example.org", a, "ada@example.org")
		if got.UnknownCredentialID != nil || *got.UserID != "dXNlcg" || *got.Name != "ada@example.org" || *got.DisplayName != tc.displayName {
			t.Errorf("%s: %+v", name, got)
		}
		if diff := cmp.Diff([]string{"b25l", "dHdv"}, *got.AllAcceptedCredentialIDs); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	if got := reply.UnknownSignal("example.org", "b25l"); *got.UnknownCredentialID != "b25l" || got.AllAcceptedCredentialIDs != nil {
		t.Errorf("of a passkey that nobody has: %+v", got)
	}
	if got := reply.UnknownSignal("example.org", ""); got != nil {
		t.Errorf("of none: %+v", got)
	}
}

package account_test

import (
	"testing"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
)

func TestTheRouteOfACreation(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		passkey account.Credential
		want    event.Route
	}{
		"on the device itself": {
			account.Credential{Attachment: "platform", Transports: []string{"internal", "hybrid"}}, event.Local,
		},
		"nothing was said of the authenticator": {account.Credential{}, event.Local},
		"on a phone by QR code": {
			account.Credential{Attachment: "cross-platform", BackupEligible: true, Transports: []string{"internal", "hybrid"}},
			event.CDA,
		},
		"on a phone that keeps it": {
			account.Credential{Attachment: "cross-platform", Transports: []string{"hybrid"}}, event.CDA,
		},
		"on a phone that calls hybrid by its old name": {
			account.Credential{Attachment: "cross-platform", Transports: []string{"cable"}}, event.CDA,
		},
		"elsewhere, synced, without transports": {account.Credential{Attachment: "cross-platform", BackupEligible: true}, event.CDA},
		"on a security key": {
			account.Credential{Attachment: "cross-platform", Transports: []string{"usb", "nfc"}}, event.SecurityKey,
		},
		"on a security key that syncs": {
			account.Credential{Attachment: "cross-platform", BackupEligible: true, Transports: []string{"usb"}}, event.SecurityKey,
		},
		"elsewhere, bound to its authenticator, without transports": {account.Credential{Attachment: "cross-platform"}, event.SecurityKey},
		"on a key whose attachment was not said":                    {account.Credential{Transports: []string{"ble"}}, event.SecurityKey},
	} {
		if got := tc.passkey.CreatedBy(); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

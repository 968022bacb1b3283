package detect_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

const uaFacebook = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) " +
	"Mobile/22B83 [FBAN/FBIOS;FBAV/487.0.0]"

func tagNames(tags []rest.DetectionTag) []string {
	names := make([]string, 0, len(tags))
	for _, tag := range tags {
		names = append(names, string(tag.Category)+"/"+tag.Name)
	}
	return names
}

func TestEachTag(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	mac := factstest.Browser("macOS", "15", "Safari")
	passkeyOf := func(aaguid string, be bool) []account.Credential {
		return []account.Credential{credential(aaguid, be, "Android", "internal")}
	}
	nudged := func(change func(*history.Append)) history.History {
		var h history.History
		change(&h.Append)
		return h
	}
	pair := func(p history.Pair) history.History { return history.History{Pair: p} }
	for _, tc := range []struct {
		tag         string
		client      *rest.ClientInformation // nil = mac
		environment *service.Environment    // nil = known
		credentials []account.Credential
		history     history.History
	}{
		{tag: "support/webauthn"},
		{tag: "support/no-webauthn", client: &rest.ClientInformation{}},
		{tag: "support/uvpaa"},
		{tag: "support/no-uvpaa", client: &rest.ClientInformation{}},
		{tag: "support/conditional-get"},
		{
			tag:    "support/conditional-create",
			client: &rest.ClientInformation{ClientCapabilities: &rest.ClientCapabilities{ConditionalCreate: new(true)}},
		},
		{tag: "support/hybrid"},
		{tag: "support/no-hybrid", client: &rest.ClientInformation{ClientCapabilities: &rest.ClientCapabilities{HybridTransport: new(false)}}},
		{tag: "support/ble-on"},
		{tag: "support/ble-off", client: &rest.ClientInformation{BluetoothAvailable: new(false)}},
		{tag: "support/ble-unknown", client: &rest.ClientInformation{}},
		{tag: "support/native", client: new(factstest.App("iOS", "18", rest.NativeMeta{}))},
		{tag: "support/private-mode", client: &rest.ClientInformation{PrivateMode: new(true)}},
		{tag: "support/webdriver", client: &rest.ClientInformation{Webdriver: new(true)}},
		{tag: "support/restricted-browser", client: &rest.ClientInformation{UserAgent: uaFacebook}},
		{tag: "support/no-screen-lock", client: new(factstest.App("Android", "15", rest.NativeMeta{DeviceSecure: new(false)}))},
		{tag: "support/immediate-get", client: &rest.ClientInformation{ClientCapabilities: &rest.ClientCapabilities{ImmediateGet: new(true)}}},
		{tag: "clientEnv/known"},
		{tag: "clientEnv/unknown", environment: &service.Environment{}},
		{tag: "clientEnv/unknown", client: &rest.ClientInformation{PrivateMode: new(true)}},
		{tag: "clientEnv/handle-rejected", environment: &service.Environment{Rejected: true}},
		{tag: "clientEnv/positive", history: pair(history.Pair{Positive: true})},
		{tag: "clientEnv/negative", history: pair(history.Pair{CDAStreak: 2})},
		{tag: "clientEnv/blacklisted", client: &rest.ClientInformation{Webdriver: new(true)}},
		{tag: "history/login-blacklisted", history: history.History{Blacklist: history.Blacklist{Login: true}}},
		{tag: "history/append-blacklisted-after-hybrid", history: history.History{Blacklist: history.Blacklist{AppendAfterHybrid: true}}},
		{tag: "history/append-blacklisted-after-error", history: history.History{Blacklist: history.Blacklist{AppendAfterError: true}}},
		{tag: "history/local-streak-3", history: pair(history.Pair{LocalStreak: 3})},
		{tag: "history/cda-streak-1", history: pair(history.Pair{CDAStreak: 1})},
		{tag: "history/sk-streak-2", history: pair(history.Pair{SecurityKeyStreak: 2})},
		{tag: "history/no-credentials", history: pair(history.Pair{NoCredentials: true})},
		{tag: "history/positive-recent", history: pair(history.Pair{Positive: true})},
		{tag: "history/positive-stale", history: pair(history.Pair{PositiveStale: true})},
		{tag: "history/default-cooldown", history: nudged(func(a *history.Append) { a.Default.Cooldown = true })},
		{tag: "history/after-error-cooldown", history: nudged(func(a *history.Append) { a.AfterError.Cooldown = true })},
		{tag: "history/after-hybrid-cooldown", history: nudged(func(a *history.Append) { a.AfterHybrid.Cooldown = true })},
		{tag: "history/auto-cooldown", history: nudged(func(a *history.Append) { a.Auto.Cooldown = true })},
		{tag: "history/conditional-create-cooldown", history: nudged(func(a *history.Append) { a.ConditionalCreateCooldown = true })},
		{tag: "history/clock-skew", history: history.History{ClockSkew: true}},
		{tag: "passkey/none"},
		{tag: "passkey/security-key", credentials: []account.Credential{credential(yubikey, false, "Windows", "usb")}},
		{tag: "passkey/apple", credentials: passkeyOf(apple, true)},
		{tag: "passkey/google", credentials: passkeyOf(google, true)},
		{tag: "passkey/windows-hello", credentials: passkeyOf(hello, false)},
		{tag: "passkey/samsung", credentials: passkeyOf(samsung, true)},
		{tag: "passkey/browser-profile", credentials: passkeyOf(chromeMac, false)},
		{tag: "passkey/password-manager", credentials: passkeyOf(bitwarden, true)},
		{tag: "passkey/unknown-provider", credentials: passkeyOf(stranger, true)},
		{tag: "passkey/synced", credentials: passkeyOf(apple, true)},
		{tag: "passkey/device-bound", credentials: passkeyOf(hello, false)},
		{tag: "passkey/availability-likely", credentials: passkeyOf(apple, true)},
		{tag: "passkey/availability-uncertain", credentials: passkeyOf(bitwarden, true)},
		{tag: "passkey/availability-remote", credentials: []account.Credential{credential(google, true, "Windows", "hybrid")}},
		{tag: "passkey/availability-none", credentials: passkeyOf(hello, false)},
	} {
		t.Run(tc.tag, func(t *testing.T) {
			t.Parallel()
			// The tag must come of what the case adds, so a plain Mac without history must not have it, unless nothing was added.
			q := question(mac, tc.credentials...)
			if tc.client != nil {
				q.Client = *tc.client
			}
			if tc.environment != nil {
				q.Environment = *tc.environment
			}
			has := func(q service.Question, h history.History) bool {
				d := k.Login(detect.Input{Question: q, Complete: true, Now: now, History: h})
				return strings.Contains(" "+strings.Join(tagNames(d.Insights.Tags), " ")+" ", " "+tc.tag+" ")
			}
			if !has(q, tc.history) {
				t.Error("the tag is missing")
			}
			added := tc.client != nil || tc.environment != nil || tc.credentials != nil || !cmp.Equal(tc.history, history.History{})
			if added && has(question(mac), history.History{}) {
				t.Error("the tag is always there")
			}
		})
	}
}

func TestTagsAreSortedAndOnce(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	twice := []account.Credential{credential(apple, true, "iOS", "internal", "hybrid"), credential(apple, true, "iOS", "internal", "hybrid")}
	d := k.Login(detect.Input{Question: question(factstest.Browser("macOS", "15", "Safari"), twice...), Complete: true, Now: now})
	got := tagNames(d.Insights.Tags)
	want := []string{
		"clientEnv/known", "passkey/apple", "passkey/availability-likely", "passkey/synced",
		"support/ble-on", "support/conditional-get", "support/hybrid", "support/uvpaa", "support/webauthn",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !slices.IsSorted(got) {
		t.Error("not sorted")
	}
}

package detect

import (
	"slices"
	"strconv"
	"strings"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

// insights are what the wire tells of a detection. No slice is nil.
func (d *Detection) insights(a *account.Account, h history.History, threshold int) rest.DetectionInsights {
	insights := rest.DetectionInsights{
		Tags:               d.tags(h, threshold),
		CredentialIds:      []string{},
		ClientEnvIds:       []string{},
		PasswordManagerIds: []string{},
		HistoryData: rest.HistoryData{
			DefaultCount: int32(h.Append.Default.Declines), DefaultCooldown: h.Append.Default.Cooldown,
			AfterErrorCount: int32(h.Append.AfterError.Declines), AfterErrorCooldown: h.Append.AfterError.Cooldown,
			AfterHybridCount: int32(h.Append.AfterHybrid.Declines), AfterHybridCooldown: h.Append.AfterHybrid.Cooldown,
			AutoCount: int32(h.Append.Auto.Declines), AutoCooldown: h.Append.Auto.Cooldown,
			ConditionalCreateCooldown: h.Append.ConditionalCreateCooldown,
		},
	}
	if a != nil { // both in one piece of memory
		room := make([]string, 0, len(d.passkeys)+len(a.Environments))
		insights.CredentialIds, insights.ClientEnvIds = room[:0:len(d.passkeys)], room[len(d.passkeys):len(d.passkeys)]
	}
	for i := range d.passkeys {
		p := &d.passkeys[i]
		insights.CredentialIds = append(insights.CredentialIds, string(p.ID))
		if p.class == facts.ClassPasswordManager && !slices.Contains(insights.PasswordManagerIds, p.AAGUID) {
			insights.PasswordManagerIds = append(insights.PasswordManagerIds, p.AAGUID)
		}
	}
	slices.Sort(insights.PasswordManagerIds)
	if a != nil {
		for i := range a.Environments {
			insights.ClientEnvIds = append(insights.ClientEnvIds, string(a.Environments[i].ID))
		}
	}
	return insights
}

// tagging collects tags, one category after another.
type tagging struct {
	tags     []rest.DetectionTag
	category rest.DetectionTagCategory
	start    int // of the category
}

// begin opens a category. They come in order, so that only the names within one have to be sorted.
func (t *tagging) begin(category rest.DetectionTagCategory) {
	t.sort()
	t.category, t.start = category, len(t.tags)
}

func (t *tagging) sort() {
	slices.SortFunc(t.tags[t.start:], func(a, b rest.DetectionTag) int { return strings.Compare(a.Name, b.Name) })
}

func (t *tagging) add(when bool, name string) {
	if when {
		t.tags = append(t.tags, rest.DetectionTag{Category: t.category, Name: name})
	}
}

func (t *tagging) either(when bool, name, otherwise string) {
	t.add(when, name)
	t.add(!when, otherwise)
}

// streak names the number: local-streak-2.
func (t *tagging) streak(n int, route string) {
	if n > 0 {
		t.add(true, route+"-streak-"+strconv.Itoa(n))
	}
}

// tags are sorted by category and name, each at most once.
func (d *Detection) tags(h history.History, threshold int) []rest.DetectionTag {
	const usual = 20
	t := &tagging{tags: make([]rest.DetectionTag, 0, usual)}
	d.environmentTags(t, h, threshold)
	if d.Facts.AccountFacts != nil {
		d.historyTags(t, h)
		d.passkeyTags(t)
	}
	d.supportTags(t)
	t.sort()
	return slices.Compact(t.tags)
}

func (d *Detection) supportTags(t *tagging) {
	c := &d.Client
	t.begin(rest.DetectionTagCategorySupport)
	t.either(c.WebAuthn, "webauthn", "no-webauthn")
	t.either(c.UVPA, "uvpaa", "no-uvpaa")
	t.add(c.ConditionalGet, "conditional-get")
	t.add(c.ConditionalCreate, "conditional-create")
	t.add(c.Hybrid == recognition.Yes, "hybrid")
	t.add(c.Hybrid == recognition.No, "no-hybrid")
	t.add(true, "ble-"+c.BLE.Word("on", "off"))
	t.add(c.Native, "native")
	t.add(c.PrivateMode, "private-mode")
	t.add(c.Webdriver, "webdriver")
	t.add(c.Device == facts.DeviceBot, "bot")
	t.add(c.Device == facts.DeviceHeadless, "headless")
	t.add(c.RestrictedBrowser, "restricted-browser")
	t.add(c.Embedded, "embedded-webview")
	t.add(c.NoScreenLock, "no-screen-lock")
	t.add(c.ImmediateGet, "immediate-get")
}

func (d *Detection) environmentTags(t *tagging, h history.History, threshold int) {
	t.begin(rest.DetectionTagCategoryClientEnv)
	t.either(d.Facts.Environment.Known, "known", "unknown")
	t.add(d.Facts.Environment.Rejected, "handle-rejected")
	t.add(h.Pair.Positive, "positive")
	t.add(threshold > 0 && max(h.Pair.LocalStreak, h.Pair.CDAStreak, h.Pair.SecurityKeyStreak) >= threshold, "negative")
	t.add(d.Client.Listed != facts.ListedNot, "blacklisted")
}

func (d *Detection) historyTags(t *tagging, h history.History) {
	t.begin(rest.DetectionTagCategoryHistory)
	t.add(h.Blacklist.Login, "login-blacklisted")
	t.add(h.Blacklist.AppendAfterHybrid, "append-blacklisted-after-hybrid")
	t.add(h.Blacklist.AppendAfterError, "append-blacklisted-after-error")
	t.streak(h.Pair.LocalStreak, "local")
	t.streak(h.Pair.CDAStreak, "cda")
	t.streak(h.Pair.SecurityKeyStreak, "sk")
	t.add(h.Pair.NoCredentials, "no-credentials")
	t.add(h.Pair.Positive, "positive-recent")
	t.add(h.Pair.PositiveStale, "positive-stale")
	t.add(h.Append.Default.Cooldown, "default-cooldown")
	t.add(h.Append.AfterError.Cooldown, "after-error-cooldown")
	t.add(h.Append.AfterHybrid.Cooldown, "after-hybrid-cooldown")
	t.add(h.Append.Auto.Cooldown, "auto-cooldown")
	t.add(h.Append.ConditionalCreateCooldown, "conditional-create-cooldown")
	t.add(h.Pair.Lost && d.Facts.Pair.EvidenceHere, "passkey-lost")
	t.add(h.ClockSkew, "clock-skew")
}

func (d *Detection) passkeyTags(t *tagging) {
	t.begin(rest.DetectionTagCategoryPasskey)
	t.add(len(d.passkeys) == 0, "none")
	for i := range d.passkeys {
		p := &d.passkeys[i]
		t.add(true, string(p.class))
		t.either(p.BackupEligible, "synced", "device-bound")
		if p.availability != SecurityKey {
			t.add(true, availabilityTag(p.availability))
		}
	}
}

func availabilityTag(a Availability) string {
	switch a {
	case Likely:
		return "availability-likely"
	case Uncertain:
		return "availability-uncertain"
	case Remote:
		return "availability-remote"
	default:
		return "availability-none"
	}
}

// Select returns the passkeys of the given availabilities, group after group, each in the account's order. No slice is nil.
func (d *Detection) Select(groups []Availability) []ident.CredentialID {
	selected := make([]ident.CredentialID, 0, len(d.passkeys))
	for _, group := range groups {
		for i := range d.passkeys {
			if d.passkeys[i].availability == group {
				selected = append(selected, d.passkeys[i].ID)
			}
		}
	}
	return selected
}

// OtherDevice returns the name of what holds the passkeys that this account has logged in with from another device; empty if that is not
// known, or not the same of all.
func (k *Knowledge) OtherDevice(d *Detection) string {
	found := ""
	for i := range d.passkeys {
		if d.passkeys[i].byPhone.why != usedByPhone {
			continue
		}
		name := k.Authenticators[d.passkeys[i].AAGUID].Name
		if name == "" || (found != "" && found != name) {
			return ""
		}
		found = name
	}
	return found
}

// Each calls a function with every passkey of the account, in the account's order.
func (d *Detection) Each(with func(*account.Credential, facts.Class, Availability)) {
	for i := range d.passkeys {
		with(d.passkeys[i].Credential, d.passkeys[i].class, d.passkeys[i].availability)
	}
}

// All returns every passkey of the account in its order. The slice is not nil.
func (d *Detection) All() []ident.CredentialID {
	all := make([]ident.CredentialID, len(d.passkeys))
	for i := range d.passkeys {
		all[i] = d.passkeys[i].ID
	}
	return all
}

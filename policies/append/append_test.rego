package keyward.append_test

import data.keyward.append

# Windows in a known environment without history, an account without passkeys, and no login offered in this process.
facts := {
	"complete": true,
	"account": "active",
	"flags": {"force": false, "auto": false, "conditionalCreate": false, "inApp": ""},
	"situation": "post-login",
	"client": {"os": "windows", "osVersion": 11, "browser": "chrome", "native": false, "mobile": false, "desktop": true, "privateMode": false, "webdriver": false},
	"support": {"webauthn": true, "uvpa": true, "ble": "on", "conditionalGet": true, "conditionalCreate": true, "hybrid": "yes", "immediateGet": false},
	"environment": {"known": true, "rejected": false, "listed": "none"},
	"credentials": {"total": 0, "likely": 0, "uncertain": 0, "remote": 0, "securityKey": 0},
	"cda": {"client": true, "remoteHigh": false, "remoteLow": false, "route": false},
	"securityKeyOnly": false,
	"pair": {
		"localStreak": 0, "cdaStreak": 0, "securityKeyStreak": 0, "noCredentials": false, "lastFailedRoute": "",
		"positive": false, "lastRoute": "", "positiveSecurityKey": false, "existsHere": false, "createdHere": false,
	},
	"blacklist": {"login": false, "appendAfterHybrid": false, "appendAfterError": false},
	"process": {"outcome": "not-offered", "failedLocal": 0, "missingEvidence": false, "credentialClass": ""},
	"nudges": {
		"default": {"declines": 0, "cooldown": false},
		"afterError": {"declines": 0, "cooldown": false},
		"afterHybrid": {"declines": 0, "cooldown": false},
		"auto": {"declines": 0, "cooldown": false},
		"conditionalCreate": {"cooldown": false},
		"spaced": true,
	},
}

# Less than any row but the last can do with.
incomplete := {"complete": true, "account": "active", "situation": "", "support": {"webauthn": true, "uvpa": true}}

# What the tests are written for. They test rules, so a figure that somebody changes in data.json must not fail them.
parameters := object.union(data.keyward.parameters, {"autoDesktop": false, "inAppTriggers": ["after-unlock", "after-cta"]})

answer(changes) := answer_under({}, changes)

answer_under(overrides, changes) := result if {
	figures := object.union(parameters, overrides)
	result := append.decision with input as object.union(facts, changes) with data.keyward.parameters as figures
}

declined := {"nudges": {"default": {"declines": 3, "cooldown": true}}}

phone := {"client": {"os": "android", "mobile": true, "desktop": false}}

ask_auto := {"flags": {"auto": true}}

ask_silent := {"flags": {"conditionalCreate": true}}

unlock := {"flags": {"inApp": "after-unlock"}}

is_denied(given, row, tag, reason) if {
	given.rule == row
	given.tag == tag
	given.reason == reason
	given.allow == false
	given.kind == ""
	given.auto == false
	given.conditional == false
	given.manualAllowed == false
	given.isRestrictedBrowser == false
	given.attachment == ""
	given.hints == []
	given.userVerification == ""
}

is_offered(given, row, tag, kind) if {
	given.rule == row
	given.tag == tag
	given.kind == kind
	given.allow == true
	given.variant == "default"
	given.reason == ""
}

is_for_this_device(given) if {
	given.attachment == "platform"
	given.hints == ["client-device"]
}

test_default_denies_what_no_row_answers if is_denied(append.decision, "A14", "default-deny", "") with input as incomplete

test_a14_for_outcomes_without_a_row if is_denied(answer({"process": {"outcome": "sk"}}), "A14", "default-deny", "")

test_a0_lookup_failed if is_denied(answer({"complete": false}), "A0", "default-deny", "data_incomplete")

test_a0_account_not_active if {
	is_denied(answer({"account": "disabled"}), "A0", "default-deny", "data_incomplete")
	is_denied(answer({"account": "unknown"}), "A0", "default-deny", "data_incomplete")
}

test_a1_no_webauthn if {
	is_denied(answer({"support": {"webauthn": false}}), "A1", "env-no-pk-support", "passkeys_not_supported")
}

test_a1_force_does_not_help if {
	changes := {"support": {"webauthn": false}, "flags": {"force": true}}
	is_denied(answer(changes), "A1", "env-no-pk-support", "passkeys_not_supported")
}

test_a2_forced if {
	given := answer({"flags": {"force": true}})
	is_offered(given, "A2", "passkey-list-initiated-process", "default")
	given.attachment == ""
	given.hints == []
	given.userVerification == "required"
}

test_a2_from_the_passkey_list if {
	is_offered(answer({"situation": "passkey-list"}), "A2", "passkey-list-initiated-process", "default")
}

test_a2_ignores_cooldowns_and_missing_authenticators if {
	changes := object.union(declined, {"flags": {"force": true}, "support": {"uvpa": false}})
	is_offered(answer(changes), "A2", "passkey-list-initiated-process", "default")
}

test_a3_no_local_authenticator if {
	is_denied(answer({"support": {"uvpa": false}}), "A3", "env-no-platform-pk-support", "passkeys_not_supported")
}

test_a9_local_login if {
	changes := {"process": {"outcome": "local"}}
	is_denied(answer(changes), "A9", "process-pk-login-platform-completed", "passkey_already_exists")
}

test_a10_exists_here if {
	changes := {"pair": {"existsHere": true}}
	is_denied(answer(changes), "A10", "user-positive-env-history", "passkey_already_exists")
}

test_a10_not_against_evidence if {
	changes := {"pair": {"existsHere": true}, "process": {"missingEvidence": true}}
	answer(changes).rule == "A13"
}

test_a13_default_offer if {
	given := answer({})
	is_offered(given, "A13", "process-pk-login-not-offered", "default")
	is_for_this_device(given)
	given.userVerification == "required"
}

test_a13_default_cooldown if is_denied(answer(declined), "A13", "process-pk-login-not-offered", "cooldown")

test_a13_second_device if answer({"credentials": {"total": 2, "remote": 2}}).rule == "A13"

test_a13_silent if {
	given := answer(ask_silent)
	is_offered(given, "A13", "process-pk-login-not-offered", "conditional-create")
	is_for_this_device(given)
	given.conditional == true
	given.manualAllowed == true
	given.userVerification == "preferred"
}

test_a13_silent_ignores_the_default_cooldown if {
	given := answer(object.union(ask_silent, declined))
	given.kind == "conditional-create"
	given.manualAllowed == false
}

test_a13_silent_needs_the_capability if {
	answer(object.union(ask_silent, {"support": {"conditionalCreate": false}})).kind == "default"
}

test_a13_silent_not_twice if {
	answer(object.union(ask_silent, {"nudges": {"conditionalCreate": {"cooldown": true}}})).kind == "default"
}

test_a13_auto_on_phones if {
	given := answer(object.union(ask_auto, phone))
	is_offered(given, "A13", "process-pk-login-not-offered", "auto")
	is_for_this_device(given)
	given.auto == true
}

test_a13_auto_in_apps if answer(object.union(ask_auto, {"client": {"native": true}})).kind == "auto"

test_a13_auto_on_desktops_by_switch if {
	answer(ask_auto).kind == "default"
	on := answer_under({"autoDesktop": true}, ask_auto)
	on.kind == "auto"
}

test_a13_auto_for_the_first_passkey_only if {
	changes := object.union(object.union(ask_auto, phone), {"credentials": {"total": 1, "remote": 1}})
	answer(changes).kind == "default"
}

test_a13_auto_once if {
	changes := object.union(object.union(ask_auto, phone), {"nudges": {"auto": {"declines": 1, "cooldown": true}}})
	answer(changes).kind == "default"
}

test_a13_auto_not_during_the_default_cooldown if {
	changes := object.union(object.union(ask_auto, phone), declined)
	is_denied(answer(changes), "A13", "process-pk-login-not-offered", "cooldown")
}

test_a13_silent_before_auto if {
	answer(object.union(object.union(ask_auto, phone), ask_silent)).kind == "conditional-create"
}

test_a13_in_app if is_offered(answer(unlock), "A13", "process-pk-login-not-offered", "default")

test_a13_in_app_too_soon if {
	changes := object.union(unlock, {"nudges": {"spaced": false}})
	is_denied(answer(changes), "A13", "process-pk-login-not-offered", "cooldown")
}

test_a13_in_app_shares_the_default_cooldown if {
	is_denied(answer(object.union(unlock, declined)), "A13", "process-pk-login-not-offered", "cooldown")
}

test_a13_in_app_unknown_trigger if {
	is_denied(answer({"flags": {"inApp": "after-splash"}}), "A13", "process-pk-login-not-offered", "cooldown")
}

test_a13_in_app_situation_without_a_trigger if {
	is_denied(answer({"situation": "in-app"}), "A13", "process-pk-login-not-offered", "cooldown")
}

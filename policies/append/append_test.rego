package keyward.append_test

import data.keyward.append

# Windows in a known environment without history, an account without passkeys, and no login offered in this process.
facts := {
	"complete": true,
	"account": "active",
	"flags": {
		"force": false, "auto": false, "conditionalCreate": false,
		"inApp": "", "shownLately": false, "optOutAfterHybrid": false, "loginMethod": "",
	},
	"situation": "post-login",
	"client": {
		"os": "windows", "osVersion": 11, "browser": "chrome", "native": false,
		"mobile": false, "desktop": true, "privateMode": false, "webdriver": false,
	},
	"support": {
		"webauthn": true, "uvpa": true, "ble": "on",
		"conditionalGet": true, "conditionalCreate": true, "hybrid": "yes", "immediateGet": false,
	},
	"environment": {"known": true, "rejected": false, "listed": "none"},
	"credentials": {"total": 0, "likely": 0, "uncertain": 0, "remote": 0, "securityKey": 0},
	"cda": {"client": true, "remoteHigh": false, "remoteLow": false, "route": false},
	"securityKeyOnly": false,
	"pair": {
		"localStreak": 0, "cdaStreak": 0, "securityKeyStreak": 0, "noCredentials": false, "lastFailedRoute": "",
		"positive": false, "lastRoute": "", "positiveSecurityKey": false, "existsHere": false, "createdHere": false,
		"lost": false, "evidenceHere": false, "firstWin": "", "secondWin": "", "thirdWin": "",
	},
	"blacklist": {"login": false, "appendAfterHybrid": false, "appendAfterError": false},
	"experiments": {"device-local-platform-passkey": "control"},
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
parameters := object.union(
	data.keyward.parameters,
	{
		"autoDesktop": false, "inAppTriggers": ["after-unlock", "after-cta"], "appendAfterSecurityKey": false, "offerWhereLikely": false,
		"softBars": ["restricted-browser"], "passkeyReplacesSecondFactor": false, "conditionalCreate": {"after": []},
	},
)

answer(changes) := answer_under({}, changes)

answer_under(overrides, changes) := result if {
	figures := object.union(parameters, overrides)
	result := append.decision with input as object.union(facts, changes) with data.keyward.parameters as figures
}

together(changes) := object.union_n(changes)

# Situations, to be put together.
outcome(how) := {"process": {"outcome": how}}

paused(kind) := {"nudges": {kind: {"declines": 3, "cooldown": true}}}

barred(cause) := {"environment": {"listed": cause}}

private := {"client": {"privateMode": true}}

exists_here := {"pair": {"existsHere": true}}

missing := {"process": {"missingEvidence": true}}

unwanted := {"blacklist": {"login": true, "appendAfterHybrid": true, "appendAfterError": true}}

treated := {"experiments": {"device-local-platform-passkey": "treatment"}}

with_manager := {"process": {"outcome": "local", "credentialClass": "password-manager"}}

phone := {"client": {"os": "android", "mobile": true, "desktop": false}}

app := {"client": {"os": "android", "native": true, "mobile": true, "desktop": false}}

forced := {"flags": {"force": true}}

ask_auto := {"flags": {"auto": true}}

shown := {"flags": {"shownLately": true}}

ask_silent := {"flags": {"conditionalCreate": true}}

unlock := {"flags": {"inApp": "after-unlock"}}

after_key := {"appendAfterSecurityKey": true}

is_denied(given, row, tag, reason) if given == {
	"rule": row,
	"allow": false,
	"tag": tag,
	"kind": "",
	"variant": "default",
	"auto": false,
	"conditional": false,
	"manualAllowed": false,
	"isRestrictedBrowser": false,
	"reason": reason,
	"attachment": "",
	"hints": [],
	"userVerification": "",
}

# A ceremony that the user takes part in, on this device.
is_offered(given, row, tag, kind) if given == {
	"rule": row,
	"allow": true,
	"tag": tag,
	"kind": kind,
	"variant": {"default": "default", "auto": "default", "after-hybrid": "after-hybrid", "after-error": "after-error"}[kind],
	"auto": {"default": false, "auto": true, "after-hybrid": false, "after-error": false}[kind],
	"conditional": false,
	"manualAllowed": false,
	"isRestrictedBrowser": false,
	"reason": "",
	"attachment": "platform",
	"hints": ["client-device"],
	"userVerification": "required",
}

is_offered_here_too(given, row, tag) if {
	given.variant == "after-no-credential"
	is_offered(object.union(given, {"variant": "default"}), row, tag, "default")
}

is_offered_anywhere(given, row, tag) if given == {
	"rule": row,
	"allow": true,
	"tag": tag,
	"kind": "default",
	"variant": "default",
	"auto": false,
	"conditional": false,
	"manualAllowed": false,
	"isRestrictedBrowser": false,
	"reason": "",
	"attachment": "",
	"hints": [],
	"userVerification": "required",
}

is_silent(given, row, tag, variant, manual) if given == {
	"rule": row,
	"allow": true,
	"tag": tag,
	"kind": "conditional-create",
	"variant": variant,
	"auto": false,
	"conditional": true,
	"manualAllowed": manual,
	"isRestrictedBrowser": false,
	"reason": "",
	"attachment": "platform",
	"hints": ["client-device"],
	"userVerification": "preferred",
}

test_default_denies_what_no_row_answers if is_denied(append.decision, "A14", "default-deny", "") with input as incomplete

test_a0_lookup_failed if is_denied(answer({"complete": false}), "A0", "default-deny", "data_incomplete")

test_a0_nothing_known if is_denied(append.decision, "A0", "default-deny", "data_incomplete") with input as {}

test_a0_before_a1 if {
	is_denied(answer(together([forced, {"complete": false, "support": {"webauthn": false}}])), "A0", "default-deny", "data_incomplete")
}

test_a0_account_not_active if {
	is_denied(answer({"account": "disabled"}), "A0", "default-deny", "data_incomplete")
	is_denied(answer({"account": "pending"}), "A0", "default-deny", "data_incomplete")
	is_denied(answer({"account": "unknown"}), "A0", "default-deny", "data_incomplete")
}

test_a1_no_webauthn if {
	is_denied(answer({"support": {"webauthn": false}}), "A1", "env-no-pk-support", "passkeys_not_supported")
}

test_a1_force_does_not_help if {
	changes := together([forced, {"support": {"webauthn": false}}])
	is_denied(answer(changes), "A1", "env-no-pk-support", "passkeys_not_supported")
}

test_a2_forced if is_offered_anywhere(answer(forced), "A2", "passkey-list-initiated-process")

test_a2_from_the_passkey_list if {
	is_offered_anywhere(answer({"situation": "passkey-list"}), "A2", "passkey-list-initiated-process")
}

test_a2_ignores_everything_below if {
	changes := together([
		forced, paused("default"), private, barred("restricted-browser"), unwanted, exists_here, outcome("cda"),
		{"support": {"uvpa": false}},
	])
	is_offered_anywhere(answer(changes), "A2", "passkey-list-initiated-process")
	is_offered_anywhere(answer(together([forced, outcome("sk")])), "A2", "passkey-list-initiated-process")
	is_offered_anywhere(answer(together([forced, outcome("local")])), "A2", "passkey-list-initiated-process")
}

test_a3_no_local_authenticator if {
	is_denied(answer({"support": {"uvpa": false}}), "A3", "env-no-platform-pk-support", "passkeys_not_supported")
}

test_a3_before_a4 if {
	changes := together([barred("restricted-browser"), {"support": {"uvpa": false}}])
	is_denied(answer(changes), "A3", "env-no-platform-pk-support", "passkeys_not_supported")
}

current_user := {"situation": "current-user"}

test_a3a_current_user_has_one_here if {
	changes := together([current_user, {"pair": {"existsHere": true}}, paused("default"), private])
	is_denied(answer(changes), "A3a", "user-positive-env-history", "passkey_already_exists")
}

test_a3b_current_user_asks if is_offered_anywhere(answer(current_user), "A3b", "passkey-list-initiated-process")

test_a3b_current_user_asks_in_spite_of_all_else if {
	changes := together([current_user, paused("default"), private, barred("restricted-browser")])
	is_offered_anywhere(answer(changes), "A3b", "passkey-list-initiated-process")
}

test_a3b_the_passkey_here_is_in_doubt if {
	changes := together([current_user, {"pair": {"existsHere": true}}, {"process": {"missingEvidence": true}}])
	is_offered_anywhere(answer(changes), "A3b", "passkey-list-initiated-process")
}

test_a3_current_user_without_a_local_authenticator if {
	changes := together([current_user, {"support": {"uvpa": false}}])
	is_denied(answer(changes), "A3", "env-no-platform-pk-support", "passkeys_not_supported")
}

test_a1a_barred_whatever_was_asked_for if {
	is_denied(answer(barred("webdriver")), "A1a", "env-blacklisted", "env_blacklisted")
	is_denied(answer(together([barred("address"), forced])), "A1a", "env-blacklisted", "env_blacklisted")
}

lost := {"pair": {"lost": true}}

test_a10a_a_lost_passkey_is_no_dead_end if {
	is_offered(answer(together([exists_here, lost])), "A10a", "process-pk-login-not-offered", "after-error")
	is_offered(answer(together([{"pair": {"evidenceHere": true}}, lost])), "A10a", "process-pk-login-not-offered", "after-error")
	is_offered(answer(together([{"credentials": {"likely": 1}}, lost])), "A10a", "process-pk-login-not-offered", "after-error")
	is_denied(answer(together([exists_here, lost, paused("afterError")])), "A10a", "process-pk-login-not-offered", "cooldown")
	answer(together([exists_here, lost, ask_silent])).kind == "conditional-create"
	is_offered(answer(lost), "A13", "process-pk-login-not-offered", "default")
}

test_a10b_none_beside_one_that_is_expected if {
	expected := {"credentials": {"total": 1, "likely": 1}}
	is_denied(answer(expected), "A10b", "user-positive-env-history", "passkey_already_exists")
	is_offered(answer(together([expected, missing])), "A13", "process-pk-login-not-offered", "default")
	is_offered(answer_under({"offerWhereLikely": true}, expected), "A13", "process-pk-login-not-offered", "default")
}

test_a4_tells_no_other_soft_bar_as_a_restricted_browser if {
	given := answer_under({"softBars": ["browser"]}, barred("browser"))
	is_denied(given, "A4", "env-blacklisted", "env_blacklisted")
}

test_a4_tells_a_restricted_browser if {
	given := answer(barred("restricted-browser"))
	given.isRestrictedBrowser == true
	is_denied(object.union(given, {"isRestrictedBrowser": false}), "A4", "env-blacklisted", "env_blacklisted")
}

test_a4_before_a5 if answer(together([barred("restricted-browser"), private])).rule == "A4"

test_a5_private_window if is_denied(answer(private), "A5", "default-deny", "private_mode")

test_a5_before_a6 if is_denied(answer(together([private, unwanted, outcome("cda")])), "A5", "default-deny", "private_mode")

test_a6a_unwanted_after_a_login_over_another_device if {
	is_denied(answer(together([unwanted, outcome("cda")])), "A6a", "user-append-blacklisted", "user_blacklisted")
}

test_a6a_only_its_own_blacklist if {
	changes := together([outcome("cda"), {"blacklist": {"appendAfterError": true}}])
	is_offered(answer(changes), "A11", "process-pk-login-cross-platform-completed", "after-hybrid")
}

test_a6a_before_a10 if {
	is_denied(answer(together([unwanted, exists_here, outcome("cda")])), "A6a", "user-append-blacklisted", "user_blacklisted")
}

test_a6b_unwanted_after_a_failed_login if {
	is_denied(answer(together([unwanted, outcome("incomplete")])), "A6b", "user-append-blacklisted", "user_blacklisted")
}

test_a6b_also_silently if {
	is_denied(answer(together([unwanted, ask_silent, outcome("incomplete")])), "A6b", "user-append-blacklisted", "user_blacklisted")
}

test_a6b_only_its_own_blacklist if {
	changes := together([outcome("incomplete"), {"blacklist": {"appendAfterHybrid": true}}])
	is_offered(answer(changes), "A12", "process-pk-login-incomplete", "after-error")
}

test_a6_does_not_concern_other_outcomes if {
	is_offered(answer(unwanted), "A13", "process-pk-login-not-offered", "default")
	is_denied(answer(together([unwanted, outcome("local")])), "A9", "process-pk-login-platform-completed", "passkey_already_exists")
}

test_a7_after_a_security_key if {
	is_denied(answer(outcome("sk")), "A7", "process-pk-login-sk-completed", "security_key_login")
	changes := together([outcome("sk"), exists_here, paused("default")])
	is_denied(answer(changes), "A7", "process-pk-login-sk-completed", "security_key_login")
}

test_a7_by_switch_a_manual_offer if {
	is_offered(answer_under(after_key, outcome("sk")), "A7", "process-pk-login-sk-completed", "default")
	changes := together([outcome("sk"), exists_here, missing])
	is_offered(answer_under(after_key, changes), "A7", "process-pk-login-sk-completed", "default")
}

test_a7_by_switch_but_paused if {
	changes := together([outcome("sk"), paused("default")])
	is_denied(answer_under(after_key, changes), "A7", "process-pk-login-sk-completed", "cooldown")
}

test_a7_by_switch_but_one_exists_here if {
	changes := together([outcome("sk"), exists_here])
	is_denied(answer_under(after_key, changes), "A10", "user-positive-env-history", "passkey_already_exists")
	declined := together([changes, paused("default")])
	is_denied(answer_under(after_key, declined), "A10", "user-positive-env-history", "passkey_already_exists")
}

test_a8_after_a_password_manager if {
	is_offered(answer(together([with_manager, treated])), "A8", "device-local-platform-passkey-experiment", "default")
	stranger := {"process": {"outcome": "local", "credentialClass": "unknown-provider"}}
	is_offered(answer(together([stranger, treated])), "A8", "device-local-platform-passkey-experiment", "default")
}

test_a8_although_one_is_known_to_exist_here if {
	changes := together([with_manager, treated, exists_here])
	is_offered(answer(changes), "A8", "device-local-platform-passkey-experiment", "default")
}

test_a8_paused if {
	changes := together([with_manager, treated, paused("default")])
	is_denied(answer(changes), "A8", "device-local-platform-passkey-experiment", "cooldown")
}

test_a8_only_in_the_treatment_arm if {
	is_denied(answer(with_manager), "A9", "process-pk-login-platform-completed", "passkey_already_exists")
	other := {"experiments": {"another": "treatment"}}
	is_denied(answer(together([with_manager, other])), "A9", "process-pk-login-platform-completed", "passkey_already_exists")
}

test_a8_only_after_another_provider if {
	every class in ["apple", "google", "samsung", "windows-hello", "browser-profile", "security-key", ""] {
		used := {"process": {"outcome": "local", "credentialClass": class}}
		is_denied(answer(together([used, treated])), "A9", "process-pk-login-platform-completed", "passkey_already_exists")
	}
}

test_a8_only_after_a_local_login if {
	changes := together([treated, with_manager, outcome("cda")])
	is_offered(answer(changes), "A11", "process-pk-login-cross-platform-completed", "after-hybrid")
}

test_a8_not_if_one_was_created_here if {
	changes := together([with_manager, treated, {"pair": {"createdHere": true}}])
	is_denied(answer(changes), "A9", "process-pk-login-platform-completed", "passkey_already_exists")
}

test_a9_local_login if {
	is_denied(answer(outcome("local")), "A9", "process-pk-login-platform-completed", "passkey_already_exists")
}

test_a9_before_a10 if {
	changes := together([outcome("local"), exists_here])
	is_denied(answer(changes), "A9", "process-pk-login-platform-completed", "passkey_already_exists")
}

test_a10_exists_here if {
	is_denied(answer(exists_here), "A10", "user-positive-env-history", "passkey_already_exists")
	is_denied(answer(together([exists_here, outcome("incomplete")])), "A10", "user-positive-env-history", "passkey_already_exists")
	is_denied(answer(together([exists_here, outcome("cda")])), "A10", "user-positive-env-history", "passkey_already_exists")
	is_denied(answer(together([exists_here, ask_silent])), "A10", "user-positive-env-history", "passkey_already_exists")
	is_denied(answer(together([exists_here, unlock])), "A10", "user-positive-env-history", "passkey_already_exists")
}

test_a10_not_against_evidence if {
	is_offered(answer(together([exists_here, missing])), "A13", "process-pk-login-not-offered", "default")
	changes := together([exists_here, missing, outcome("incomplete")])
	is_offered(answer(changes), "A12", "process-pk-login-incomplete", "after-error")
}

test_a11_after_hybrid if {
	is_offered(answer(outcome("cda")), "A11", "process-pk-login-cross-platform-completed", "after-hybrid")
}

test_a11_paused if {
	changes := together([outcome("cda"), paused("afterHybrid")])
	is_denied(answer(changes), "A11", "process-pk-login-cross-platform-completed", "cooldown")
}

test_a11_slides_to_no_other_kind if {
	changes := together([outcome("cda"), paused("afterHybrid"), ask_silent, ask_auto, unlock, app])
	is_denied(answer(changes), "A11", "process-pk-login-cross-platform-completed", "cooldown")
	is_offered(answer(together([outcome("cda"), ask_silent])), "A11", "process-pk-login-cross-platform-completed", "after-hybrid")
}

test_a11_other_pauses_do_not_matter if {
	changes := together([outcome("cda"), paused("default"), paused("afterError"), paused("auto")])
	is_offered(answer(changes), "A11", "process-pk-login-cross-platform-completed", "after-hybrid")
}

test_a12_after_error if is_offered(answer(outcome("incomplete")), "A12", "process-pk-login-incomplete", "after-error")

test_a12_paused if {
	changes := together([outcome("incomplete"), paused("afterError")])
	is_denied(answer(changes), "A12", "process-pk-login-incomplete", "cooldown")
}

test_a12_slides_to_no_other_kind if {
	changes := together([outcome("incomplete"), paused("afterError"), ask_auto, unlock, app])
	is_denied(answer(changes), "A12", "process-pk-login-incomplete", "cooldown")
}

test_a12_other_pauses_do_not_matter if {
	changes := together([outcome("incomplete"), paused("default"), paused("afterHybrid"), paused("auto")])
	is_offered(answer(changes), "A12", "process-pk-login-incomplete", "after-error")
}

test_a12_silent if {
	changes := together([outcome("incomplete"), ask_silent])
	is_silent(answer(changes), "A12", "process-pk-login-incomplete", "after-error", true)
}

test_a12_silent_tells_whether_its_own_offers_pause if {
	tired := together([outcome("incomplete"), ask_silent, paused("afterError")])
	is_silent(answer(tired), "A12", "process-pk-login-incomplete", "after-error", false)
	other := together([outcome("incomplete"), ask_silent, paused("default")])
	is_silent(answer(other), "A12", "process-pk-login-incomplete", "after-error", true)
}

test_a12_silent_not_twice if {
	again := together([outcome("incomplete"), ask_silent, {"nudges": {"conditionalCreate": {"cooldown": true}}}])
	is_offered(answer(again), "A12", "process-pk-login-incomplete", "after-error")
	tired := together([again, paused("afterError")])
	is_denied(answer(tired), "A12", "process-pk-login-incomplete", "cooldown")
}

test_a13_default_offer if is_offered(answer({}), "A13", "process-pk-login-not-offered", "default")

test_a13_default_paused if is_denied(answer(paused("default")), "A13", "process-pk-login-not-offered", "cooldown")

test_a13_other_pauses_do_not_matter if {
	changes := together([paused("afterError"), paused("afterHybrid"), paused("auto")])
	is_offered(answer(changes), "A13", "process-pk-login-not-offered", "default")
}

test_a13_spacing_matters_in_apps_only if {
	is_offered(answer({"nudges": {"spaced": false}}), "A13", "process-pk-login-not-offered", "default")
}

test_a13_second_device if {
	is_offered_here_too(answer({"credentials": {"total": 2, "remote": 2}}), "A13", "process-pk-login-not-offered")
}

test_a13_silent if is_silent(answer(ask_silent), "A13", "process-pk-login-not-offered", "default", true)

test_a13_silent_ignores_the_default_cooldown if {
	is_silent(answer(together([ask_silent, paused("default")])), "A13", "process-pk-login-not-offered", "default", false)
	is_silent(answer(together([ask_silent, paused("afterError")])), "A13", "process-pk-login-not-offered", "default", true)
}

test_a13_silent_needs_the_capability if {
	changes := together([ask_silent, {"support": {"conditionalCreate": false}}])
	is_offered(answer(changes), "A13", "process-pk-login-not-offered", "default")
}

test_a13_silent_after_the_logins_that_suit_it if {
	after := {"conditionalCreate": object.union(data.keyward.parameters.conditionalCreate, {"after": ["password"]})}
	by_password := answer_under(after, together([ask_silent, {"flags": {"loginMethod": "password"}}]))
	is_silent(by_password, "A13", "process-pk-login-not-offered", "default", true)
	every how in ["code", ""] {
		given := answer_under(after, together([ask_silent, {"flags": {"loginMethod": how}}]))
		is_offered(given, "A13", "process-pk-login-not-offered", "default")
	}
	is_silent(answer(together([ask_silent, {"flags": {"loginMethod": "code"}}])), "A13", "process-pk-login-not-offered", "default", true)
}

test_a13_silent_not_twice if {
	changes := together([ask_silent, {"nudges": {"conditionalCreate": {"cooldown": true}}}])
	is_offered(answer(changes), "A13", "process-pk-login-not-offered", "default")
}

test_a13_silent_before_auto if {
	is_silent(answer(together([ask_auto, phone, ask_silent])), "A13", "process-pk-login-not-offered", "default", true)
}

test_a13_auto_on_phones if {
	is_offered(answer(together([ask_auto, phone])), "A13", "process-pk-login-not-offered", "auto")
}

test_a13_auto_in_apps if {
	is_offered(answer(together([ask_auto, {"client": {"native": true}}])), "A13", "process-pk-login-not-offered", "auto")
}

test_a13_auto_on_desktops_by_switch if {
	is_offered(answer(ask_auto), "A13", "process-pk-login-not-offered", "default")
	is_offered(answer_under({"autoDesktop": true}, ask_auto), "A13", "process-pk-login-not-offered", "auto")
}

test_a13_auto_for_the_first_passkey_only if {
	changes := together([ask_auto, phone, {"credentials": {"total": 1, "remote": 1}}])
	is_offered_here_too(answer(changes), "A13", "process-pk-login-not-offered")
}

test_a13_auto_once if {
	is_offered(answer(together([ask_auto, phone, paused("auto")])), "A13", "process-pk-login-not-offered", "default")
}

test_a13_auto_not_during_the_default_cooldown if {
	is_denied(answer(together([ask_auto, phone, paused("default")])), "A13", "process-pk-login-not-offered", "cooldown")
}

test_a13_in_app if {
	is_offered(answer(unlock), "A13", "process-pk-login-not-offered", "default")
	is_offered(answer(together([unlock, {"situation": "in-app"}])), "A13", "process-pk-login-not-offered", "default")
}

test_a13_in_app_before_silent_and_auto if {
	is_offered(answer(together([unlock, ask_silent, ask_auto, app])), "A13", "process-pk-login-not-offered", "default")
}

test_a13_in_app_slides_to_no_other_kind if {
	changes := together([{"flags": {"inApp": "after-splash"}}, ask_silent, ask_auto, app])
	is_denied(answer(changes), "A13", "process-pk-login-not-offered", "trigger")
}

test_a13_in_app_too_soon if {
	is_denied(answer(together([unlock, {"nudges": {"spaced": false}}])), "A13", "process-pk-login-not-offered", "spacing")
}

test_a13_in_app_shares_the_default_cooldown if {
	is_denied(answer(together([unlock, paused("default")])), "A13", "process-pk-login-not-offered", "cooldown")
}

test_a13_in_app_unknown_trigger if {
	is_denied(answer({"flags": {"inApp": "after-splash"}}), "A13", "process-pk-login-not-offered", "trigger")
	is_denied(answer_under({"inAppTriggers": []}, unlock), "A13", "process-pk-login-not-offered", "trigger")
}

test_a13_in_app_situation_without_a_trigger if {
	is_denied(answer({"situation": "in-app"}), "A13", "process-pk-login-not-offered", "trigger")
}

test_a13_in_app_means_nothing_after_a_login if {
	changes := together([unlock, outcome("cda"), {"nudges": {"spaced": false}}])
	is_offered(answer(changes), "A11", "process-pk-login-cross-platform-completed", "after-hybrid")
}

test_a6a_as_the_client_says if {
	opted := together([outcome("cda"), {"flags": {"optOutAfterHybrid": true}}])
	is_denied(answer(opted), "A6a", "user-append-blacklisted", "user_blacklisted")
	is_offered(answer({"flags": {"optOutAfterHybrid": true}}), "A13", "process-pk-login-not-offered", "default")
}

test_no_silent_creation_where_a_passkey_replaces_the_second_factor if {
	answer(ask_silent).kind == "conditional-create"
	given := answer_under({"passkeyReplacesSecondFactor": true}, ask_silent)
	given.kind == "default"
	given.userVerification == "required"
}

spent := {"nudges": {"spent": true}}

test_the_budget_holds_back_every_kind if {
	is_denied(answer(spent), "A13", "process-pk-login-not-offered", "budget")
	is_denied(answer(together([spent, ask_auto, phone])), "A13", "process-pk-login-not-offered", "budget")
	is_denied(answer(together([spent, unlock])), "A13", "process-pk-login-not-offered", "budget")
	is_denied(answer(together([spent, outcome("cda")])), "A11", "process-pk-login-cross-platform-completed", "budget")
	is_denied(answer(together([spent, outcome("incomplete")])), "A12", "process-pk-login-incomplete", "budget")
	lost := {"pair": {"lost": true, "existsHere": true}}
	is_denied(answer(together([spent, lost])), "A10a", "process-pk-login-not-offered", "budget")
	is_denied(answer(together([spent, with_manager, treated])), "A8", "device-local-platform-passkey-experiment", "budget")
	is_denied(answer_under(after_key, together([spent, outcome("sk")])), "A7", "process-pk-login-sk-completed", "budget")
}

test_the_budget_does_not_matter_to_what_the_user_asked_for if {
	answer(together([spent, forced])).rule == "A2"
	answer(together([spent, {"situation": "current-user"}])).rule == "A3b"
}

test_the_budget_does_not_matter_to_what_nobody_notices if {
	given := answer(together([spent, ask_silent]))
	given.kind == "conditional-create"
	given.manualAllowed == false
}

test_the_budget_is_no_reason_where_a_passkey_exists if {
	is_denied(answer(together([spent, exists_here])), "A10", "user-positive-env-history", "passkey_already_exists")
	is_denied(answer(together([spent, outcome("local")])), "A9", "process-pk-login-platform-completed", "passkey_already_exists")
}

test_a13_a_further_device if {
	elsewhere := {"credentials": {"total": 1, "remote": 1}}
	given := answer(elsewhere)
	given.rule == "A13"
	given.variant == "after-no-credential"
	given.kind == "default"
	answer({}).variant == "default"
	in_an_app := answer(together([elsewhere, app, unlock]))
	in_an_app.variant == "after-no-credential"
	silent := answer(together([elsewhere, ask_silent]))
	silent.kind == "conditional-create"
	silent.variant == "after-no-credential"
	likely := answer_under({"offerWhereLikely": true}, {"credentials": {"total": 1, "likely": 1}})
	likely.variant == "default"
	answer(together([elsewhere, outcome("cda")])).variant == "after-hybrid"
}

test_a13_shown_lately if is_denied(answer(shown), "A13", "process-pk-login-not-offered", "cooldown")

test_a13_shown_lately_not_unasked_either if {
	is_denied(answer(together([shown, ask_auto, phone])), "A13", "process-pk-login-not-offered", "cooldown")
}

test_a13_shown_lately_does_not_matter_to_who_signs_up if {
	is_offered(answer(together([shown, {"situation": "sign-up"}])), "A13", "process-pk-login-not-offered", "default")
}

test_a13_shown_lately_does_not_matter_to_what_nobody_notices if {
	is_silent(answer(together([shown, ask_silent])), "A13", "process-pk-login-not-offered", "default", true)
}

test_a12_shown_lately if {
	is_denied(answer(together([outcome("incomplete"), shown])), "A12", "process-pk-login-incomplete", "cooldown")
}

test_a11_shown_lately_does_not_matter if {
	is_offered(answer(together([outcome("cda"), shown])), "A11", "process-pk-login-cross-platform-completed", "after-hybrid")
}

test_a8_shown_lately if {
	changes := together([with_manager, treated, shown])
	is_denied(answer(changes), "A8", "device-local-platform-passkey-experiment", "cooldown")
}

test_a7_shown_lately if {
	changes := together([outcome("sk"), shown])
	is_denied(answer_under({"appendAfterSecurityKey": true}, changes), "A7", "process-pk-login-sk-completed", "cooldown")
}

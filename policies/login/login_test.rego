package keyward.login_test

import data.keyward.login

# A Mac in a known environment without history, and an account with one passkey that is expected here.
facts := {
	"complete": true,
	"account": "active",
	"strategy": "standard",
	"client": {
		"os": "macos", "osVersion": 15, "browser": "safari", "native": false,
		"mobile": false, "desktop": true, "privateMode": false, "webdriver": false,
	},
	"support": {
		"webauthn": true, "uvpa": true, "ble": "on",
		"conditionalGet": true, "conditionalCreate": true, "hybrid": "yes", "immediateGet": false,
	},
	"environment": {"known": true, "rejected": false, "listed": "none"},
	"credentials": {"total": 1, "likely": 1, "uncertain": 0, "remote": 0, "securityKey": 0},
	"cda": {"client": true, "remoteHigh": false, "remoteLow": false, "route": false},
	"securityKeyOnly": false,
	"pair": {
		"localStreak": 0, "cdaStreak": 0, "securityKeyStreak": 0, "noCredentials": false, "lastFailedRoute": "",
		"positive": false, "lastRoute": "", "positiveSecurityKey": false, "existsHere": false, "createdHere": false,
		"lost": false, "evidenceHere": false, "firstWin": "", "secondWin": "", "thirdWin": "",
	},
	"blacklist": {"login": false, "appendAfterHybrid": false, "appendAfterError": false},
	"experiments": {"device-local-platform-passkey": "control"},
}

# Less than any row but the last can do with.
incomplete := {"complete": true, "account": "active", "support": {"webauthn": true, "uvpa": true}}

# What the tests are written for. They test rules, so a figure that somebody changes in data.json must not fail them.
parameters := object.union(
	data.keyward.parameters,
	{
		"explicitSources": ["one-tap", "button", "other-device"], "streakThreshold": 2, "webImmediate": false, "securityKeyLogin": "allow",
		"softBars": ["restricted-browser"], "nameAllPasskeys": "never",
	},
)

answer(changes) := answer_under({}, changes)

answer_under(overrides, changes) := result if {
	figures := object.union(parameters, overrides)
	result := login.decision with input as object.union(facts, changes) with data.keyward.parameters as figures
}

# Situations, to be combined by union_n.
together(changes) := object.union_n(changes)

minimize := {"strategy": "minimize"}

maximize := {"strategy": "maximize"}

app := {"client": {"native": true}}

barred := {"environment": {"listed": "browser"}}

barred_softly := {"environment": {"listed": "restricted-browser"}}

blacklisted := {"blacklist": {"login": true}}

no_authenticator := {"support": {"uvpa": false}}

expected := {"credentials": {"likely": 1, "uncertain": 0, "remote": 0}}

possible := {"credentials": {"likely": 0, "uncertain": 1, "remote": 0}}

elsewhere := {"credentials": {"likely": 0, "uncertain": 0, "remote": 1}}

nowhere := {"credentials": {"likely": 0, "uncertain": 0, "remote": 0}}

no_client := {"cda": {"client": false, "route": false}}

# A passkey on a phone that can be reached. Under minimize there is no route.
phone := {"cda": {"remoteHigh": true, "route": true}}

# A passkey on another device that can be reached under maximize only.
other_device := {"strategy": "maximize", "cda": {"remoteLow": true, "route": true}}

key_only := {"securityKeyOnly": true, "credentials": {"likely": 0, "uncertain": 0, "remote": 0, "securityKey": 1}}

positive(route) := {"pair": {"positive": true, "lastRoute": route, "firstWin": route}}

positive_key := {"pair": {"positive": true, "lastRoute": "security-key", "firstWin": "security-key", "positiveSecurityKey": true}}

failed_local(times) := {"pair": {"localStreak": times, "lastFailedRoute": "local"}}

failed_cda(times) := {"pair": {"cdaStreak": times, "lastFailedRoute": "cda"}}

failed_key(times) := {"pair": {"securityKeyStreak": times, "lastFailedRoute": "security-key"}}

all_reachable := ["likely", "uncertain", "remote", "security-key"]

is_denied(given, row, tag) if given == {
	"rule": row,
	"allow": false,
	"tag": tag,
	"route": "",
	"isCDACandidate": false,
	"preferImmediatelyAvailable": false,
	"credentials": [],
	"hints": [],
}

is_local(given, row, tag) if {
	given.rule == row
	given.tag == tag
	given.allow == true
	given.route == "local"
	given.isCDACandidate == false
}

is_cross_platform(given, row, tag) if {
	given.rule == row
	given.tag == tag
	given.allow == true
	given.route == "cda"
	given.isCDACandidate == true
	given.preferImmediatelyAvailable == false
	given.credentials == ["remote", "likely", "uncertain", "security-key"]
}

is_security_key(given, row, tag) if {
	given.rule == row
	given.tag == tag
	given.allow == true
	given.route == "security-key"
	given.isCDACandidate == false
	given.preferImmediatelyAvailable == false
	given.hints == ["security-key"]
}

test_default_denies_what_no_row_answers if is_denied(login.decision, "L14", "default-deny") with input as incomplete

test_l0_lookup_failed if is_denied(answer({"complete": false}), "L0", "default-deny")

test_l0_nothing_known if is_denied(login.decision, "L0", "default-deny") with input as {}

test_l0_before_l1 if is_denied(answer({"complete": false, "support": {"webauthn": false}}), "L0", "default-deny")

test_l0_account_not_active if {
	is_denied(answer({"account": "disabled"}), "L0", "default-deny")
	is_denied(answer({"account": "pending"}), "L0", "default-deny")
}

test_l1_no_webauthn if is_denied(answer({"support": {"webauthn": false}}), "L1", "env-no-pk-support")

test_l1_before_l2 if {
	is_denied(answer(together([elsewhere, {"support": {"webauthn": false, "uvpa": false}}])), "L1", "env-no-pk-support")
}

test_l2_no_way_to_a_passkey if is_denied(answer(together([no_authenticator, elsewhere])), "L2", "env-no-platform-pk-support")

test_l2_before_l3 if {
	is_denied(answer(together([no_authenticator, nowhere, {"credentials": {"total": 0}}])), "L2", "env-no-platform-pk-support")
}

test_l2_not_with_an_open_cda_route if {
	is_cross_platform(answer(together([no_authenticator, elsewhere, phone])), "L10", "user-cross-platform-pk-high-confidence")
}

test_l2_not_with_a_security_key if {
	is_security_key(answer(together([no_authenticator, key_only])), "L5", "user-security-key")
}

test_l2_not_with_a_likely_passkey if {
	is_local(answer(no_authenticator), "L9", "user-platform-pk-high-confidence")
}

test_l3_no_passkeys if is_denied(answer(together([nowhere, {"credentials": {"total": 0}}])), "L3", "user-no-pks")

test_l3_unknown_user_answers_alike if {
	is_denied(answer(together([nowhere, {"account": "unknown", "credentials": {"total": 0}}])), "L3", "user-no-pks")
}

test_l3_before_l4 if is_denied(answer(together([nowhere, blacklisted, {"credentials": {"total": 0}}])), "L3", "user-no-pks")

test_l4_blacklisted if is_denied(answer(blacklisted), "L4", "user-login-blacklisted")

test_l4_before_l5 if is_denied(answer(together([blacklisted, key_only])), "L4", "user-login-blacklisted")

test_l4_before_l6 if is_denied(answer(together([blacklisted, positive("local")])), "L4", "user-login-blacklisted")

test_l5_only_a_security_key if {
	given := answer(key_only)
	is_security_key(given, "L5", "user-security-key")
	given.credentials == ["security-key", "likely", "uncertain", "remote"]
	is_security_key(answer(together([key_only, maximize])), "L5", "user-security-key")
}

test_l5_minimize_needs_a_success_with_a_key if {
	is_denied(answer(together([key_only, minimize])), "L5", "user-security-key")
	is_denied(answer(together([key_only, minimize, positive("local")])), "L5", "user-security-key")
	given := answer(together([key_only, minimize, positive_key]))
	is_security_key(given, "L5", "user-security-key")
	given.credentials == ["security-key"]
}

test_l5_switched_off if {
	off := {"securityKeyLogin": "deny"}
	is_denied(answer_under(off, key_only), "L5", "user-security-key")
	is_denied(answer_under(off, together([key_only, maximize])), "L5", "user-security-key")
	is_denied(answer_under(off, together([key_only, minimize, positive_key])), "L5", "user-security-key")
}

test_l5_before_l6 if is_security_key(answer(together([key_only, positive_key])), "L5", "user-security-key")

test_l5_before_l7a if {
	is_security_key(answer(together([key_only, failed_local(2)])), "L5", "user-security-key")
}

test_l5_not_in_a_barred_environment if {
	is_denied(answer(together([key_only, barred])), "L1a", "env-blacklisted")
	is_denied(answer(together([key_only, barred_softly])), "L8", "env-blacklisted")
}

test_l5_one_failure_is_forgiven if is_security_key(answer(together([key_only, failed_key(1)])), "L5", "user-security-key")

test_l5_never_immediately if {
	given := answer(together([key_only, app]))
	is_security_key(given, "L5", "user-security-key")
}

test_l6_worked_here if {
	given := answer(positive("local"))
	is_local(given, "L6", "user-positive-env-history")
	given.credentials == all_reachable
	given.hints == ["client-device"]
	given.preferImmediatelyAvailable == false
}

test_l6_over_cda if {
	given := answer(together([elsewhere, positive("cda")]))
	is_cross_platform(given, "L6", "user-positive-env-history")
	given.hints == ["hybrid"]
}

test_l6_over_cda_hints_at_both_with_an_uncertain_passkey if {
	given := answer(together([possible, positive("cda")]))
	is_cross_platform(given, "L6", "user-positive-env-history")
	given.hints == ["hybrid", "client-device"]
}

test_l6_over_cda_does_not_match_under_minimize if {
	is_denied(answer(together([elsewhere, minimize, positive("cda")])), "L13", "user-env-no-pks")
	is_local(answer(together([expected, minimize, positive("cda")])), "L9", "user-platform-pk-high-confidence")
	is_local(answer(together([possible, minimize, positive("cda")])), "L11", "user-platform-pk-high-confidence")
}

test_l6_over_cda_needs_a_cda_client if {
	is_denied(answer(together([elsewhere, no_client, positive("cda")])), "L13", "user-env-no-pks")
	is_local(answer(together([expected, no_client, positive("cda")])), "L9", "user-platform-pk-high-confidence")
}

test_l6_with_a_security_key if {
	given := answer(together([{"credentials": {"securityKey": 1}}, positive_key]))
	is_security_key(given, "L6", "user-positive-env-history")
	given.credentials == ["security-key", "likely", "uncertain", "remote"]
}

test_l6_with_a_security_key_under_minimize if {
	given := answer(together([minimize, positive_key]))
	is_security_key(given, "L6", "user-positive-env-history")
	given.credentials == ["security-key"]
}

test_l6_not_with_a_security_key_where_keys_are_denied if {
	given := answer_under({"securityKeyLogin": "deny"}, positive_key)
	is_local(given, "L9", "user-platform-pk-high-confidence")
	given.credentials == ["likely", "uncertain", "remote"]
}

test_l6_the_newest_route_that_is_open if {
	both := {"pair": {"secondWin": "local"}}
	is_cross_platform(answer(together([positive("cda"), both])), "L6", "user-positive-env-history")
	is_local(answer(together([failed_cda(2), positive("cda"), both])), "L6", "user-positive-env-history")
	third := {"pair": {"secondWin": "cda", "thirdWin": "local"}}
	is_local(answer(together([failed_cda(2), failed_key(2), positive_key, third])), "L6", "user-positive-env-history")
}

test_l6_one_failure_is_forgiven if {
	is_local(answer(together([failed_local(1), positive("local")])), "L6", "user-positive-env-history")
}

test_l6_not_while_its_route_fails if {
	is_denied(answer(together([failed_local(2), positive("local")])), "L7a", "user-negative-env-history")
	is_local(answer(together([failed_cda(2), positive("cda")])), "L9", "user-platform-pk-high-confidence")
	is_local(answer(together([failed_key(2), positive_key])), "L9", "user-platform-pk-high-confidence")
}

test_l6_although_another_route_fails if {
	is_cross_platform(answer(together([failed_local(2), positive("cda")])), "L6", "user-positive-env-history")
	is_local(answer(together([failed_cda(2), positive("local")])), "L6", "user-positive-env-history")
	is_security_key(answer(together([failed_local(2), positive_key])), "L6", "user-positive-env-history")
}

test_l6_before_l8 if is_local(answer(together([barred_softly, positive("local")])), "L6", "user-positive-env-history")

test_l7a_two_failures if {
	is_denied(answer(failed_local(2)), "L7a", "user-negative-env-history")
	is_denied(answer(failed_local(3)), "L7a", "user-negative-env-history")
	is_denied(answer(together([possible, failed_local(2)])), "L7a", "user-negative-env-history")
}

test_l7a_one_failure_is_forgiven if {
	is_local(answer(failed_local(1)), "L9", "user-platform-pk-high-confidence")
	is_local(answer(together([possible, failed_local(1)])), "L11", "user-platform-pk-high-confidence")
}

test_l7a_threshold_is_a_parameter if {
	is_local(answer_under({"streakThreshold": 3}, failed_local(2)), "L9", "user-platform-pk-high-confidence")
	is_denied(answer_under({"streakThreshold": 3}, failed_local(3)), "L7a", "user-negative-env-history")
}

test_l7a_not_for_another_route_without_a_local_passkey if {
	is_denied(answer(together([elsewhere, failed_local(2)])), "L13", "user-env-no-pks")
	is_cross_platform(answer(together([elsewhere, phone, failed_local(2)])), "L10", "user-cross-platform-pk-high-confidence")
}

test_l7a_whatever_failed_last_with_a_local_passkey if {
	is_denied(answer(together([failed_local(2), failed_cda(1)])), "L7a", "user-negative-env-history")
	is_denied(answer(together([possible, failed_local(2), failed_cda(1)])), "L7a", "user-negative-env-history")
}

test_l7a_a_failure_counts_on_its_route_only if {
	is_cross_platform(answer(together([possible, phone, failed_local(2)])), "L10", "user-cross-platform-pk-high-confidence")
	key_too := {"credentials": {"securityKey": 1}}
	is_security_key(answer(together([possible, key_too, failed_local(2)])), "L12a", "user-security-key")
}

test_l7a_maximize_leaves_room_for_another_device if {
	to_phone := answer(together([possible, phone, maximize, failed_local(2)]))
	is_cross_platform(to_phone, "L10", "user-cross-platform-pk-high-confidence")
	to_phone.hints == ["hybrid", "client-device"]
	to_other := answer(together([expected, other_device, failed_local(2)]))
	is_cross_platform(to_other, "L12", "user-cross-platform-pk-high-confidence")
	to_other.hints == ["hybrid"]
}

test_l7a_maximize_passes_over_l11_too if {
	is_cross_platform(answer(together([possible, other_device, failed_local(2)])), "L12", "user-cross-platform-pk-high-confidence")
}

test_l7a_maximize_but_not_from_a_barred_environment if {
	is_denied(answer(together([possible, phone, maximize, barred_softly, failed_local(2)])), "L8", "env-blacklisted")
}

test_l7a_maximize_but_the_other_device_fails_too if {
	is_denied(answer(together([possible, phone, maximize, failed_local(2), failed_cda(2)])), "L7a", "user-negative-env-history")
	elsewhere := answer(together([possible, phone, maximize, failed_local(2), failed_cda(1)]))
	is_cross_platform(elsewhere, "L10", "user-cross-platform-pk-high-confidence")
}

test_l7a_maximize_but_no_other_device if {
	is_denied(answer(together([possible, maximize, failed_local(2)])), "L7a", "user-negative-env-history")
	is_denied(answer(together([possible, maximize, no_client, failed_local(2)])), "L7a", "user-negative-env-history")
}

test_l7a_before_l8 if is_denied(answer(together([barred_softly, failed_local(2)])), "L7a", "user-negative-env-history")

test_l7b_the_phone_failed if {
	is_denied(answer(together([elsewhere, phone, failed_cda(2)])), "L7b", "user-negative-env-history")
	is_denied(answer(together([elsewhere, phone, maximize, failed_cda(2)])), "L7b", "user-negative-env-history")
	is_denied(answer(together([elsewhere, other_device, failed_cda(2)])), "L7b", "user-negative-env-history")
}

test_l7b_one_failure_is_forgiven if {
	is_cross_platform(answer(together([elsewhere, phone, failed_cda(1)])), "L10", "user-cross-platform-pk-high-confidence")
}

test_l7b_not_without_a_route if is_denied(answer(together([elsewhere, minimize, failed_cda(2)])), "L13", "user-env-no-pks")

test_l7b_not_with_a_local_passkey if {
	is_local(answer(together([expected, phone, failed_cda(2)])), "L9", "user-platform-pk-high-confidence")
	is_local(answer(together([possible, phone, failed_cda(2)])), "L11", "user-platform-pk-high-confidence")
}

test_l7b_before_l8 if is_denied(answer(together([elsewhere, phone, barred_softly, failed_cda(2)])), "L7b", "user-negative-env-history")

test_l7c_the_key_failed if {
	is_denied(answer(together([key_only, failed_key(2)])), "L7c", "user-negative-env-history")
	is_denied(answer(together([key_only, minimize, failed_key(2)])), "L7c", "user-negative-env-history")
	is_denied(answer_under({"securityKeyLogin": "deny"}, together([key_only, failed_key(2)])), "L7c", "user-negative-env-history")
}

test_l7c_not_with_another_way if {
	is_local(answer(failed_key(2)), "L9", "user-platform-pk-high-confidence")
}

test_l7c_before_l8 if is_denied(answer(together([key_only, barred_softly, failed_key(2)])), "L7c", "user-negative-env-history")

test_l8_barred if {
	is_denied(answer(barred_softly), "L8", "env-blacklisted")
	is_denied(answer(together([elsewhere, phone, barred_softly])), "L8", "env-blacklisted")
}

test_l1a_barred_whatever_is_known_of_the_account if {
	is_denied(answer(barred), "L1a", "env-blacklisted")
	is_denied(answer({"environment": {"listed": "webdriver"}}), "L1a", "env-blacklisted")
	is_denied(answer(together([barred, positive("local")])), "L1a", "env-blacklisted")
	is_denied(answer_under({"softBars": ["browser"]}, barred), "L8", "env-blacklisted")
}

test_l9_expected_here if {
	given := answer({})
	is_local(given, "L9", "user-platform-pk-high-confidence")
	given.credentials == all_reachable
	given.hints == ["client-device"]
}

test_l9_before_l10 if is_local(answer(phone), "L9", "user-platform-pk-high-confidence")

test_l9_minimize_names_local_passkeys_only if {
	given := answer(minimize)
	is_local(given, "L9", "user-platform-pk-high-confidence")
	given.credentials == ["likely", "uncertain"]
	given.hints == ["client-device"]
}

test_l9_maximize_hints_at_other_devices_too if {
	given := answer(maximize)
	is_local(given, "L9", "user-platform-pk-high-confidence")
	given.credentials == all_reachable
	given.hints == ["client-device", "hybrid"]
}

test_l10_expected_on_a_phone if {
	given := answer(together([elsewhere, phone]))
	is_cross_platform(given, "L10", "user-cross-platform-pk-high-confidence")
	given.hints == ["hybrid"]
}

test_l10_before_l11 if {
	given := answer(together([possible, phone]))
	is_cross_platform(given, "L10", "user-cross-platform-pk-high-confidence")
	given.hints == ["hybrid", "client-device"]
}

test_l10_not_under_minimize if {
	reach := {"cda": {"remoteHigh": true, "route": false}}
	is_local(answer(together([possible, reach, minimize])), "L11", "user-platform-pk-high-confidence")
	is_denied(answer(together([elsewhere, reach, minimize])), "L13", "user-env-no-pks")
}

test_l10_needs_a_cda_client if {
	reach := {"cda": {"client": false, "remoteHigh": true, "route": false}}
	is_denied(answer(together([elsewhere, reach])), "L13", "user-env-no-pks")
}

test_l11_possibly_here if {
	given := answer(possible)
	is_local(given, "L11", "user-platform-pk-high-confidence")
	given.credentials == all_reachable
	given.hints == ["client-device"]
}

test_l11_before_l12 if is_local(answer(together([possible, other_device])), "L11", "user-platform-pk-high-confidence")

test_l11_minimize_names_local_passkeys_only if answer(together([possible, minimize])).credentials == ["likely", "uncertain"]

test_l12_possibly_on_another_device if {
	given := answer(together([elsewhere, other_device]))
	is_cross_platform(given, "L12", "user-cross-platform-pk-high-confidence")
	given.hints == ["hybrid"]
}

test_l12_only_under_maximize if {
	reach := {"cda": {"remoteLow": true}}
	is_denied(answer(together([elsewhere, reach])), "L13", "user-env-no-pks")
	is_denied(answer(together([elsewhere, reach, minimize])), "L13", "user-env-no-pks")
}

source(name) := {"source": name}

test_l4a_another_device_if_asked_for if {
	given := answer(together([expected, phone, source("other-device")]))
	is_cross_platform(given, "L4a", "user-cross-platform-pk-high-confidence")
	given.hints == ["hybrid"]
	on_an_app := answer(together([app, expected, phone, source("other-device")]))
	is_cross_platform(on_an_app, "L4a", "user-cross-platform-pk-high-confidence")
	on_an_app.preferImmediatelyAvailable == false
}

test_l4a_whatever_failed_here if {
	given := answer(together([expected, phone, source("other-device"), failed_cda(5), failed_local(5), barred_softly]))
	is_cross_platform(given, "L4a", "user-cross-platform-pk-high-confidence")
	answer(together([possible, phone, source("other-device")])).hints == ["hybrid"]
}

test_l4a_a_security_key_is_another_device if {
	key := {"credentials": {"securityKey": 1}}
	is_security_key(answer(together([expected, key, source("other-device")])), "L4a", "user-security-key")
	answer(together([expected, key, phone, source("other-device")])).hints == ["hybrid", "security-key"]
	denied := answer_under({"securityKeyLogin": "deny"}, together([expected, key, source("other-device")]))
	is_denied(denied, "L4a", "user-env-no-pks")
	answer_under({"securityKeyLogin": "deny"}, together([expected, key, phone, source("other-device")])).hints == ["hybrid"]
}

test_l4a_there_is_none if {
	is_denied(answer(together([expected, source("other-device")])), "L4a", "user-env-no-pks")
	is_denied(answer(together([expected, source("other-device"), positive("local")])), "L4a", "user-env-no-pks")
	is_denied(answer(together([expected, phone, source("other-device"), blacklisted])), "L4", "user-login-blacklisted")
	is_denied(answer(together([expected, phone, source("other-device"), barred])), "L1a", "env-blacklisted")
}

test_l12b_what_users_press_is_not_barred_by_failures if {
	every source_name in ["one-tap", "button"] {
		given := answer(together([app, expected, failed_local(2), source(source_name)]))
		is_local(given, "L12b", "user-platform-pk-high-confidence")
		given.preferImmediatelyAvailable == false
	}
	is_denied(answer(together([expected, failed_local(2), source("text-field")])), "L7a", "user-negative-env-history")
	is_denied(answer(together([expected, failed_local(2), source("error-hard")])), "L7a", "user-negative-env-history")
	is_local(answer(together([possible, failed_local(2), source("button")])), "L12b", "user-platform-pk-high-confidence")
}

test_l12b_the_other_routes if {
	only_a_phone := together([nowhere, phone, failed_cda(2)])
	is_denied(answer(only_a_phone), "L7b", "user-negative-env-history")
	is_cross_platform(answer(together([only_a_phone, source("button")])), "L12b", "user-cross-platform-pk-high-confidence")
	only_a_key := together([key_only, failed_key(2)])
	is_denied(answer(only_a_key), "L7c", "user-negative-env-history")
	is_security_key(answer(together([only_a_key, source("button")])), "L12b", "user-security-key")
	is_denied(answer(together([nowhere, source("button")])), "L13", "user-env-no-pks")
}

test_l12b_a_way_that_has_not_failed_comes_first if {
	given := answer(together([expected, phone, failed_local(2), source("button")]))
	is_cross_platform(given, "L10", "user-cross-platform-pk-high-confidence")
}

test_l12b_which_sources_is_a_parameter if {
	after_an_error := answer_under({"explicitSources": ["error-hard"]}, together([expected, failed_local(2), source("error-hard")]))
	is_local(after_an_error, "L12b", "user-platform-pk-high-confidence")
	by_the_button := answer_under({"explicitSources": []}, together([expected, failed_local(2), source("button")]))
	is_denied(by_the_button, "L7a", "user-negative-env-history")
}

test_one_tap_names_every_passkey if {
	answer(together([expected, source("one-tap")])).credentials == ["likely", "uncertain", "remote", "security-key", "none"]
	answer(together([expected, minimize, source("one-tap")])).credentials == ["likely", "uncertain"]
	no_keys := answer_under({"securityKeyLogin": "deny"}, together([expected, source("one-tap")]))
	no_keys.credentials == ["likely", "uncertain", "remote", "none"]
	answer(together([expected, source("text-field")])).credentials == all_reachable
}

test_name_all_passkeys_leaves_none_out if {
	everything := ["likely", "uncertain", "remote", "security-key", "none"]
	answer_under({"nameAllPasskeys": "always"}, expected).credentials == everything
	answer_under({"nameAllPasskeys": "always"}, together([expected, minimize])).credentials == everything
	answer_under({"nameAllPasskeys": "always", "securityKeyLogin": "deny"}, expected).credentials == ["likely", "uncertain", "remote", "none"]
	at_a_phone := answer_under({"nameAllPasskeys": "always"}, together([nowhere, phone]))
	at_a_phone.credentials == ["remote", "likely", "uncertain", "security-key", "none"]
	answer_under({"nameAllPasskeys": "always"}, key_only).credentials == ["security-key", "likely", "uncertain", "remote", "none"]
}

test_name_all_passkeys_in_apps if {
	in_app := answer_under({"nameAllPasskeys": "apps"}, together([app, expected]))
	in_app.credentials == ["likely", "uncertain", "remote", "security-key", "none"]
	in_app.preferImmediatelyAvailable == true
	answer_under({"nameAllPasskeys": "apps"}, together([expected, source("text-field")])).credentials == all_reachable
	answer(together([app, expected])).credentials == all_reachable
}

test_immediately_available_not_if_asked_for if {
	answer(together([app, source("text-field")])).preferImmediatelyAvailable == true
	answer(together([app, source("button")])).preferImmediatelyAvailable == false
	on := answer_under({"webImmediate": true}, together([{"support": {"immediateGet": true}}, source("button")]))
	on.preferImmediatelyAvailable == false
	on.credentials == all_reachable
}

test_l13_not_reachable if {
	is_denied(answer(elsewhere), "L13", "user-env-no-pks")
	is_denied(answer(nowhere), "L13", "user-env-no-pks")
}

test_immediately_available_in_an_app if {
	given := answer(app)
	is_local(given, "L9", "user-platform-pk-high-confidence")
	given.preferImmediatelyAvailable == true
	given.credentials == all_reachable
	answer(together([app, possible])).preferImmediatelyAvailable == false
	answer(together([app, positive("local")])).preferImmediatelyAvailable == true
	answer(together([app, {"client": {"privateMode": true}}])).preferImmediatelyAvailable == true
}

test_immediately_available_not_for_other_routes if {
	is_cross_platform(answer(together([app, positive("cda")])), "L6", "user-positive-env-history")
	is_security_key(answer(together([app, positive_key])), "L6", "user-positive-env-history")
}

test_immediately_available_not_after_a_security_key if {
	given := answer(together([app, positive_key, failed_key(2)]))
	is_local(given, "L9", "user-platform-pk-high-confidence")
	given.preferImmediatelyAvailable == false
}

test_immediately_available_on_the_web_by_switch_and_capability if {
	able := {"support": {"immediateGet": true}}
	answer(able).preferImmediatelyAvailable == false
	on := answer_under({"webImmediate": true}, able)
	on.preferImmediatelyAvailable == true
	on.credentials == []
	on.hints == ["client-device"]
	unable := answer_under({"webImmediate": true}, {})
	unable.preferImmediatelyAvailable == false
	unable.credentials == all_reachable
	private := answer_under({"webImmediate": true}, together([able, {"client": {"privateMode": true}}]))
	private.preferImmediatelyAvailable == false
	private.credentials == all_reachable
	after_key := answer_under({"webImmediate": true}, together([able, positive_key, failed_key(2)]))
	after_key.preferImmediatelyAvailable == false
	after_key.credentials == all_reachable
	sparing := answer_under({"webImmediate": true}, together([able, minimize]))
	sparing.credentials == []
}

test_immediately_available_apps_keep_their_list if {
	given := answer_under({"webImmediate": true}, together([app, {"support": {"immediateGet": true}}]))
	given.preferImmediatelyAvailable == true
	given.credentials == all_reachable
}

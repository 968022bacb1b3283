package keyward.login_test

import data.keyward.login

# A Mac in a known environment without history, and an account with one passkey that is expected here.
facts := {
	"complete": true,
	"account": "active",
	"strategy": "standard",
	"client": {"os": "macos", "osVersion": 15, "browser": "safari", "native": false, "mobile": false, "desktop": true, "privateMode": false, "webdriver": false},
	"support": {"webauthn": true, "uvpa": true, "ble": "on", "conditionalGet": true, "conditionalCreate": true, "hybrid": "yes", "immediateGet": false},
	"environment": {"known": true, "rejected": false, "listed": "none"},
	"credentials": {"total": 1, "likely": 1, "uncertain": 0, "remote": 0, "securityKey": 0},
	"cda": {"client": true, "remoteHigh": false, "remoteLow": false, "route": false},
	"securityKeyOnly": false,
	"pair": {
		"localStreak": 0, "cdaStreak": 0, "securityKeyStreak": 0, "noCredentials": false, "lastFailedRoute": "",
		"positive": false, "lastRoute": "", "positiveSecurityKey": false, "existsHere": false, "createdHere": false,
	},
	"blacklist": {"login": false, "appendAfterHybrid": false, "appendAfterError": false},
}

# Less than any row but the last can do with.
incomplete := {"complete": true, "account": "active", "support": {"webauthn": true, "uvpa": true}}

# What the tests are written for. They test rules, so a figure that somebody changes in data.json must not fail them.
parameters := object.union(data.keyward.parameters, {"streakThreshold": 2, "webImmediate": false})

answer(changes) := answer_under({}, changes)

answer_under(overrides, changes) := result if {
	figures := object.union(parameters, overrides)
	result := login.decision with input as object.union(facts, changes) with data.keyward.parameters as figures
}

positive(route) := {"pair": {"positive": true, "lastRoute": route}}

elsewhere := {"total": 1, "likely": 0, "uncertain": 0, "remote": 1, "securityKey": 0}

is_denied(given, row, tag) if {
	given.rule == row
	given.tag == tag
	given.allow == false
	given.route == ""
	given.isCDACandidate == false
	given.preferImmediatelyAvailable == false
	given.credentials == []
	given.hints == []
}

is_allowed(given, row, tag, route) if {
	given.rule == row
	given.tag == tag
	given.allow == true
	given.route == route
}

test_default_denies_what_no_row_answers if is_denied(login.decision, "L14", "default-deny") with input as incomplete

test_l0_lookup_failed if is_denied(answer({"complete": false}), "L0", "default-deny")

test_l0_before_l1 if is_denied(answer({"complete": false, "support": {"webauthn": false}}), "L0", "default-deny")

test_l0_account_not_active if {
	is_denied(answer({"account": "disabled"}), "L0", "default-deny")
	is_denied(answer({"account": "pending"}), "L0", "default-deny")
}

test_l1_no_webauthn if is_denied(answer({"support": {"webauthn": false}}), "L1", "env-no-pk-support")

test_l2_no_way_to_a_passkey if {
	is_denied(answer({"support": {"uvpa": false}, "credentials": elsewhere}), "L2", "env-no-platform-pk-support")
}

test_l2_not_with_an_open_cda_route if {
	given := answer({"support": {"uvpa": false}, "credentials": elsewhere, "cda": {"remoteHigh": true, "route": true}})
	given.rule != "L2"
}

test_l2_not_with_a_security_key if {
	given := answer({"support": {"uvpa": false}, "credentials": {"likely": 0, "securityKey": 1}})
	given.rule != "L2"
}

test_l2_not_with_a_likely_passkey if {
	is_allowed(answer({"support": {"uvpa": false}}), "L9", "user-platform-pk-high-confidence", "local")
}

test_l3_no_passkeys if is_denied(answer({"credentials": {"total": 0, "likely": 0}}), "L3", "user-no-pks")

test_l3_unknown_user_answers_alike if {
	is_denied(answer({"account": "unknown", "credentials": {"total": 0, "likely": 0}}), "L3", "user-no-pks")
}

test_l4_blacklisted if is_denied(answer({"blacklist": {"login": true}}), "L4", "user-login-blacklisted")

test_l4_before_l6 if {
	is_denied(answer(object.union({"blacklist": {"login": true}}, positive("local"))), "L4", "user-login-blacklisted")
}

test_l6_worked_here if {
	given := answer(positive("local"))
	is_allowed(given, "L6", "user-positive-env-history", "local")
	given.credentials == ["likely", "uncertain", "remote", "security-key"]
	given.hints == ["client-device"]
	given.isCDACandidate == false
	given.preferImmediatelyAvailable == false
}

test_l6_over_cda if {
	given := answer(object.union({"credentials": elsewhere}, positive("cda")))
	is_allowed(given, "L6", "user-positive-env-history", "cda")
	given.credentials == ["remote", "likely", "uncertain", "security-key"]
	given.hints == ["hybrid"]
	given.isCDACandidate == true
}

test_l6_over_cda_hints_at_both_with_an_uncertain_passkey if {
	given := answer(object.union({"credentials": {"likely": 0, "uncertain": 1}}, positive("cda")))
	given.rule == "L6"
	given.hints == ["hybrid", "client-device"]
}

test_l6_over_cda_does_not_match_under_minimize if {
	given := answer(object.union({"strategy": "minimize", "credentials": elsewhere}, positive("cda")))
	is_denied(given, "L13", "user-env-no-pks")
}

test_l6_over_cda_needs_a_cda_client if {
	given := answer(object.union({"credentials": elsewhere, "cda": {"client": false}}, positive("cda")))
	is_denied(given, "L13", "user-env-no-pks")
}

test_l6_with_a_security_key if {
	given := answer(object.union({"credentials": {"likely": 0, "securityKey": 1}}, positive("security-key")))
	is_allowed(given, "L6", "user-positive-env-history", "security-key")
	given.credentials == ["security-key", "likely", "uncertain", "remote"]
	given.hints == ["security-key"]
}

test_l6_with_a_security_key_under_minimize if {
	given := answer(object.union({"strategy": "minimize"}, positive("security-key")))
	given.credentials == ["security-key"]
}

test_l6_one_failure_is_forgiven if {
	given := answer(object.union({"pair": {"localStreak": 1, "lastFailedRoute": "local"}}, positive("local")))
	given.rule == "L6"
}

test_l6_not_while_its_route_fails if {
	local := object.union({"pair": {"localStreak": 2, "lastFailedRoute": "local"}}, positive("local"))
	is_denied(answer(local), "L7a", "user-negative-env-history")
	cda := object.union({"pair": {"cdaStreak": 2, "lastFailedRoute": "cda"}}, positive("cda"))
	answer(cda).rule == "L9"
	key := object.union({"pair": {"securityKeyStreak": 2, "lastFailedRoute": "security-key"}}, positive("security-key"))
	answer(key).rule == "L9"
}

test_l7a_two_failures if {
	is_denied(answer({"pair": {"localStreak": 2, "lastFailedRoute": "local"}}), "L7a", "user-negative-env-history")
}

test_l7a_threshold_is_a_parameter if {
	changes := {"pair": {"localStreak": 2, "lastFailedRoute": "local"}}
	given := answer_under({"streakThreshold": 3}, changes)
	given.rule == "L9"
}

test_l7a_local_failures_count_without_a_local_passkey if {
	changes := {"pair": {"localStreak": 2, "lastFailedRoute": "local"}, "credentials": elsewhere}
	is_denied(answer(changes), "L7a", "user-negative-env-history")
}

test_l7a_not_for_another_route_without_a_local_passkey if {
	changes := {"pair": {"localStreak": 2, "lastFailedRoute": "cda"}, "credentials": elsewhere}
	is_denied(answer(changes), "L13", "user-env-no-pks")
}

test_l7a_maximize_leaves_room_for_another_device if {
	failed := {"strategy": "maximize", "pair": {"localStreak": 2, "lastFailedRoute": "local"}}
	high := object.union(failed, {"cda": {"remoteHigh": true, "route": true}})
	is_denied(answer(high), "L13", "user-env-no-pks")
	low := object.union(failed, {"cda": {"remoteLow": true, "route": true}})
	is_denied(answer(low), "L13", "user-env-no-pks")
	tired := object.union(high, {"pair": {"cdaStreak": 2}})
	is_denied(answer(tired), "L7a", "user-negative-env-history")
	none := object.union(high, {"cda": {"client": false}})
	is_denied(answer(none), "L7a", "user-negative-env-history")
}

test_l9_expected_here if {
	given := answer({})
	is_allowed(given, "L9", "user-platform-pk-high-confidence", "local")
	given.credentials == ["likely", "uncertain", "remote", "security-key"]
	given.hints == ["client-device"]
}

test_l9_minimize_names_local_passkeys_only if {
	given := answer({"strategy": "minimize"})
	given.credentials == ["likely", "uncertain"]
	given.hints == ["client-device"]
}

test_l9_maximize_hints_at_other_devices_too if answer({"strategy": "maximize"}).hints == ["client-device", "hybrid"]

test_l13_not_reachable if is_denied(answer({"credentials": elsewhere}), "L13", "user-env-no-pks")

test_immediately_available_in_an_app if {
	answer({"client": {"native": true}}).preferImmediatelyAvailable == true
	answer({"client": {"native": true}}).credentials == ["likely", "uncertain", "remote", "security-key"]
}

test_immediately_available_not_for_other_routes if {
	app := {"client": {"native": true}}
	answer(object.union(app, positive("cda"))).preferImmediatelyAvailable == false
	answer(object.union(app, positive("security-key"))).preferImmediatelyAvailable == false
}

test_immediately_available_not_after_a_security_key if {
	changes := {"client": {"native": true}, "pair": {"positive": true, "lastRoute": "security-key", "securityKeyStreak": 2}}
	given := answer(changes)
	given.rule == "L9"
	given.preferImmediatelyAvailable == false
}

test_immediately_available_on_the_web_by_switch_and_capability if {
	able := {"support": {"immediateGet": true}}
	answer(able).preferImmediatelyAvailable == false
	on := answer_under({"webImmediate": true}, able)
	on.preferImmediatelyAvailable == true
	on.credentials == []
	unable := answer_under({"webImmediate": true}, {})
	unable.preferImmediatelyAvailable == false
	private := answer_under({"webImmediate": true}, object.union(able, {"client": {"privateMode": true}}))
	private.preferImmediatelyAvailable == false
}

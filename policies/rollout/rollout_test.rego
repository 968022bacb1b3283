package keyward.rollout_test

import data.keyward.rollout

facts := {
	"complete": true,
	"client": {"os": "ios", "osVersion": 18, "browser": "safari", "native": false, "mobile": true, "desktop": false, "privateMode": false, "webdriver": false},
	"support": {"webauthn": true, "uvpa": true, "ble": "on", "conditionalGet": true, "conditionalCreate": true, "hybrid": "yes", "immediateGet": false},
	"environment": {"known": true, "rejected": false, "listed": "none"},
	"rollout": {"action": "login", "identifier": "none", "invitation": "", "browserVersion": 18, "samples": {}, "flags": {}},
}

base := {
	"killSwitch": {"login": false, "append": false, "manage": false},
	"rules": {},
	"invitations": {},
	"requireAllowlistedIdentifier": false,
	"allowedIdentifiers": [],
	"allowedDomains": [],
}

answer(parameters, changes) := result if {
	result := rollout.decision with input as object.union(facts, changes)
		with data.keyward.parameters.rollout as object.union(base, parameters)
}

# ruled is the answer to a client when there is one rule, called "rule", that bars whom its conditions fit.
ruled(conditions, changes) := answer({"rules": {"rule": object.union({"salience": 0, "verdict": "block"}, conditions)}}, changes)

barred := {"rule": "R2", "allow": false, "tag": "rollout-rule-blocked", "reason": "rule"}

allowed := {"rule": "R5", "allow": true, "tag": "rollout-allowed", "reason": ""}

test_r6_default_answers_what_no_row_does if {
	rollout.decision == {"rule": "R6", "allow": false, "tag": "default-deny", "reason": ""} with input as facts
		with rollout.rollout_allowed as false
		with data.keyward.parameters.rollout as base
}

test_r0_lookup_failed if answer({}, {"complete": false}) == {"rule": "R0", "allow": false, "tag": "default-deny", "reason": ""}

test_r0_no_facts if {
	rollout.decision.rule == "R0" with input as {}
}

test_r0_any_fact_that_is_missing if {
	every path in [
		"complete", "client/os", "client/osVersion", "client/browser", "client/webdriver", "rollout/action", "rollout/identifier",
		"rollout/invitation", "rollout/browserVersion", "rollout/samples", "rollout/flags",
	] {
		less := json.remove(facts, [path])
		result := rollout.decision with input as less
		result.rule == "R0"
		result.allow == false
	}
}

test_r0_an_unknown_action if answer({}, {"rollout": {"action": "delete"}}).rule == "R0"

test_r1_kill_switch if {
	answer({"killSwitch": {"append": true}}, {"rollout": {"action": "append"}}) == {"rule": "R1", "allow": false, "tag": "rollout-kill-switch", "reason": ""}
}

test_r1_other_actions_stay_on if {
	answer({"killSwitch": {"append": true}}, {}) == allowed
	answer({"killSwitch": {"append": true}}, {"rollout": {"action": "manage"}}) == allowed
}

test_r1_wins_over_rules_and_lists if {
	rules := {"all": {"salience": 0, "verdict": "allow"}}
	answer({"killSwitch": {"login": true}, "rules": rules}, {"rollout": {"identifier": "listed"}}).rule == "R1"
}

test_r2_a_rule_without_conditions if ruled({}, {}) == barred

test_r2_wins_over_the_list if {
	answer({"rules": {"rule": {"salience": 0, "verdict": "block"}}, "requireAllowlistedIdentifier": true}, {"rollout": {"identifier": "unlisted"}}) == barred
}

test_r2_actions if {
	ruled({"actions": ["append", "manage"]}, {}) == allowed
	ruled({"actions": ["append", "manage"]}, {"rollout": {"action": "manage"}}) == barred
}

test_r2_os if {
	ruled({"os": ["android", "ios"]}, {}) == barred
	ruled({"os": ["android"]}, {}) == allowed
}

test_r2_browsers if {
	ruled({"browsers": ["safari"]}, {}) == barred
	ruled({"browsers": ["chrome", "edge"]}, {}) == allowed
}

test_r2_os_version_at_least if {
	ruled({"osVersion": {"atLeast": 18}}, {}) == barred
	ruled({"osVersion": {"atLeast": 19}}, {}) == allowed
}

test_r2_os_version_at_most if {
	ruled({"osVersion": {"atMost": 18}}, {}) == barred
	ruled({"osVersion": {"atMost": 17}}, {}) == allowed
}

test_r2_os_version_between if {
	ruled({"osVersion": {"atLeast": 16, "atMost": 18}}, {}) == barred
	ruled({"osVersion": {"atLeast": 16, "atMost": 17}}, {}) == allowed
	ruled({"osVersion": {"atLeast": 19, "atMost": 20}}, {}) == allowed
}

test_r2_an_unknown_version_is_in_no_range if {
	ruled({"osVersion": {"atMost": 18}}, {"client": {"osVersion": 0}}) == allowed
	ruled({"browserVersion": {"atLeast": 0}}, {"rollout": {"browserVersion": 0}}) == allowed
}

test_r2_browser_version if {
	ruled({"browserVersion": {"atMost": 18}}, {}) == barred
	ruled({"browserVersion": {"atMost": 17}}, {}) == allowed
}

test_r2_webdriver if {
	ruled({"webdriver": true}, {"client": {"webdriver": true}}) == barred
	ruled({"webdriver": true}, {}) == allowed
	ruled({"webdriver": false}, {}) == barred
}

test_r2_invitations if {
	ruled({"invitations": ["friends"]}, {"rollout": {"invitation": "friends"}}) == barred
	ruled({"invitations": ["friends"]}, {"rollout": {"invitation": "press"}}) == allowed
	ruled({"invitations": ["friends"]}, {}) == allowed
}

test_r2_flags if {
	ruled({"flags": {"beta": "on"}}, {"rollout": {"flags": {"beta": "on", "shop": "de"}}}) == barred
	ruled({"flags": {"beta": "on"}}, {"rollout": {"flags": {"beta": "off"}}}) == allowed
	ruled({"flags": {"beta": "on"}}, {}) == allowed
}

test_r2_all_conditions_have_to_hold if {
	ruled({"os": ["ios"], "browsers": ["safari"], "webdriver": false}, {}) == barred
	ruled({"os": ["ios"], "browsers": ["safari"], "webdriver": true}, {}) == allowed
	ruled({"os": ["macos"], "browsers": ["safari"], "webdriver": false}, {}) == allowed
}

test_r2_the_highest_salience_decides if {
	rules := {"low": {"salience": -5, "verdict": "allow"}, "high": {"salience": 5, "verdict": "block"}, "none": {"salience": 9, "verdict": "allow", "os": ["macos"]}}
	answer({"rules": rules}, {}) == object.union(barred, {"reason": "high"})
}

test_r2_of_equals_the_first_by_name_decides if {
	rules := {"b": {"salience": 1, "verdict": "allow"}, "a": {"salience": 1, "verdict": "block"}}
	answer({"rules": rules}, {}).reason == "a"
}

sampling := {"rules": {"few": {"salience": 1, "verdict": "sample", "share": 1000}, "rest": {"salience": 0, "verdict": "allow"}}}

test_r3_sampled_out if {
	result := answer(sampling, {"rollout": {"samples": {"few": "control"}}})
	result == {"rule": "R3", "allow": false, "tag": "rollout-sampled-out", "reason": "few"}
}

test_r3_a_sample_that_is_not_told_holds_nobody if answer(sampling, {}).rule == "R3"

test_r3_sampled_in if {
	answer(sampling, {"rollout": {"samples": {"few": "treatment"}}}) == object.union(allowed, {"reason": "few"})
}

test_r3_samples_of_rules_that_do_not_decide_do_not_matter if {
	rules := {"few": {"salience": 0, "verdict": "sample", "share": 1000}, "all": {"salience": 1, "verdict": "allow"}}
	answer({"rules": rules}, {"rollout": {"samples": {"few": "control"}}}) == object.union(allowed, {"reason": "all"})
}

listing := {"requireAllowlistedIdentifier": true}

test_r4_not_listed if {
	result := answer(listing, {"rollout": {"identifier": "unlisted"}})
	result == {"rule": "R4", "allow": false, "tag": "rollout-identifier-not-listed", "reason": ""}
}

test_r4_a_rule_that_lets_in_does_not_list if {
	rules := {"all": {"salience": 0, "verdict": "allow"}}
	answer(object.union(listing, {"rules": rules}), {"rollout": {"identifier": "unlisted"}}).rule == "R4"
}

test_r4_listed if answer(listing, {"rollout": {"identifier": "listed"}}) == allowed

test_r4_nobody_named if answer(listing, {}) == allowed

test_r4_nothing_required if answer({}, {"rollout": {"identifier": "unlisted"}}) == allowed

test_r5_without_rules_everything_is_allowed if {
	every action in ["login", "append", "manage"] {
		every identifier in ["none", "unlisted", "listed"] {
			answer({}, {"rollout": {"action": action, "identifier": identifier}}) == allowed
		}
	}
}

test_r5_a_rule_that_lets_in if {
	answer({"rules": {"all": {"salience": 0, "verdict": "allow"}}}, {}) == object.union(allowed, {"reason": "all"})
}

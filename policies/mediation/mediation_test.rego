package keyward.mediation_test

import data.keyward.mediation

facts := {
	"complete": true,
	"client": {"os": "macos", "osVersion": 15, "browser": "safari", "native": false, "mobile": false, "desktop": true, "privateMode": false, "webdriver": false},
	"support": {"webauthn": true, "uvpa": true, "ble": "on", "conditionalGet": true, "conditionalCreate": true, "hybrid": "yes", "immediateGet": false},
	"environment": {"known": true, "rejected": false, "listed": "none"},
}

# Less than any row but the last can do with.
incomplete := {"complete": true, "support": {"webauthn": true, "conditionalGet": true}}

answer(changes) := result if {
	result := mediation.decision with input as object.union(facts, changes)
}

test_default_denies_what_no_row_answers if {
	mediation.decision == {"rule": "M5", "allow": false, "tag": "default-deny"} with input as incomplete
}

test_m0_lookup_failed if answer({"complete": false}) == {"rule": "M0", "allow": false, "tag": "default-deny"}

test_m1_no_webauthn if {
	answer({"support": {"webauthn": false}}) == {"rule": "M1", "allow": false, "tag": "env-no-pk-support"}
}

test_m2_no_autofill if {
	answer({"support": {"conditionalGet": false}}) == {"rule": "M2", "allow": false, "tag": "env-no-platform-pk-support"}
}

test_m3_barred if {
	answer({"environment": {"listed": "restricted-browser"}}) == {"rule": "M3", "allow": false, "tag": "env-blacklisted"}
}

test_m4_offered if answer({}) == {"rule": "M4", "allow": true, "tag": "user-platform-pk-high-confidence"}

package keyward.risk_test

import data.keyward.risk

facts := {
	"complete": true,
	"stage": "login-start", "action": "passkey-login", "project": {"id": "pro-1"},
	"client": {
		"os": "macos", "osVersion": 15, "browser": "safari", "native": false, "mobile": false, "desktop": true,
		"privateMode": false, "webdriver": false,
	},
	"support": {
		"webauthn": true, "uvpa": true, "ble": "on", "conditionalGet": true, "conditionalCreate": true, "hybrid": "yes",
		"immediateGet": false,
	},
	"environment": {"known": true, "rejected": false, "listed": "none"},
	"request": {
		"family": "ipv4", "scope": "public", "hourUTC": 14, "weekdayUTC": 3, "bot": "none", "hour": 15, "weekday": 3,
		"agent": "consistent",
	},
	"familiar": {"environment": "seen", "network": "seen", "successes": 1},
	"user": {"status": "active", "ageHours": 8760, "passkeys": 1, "passkeyAddedHours": 4320, "passkeyRemovedHours": 99999},
}

# What the tests are written for. They test rules, so a figure that somebody changes in data.json must not fail them.
figures := {
	"maxSessionSeconds": 3600, "retrySeconds": 900,
	"freshAccountHours": 24, "freshPasskeyHours": 1, "fraudHours": 720,
	"sensitiveActions": ["payment"], "externalScore": 80,
	"userFailures": 5, "userEnvironments": 5, "addressFailures": 20, "addressUsers": 8, "networkUsers": 20, "projectFailures": 1000,
	"environmentUsers": 4,
	"allowedAaguids": [], "deniedAaguids": [], "requireAal": {},
	"blockedLists": [], "riskyLists": [], "blockedCountries": [], "allowedCountries": [],
	"travelKmh": 800, "travelMinKm": 250,
	"severities": {},
	"officeHours": {"labels": [], "from": 7, "to": 20, "days": [1, 2, 3, 4, 5]},
}

# Of the reasons, by what they are about.
grades := {
	"request": {
		"blocked-address": 4, "blocked-country": 4,
		"address-spray": 3, "address-velocity": 3, "automation": 3, "impossible-travel": 3, "user-velocity": 3,
		"bot": 2, "deceptive-agent": 2, "network-spray": 2, "new-country": 2, "outside-hours": 2, "project-attack": 2, "risky-network": 2,
		"incomplete": 1, "new-environment": 1, "new-network": 1, "private-window": 1,
	},
	"user": {
		"external-score": 3, "fraud-confirmed": 3, "fresh-passkey": 3, "many-environments": 2, "sensitive-action": 2, "fresh-account": 1,
		"shared-computer": 1,
	},
	"credential": {
		"denied-authenticator": 4, "revoked-authenticator": 4, "assurance-low": 3, "backup-changed": 3, "compromised-authenticator": 3,
		"counter-regressed": 3, "counter-reset": 2,
	},
}

graded := {reason: {"about": about, "severity": severity} |
	some about, severities in grades
	some reason, severity in severities
}

judged(situation, changed) := result if {
	result := risk.decision with input as situation
		with data.keyward.parameters.risk as object.union(figures, changed)
		with data.keyward.reasons as graded
}

test_default_answers_what_no_row_does if {
	brief(judged({"complete": true}, {})) == {"rule": "R6", "action": "allow", "level": "low", "reasons": []}
}

brief(decision) := object.filter(decision, {"rule", "action", "level", "reasons"})

answer(changes) := brief(judged(object.union(facts, changes), {}))

# With other severities than those of the reasons.
graver(severities, changes) := brief(judged(object.union(facts, changes), {"severities": severities}))

reasons(changes) := answer(changes).reasons

unfamiliar := {"familiar": {"environment": "new", "network": "new"}}

test_r1_a_bar if {
	graver({"new-network": 4}, unfamiliar) == {"rule": "R1", "action": "deny", "level": "high", "reasons": ["new-environment", "new-network"]}
}

test_r2_grave if {
	answer({"request": {"bot": "automation"}}) == {"rule": "R2", "action": "challenge", "level": "high", "reasons": ["automation"]}
}

test_r3_two_that_ask_for_a_look if {
	graver({"new-network": 2, "new-environment": 2}, unfamiliar) == {
		"rule": "R3", "action": "challenge", "level": "medium", "reasons": ["new-environment", "new-network"],
	}
}

test_r4_one_that_does if answer({"request": {"bot": "tool"}}) == {"rule": "R4", "action": "review", "level": "medium", "reasons": ["bot"]}

test_r5_nothing if answer({}) == {"rule": "R5", "action": "allow", "level": "low", "reasons": []}

test_r5_what_is_noted if {
	answer(unfamiliar) == {"rule": "R5", "action": "allow", "level": "low", "reasons": ["new-environment", "new-network"]}
}

test_r5_nobody_is_known_yet if {
	known := {"familiar", "user"}
	brief(judged(object.remove(facts, known), {})) == {"rule": "R5", "action": "allow", "level": "low", "reasons": []}
}

test_automation if {
	reasons({"request": {"bot": "headless"}}) == ["automation"]
	reasons({"request": {"bot": "automation"}}) == ["automation"]
}

test_bot if {
	reasons({"request": {"bot": "declared"}}) == ["bot"]
	reasons({"request": {"bot": "tool"}}) == ["bot"]
}

test_new_environment if {
	reasons({"familiar": {"environment": "new"}}) == ["new-environment"]
	reasons({"familiar": {"environment": "unknown"}}) == []
}

test_new_network if {
	reasons({"familiar": {"network": "new"}}) == ["new-network"]
	reasons({"familiar": {"network": "unknown"}}) == []
}

test_fresh_account if {
	reasons({"user": {"ageHours": 12}}) == ["fresh-account"]
	reasons({"user": {"ageHours": 24}}) == []
}

test_private_window if reasons({"client": {"privateMode": true}}) == ["private-window"]

test_incomplete if reasons({"complete": false}) == ["incomplete"]

test_counters_that_are_incomplete if reasons({"velocity": {"complete": false}}) == ["incomplete"]

# With a counter of so much.
counted(counter, much) := reasons({"velocity": {counter: much}})

test_user_velocity if {
	counted("userFailures", 5) == ["user-velocity"]
	counted("userFailures", 4) == []
	answer({"velocity": {"userFailures": 5}}).rule == "R2"
}

test_address_velocity if {
	counted("addressFailures", 20) == ["address-velocity"]
	counted("addressFailures", 19) == []
}

test_address_spray if {
	counted("addressUsers", 8) == ["address-spray"]
	counted("addressUsers", 7) == []
}

test_network_spray if {
	counted("networkUsers", 20) == ["network-spray"]
	counted("networkUsers", 19) == []
	answer({"velocity": {"networkUsers": 20}}).rule == "R4"
}

test_project_attack if {
	counted("projectFailures", 1000) == ["project-attack"]
	counted("projectFailures", 999) == []
}

test_many_environments if {
	counted("userEnvironments", 5) == ["many-environments"]
	counted("userEnvironments", 4) == []
}

test_shared_computer if {
	reasons({"environment": {"users": 4}}) == ["shared-computer"]
	reasons({"environment": {"users": 3}}) == []
	answer({"environment": {"users": 64}}).rule == "R5"
}

test_deceptive_agent if {
	reasons({"request": {"agent": "contradicting"}}) == ["deceptive-agent"]
	reasons({"request": {"agent": "unknown"}}) == []
}

# With working hours of the staff.
at(hour, weekday, labels) := result if {
	changes := {"request": {"hour": hour, "weekday": weekday}, "user": {"labels": labels}}
	result := judged(object.union(facts, changes), {"officeHours": {"labels": ["staff"]}}).reasons
}

test_outside_hours if {
	at(6, 3, {"staff": true}) == ["outside-hours"]
	at(7, 3, {"staff": true}) == []
	at(19, 3, {"staff": true}) == []
	at(20, 3, {"staff": true}) == ["outside-hours"]
	at(12, 6, {"staff": true}) == ["outside-hours"]
	at(6, 3, {"staff": false}) == []
	at(6, 3, {}) == []
}

# With working hours that go on after midnight.
at_night(hours, hour, weekday) := result if {
	changes := {"request": {"hour": hour, "weekday": weekday}, "user": {"labels": {"staff": true}}}
	result := judged(object.union(facts, changes), {"officeHours": object.union({"labels": ["staff"]}, hours)}).reasons
}

test_outside_hours_of_a_night if {
	night := {"from": 22, "to": 6}
	at_night(night, 22, 5) == []
	at_night(night, 23, 1) == []
	at_night(night, 21, 3) == ["outside-hours"]
	at_night(night, 6, 3) == ["outside-hours"]
	at_night(night, 5, 3) == []
	at_night(night, 5, 6) == [] # Friday's
	at_night(night, 5, 1) == ["outside-hours"] # Sunday's
	at_night(night, 22, 6) == ["outside-hours"]
	every hour in numbers.range(0, 23) {
		at_night({"from": 8, "to": 8, "days": [1, 2, 3, 4, 5, 6, 7]}, hour, 3) == []
	}
}

# At the end of a login with the passkey.
finished(changes) := object.union(
	facts,
	object.union(
		{"stage": "login-finish", "used": {
			"aaguid": "fbfc3007-154e-4ecc-8c0b-6e020557d7bd", "class": "apple", "ageHours": 4320, "backup": "backed-up", "uv": true, "aal": 2,
			"usedHours": 48, "route": "local", "counter": "none", "backupChanged": "none",
		}},
		changes,
	),
)

at_finish(changes) := brief(judged(finished(changes), {}))

test_r5_a_finish if at_finish({}) == {"rule": "R5", "action": "allow", "level": "low", "reasons": []}

test_a_verified_user_answers_what_speaks_against_the_request if {
	robot := {"request": {"bot": "automation"}}
	at_finish(robot).rule == "R4"
	at_finish(object.union(robot, {"used": {"uv": false}})).rule == "R2"
	barred := judged(finished(robot), {"severities": {"automation": 4}})
	barred.rule == "R1"
}

test_counter_regressed if {
	at_finish({"used": {"counter": "regressed"}}) == {"rule": "R2", "action": "challenge", "level": "high", "reasons": ["counter-regressed"]}
	at_finish({"used": {"counter": "ok"}}).reasons == []
}

test_counter_reset if at_finish({"used": {"counter": "reset"}}).reasons == ["counter-reset"]

test_fresh_passkey if {
	fresh := {"used": {"ageHours": 0}}
	at_finish(object.union(fresh, {"user": {"passkeys": 2}})).reasons == ["fresh-passkey"]
	at_finish(object.union(fresh, {"user": {"passkeys": 1}})).reasons == []
	at_finish({"used": {"ageHours": 1}, "user": {"passkeys": 2}}).reasons == []
	at_finish(object.union(fresh, {"user": {"passkeys": 2, "ageHours": 12}})).reasons == ["fresh-account"]
}

key := "2fc0579f-8113-47ea-b116-bb5a8db9202a"

test_denied_authenticator if {
	only := judged(finished({}), {"allowedAaguids": [key]}).reasons
	only == ["denied-authenticator"]
	it := judged(finished({"used": {"aaguid": key}}), {"allowedAaguids": [key]}).reasons
	it == []
	not_it := judged(finished({"used": {"aaguid": key}}), {"deniedAaguids": [key]}).reasons
	not_it == ["denied-authenticator"]
	made := object.union(facts, {"stage": "append-finish", "created": {"aaguid": key, "aal": 2}})
	new := judged(made, {"deniedAaguids": [key]}).reasons
	new == ["denied-authenticator"]
}

nothing_said := "00000000-0000-0000-0000-000000000000"

test_an_authenticator_that_does_not_say_what_it_is_is_on_no_list_of_those_allowed if {
	unsaid := finished({"used": {"aaguid": nothing_said}})
	judged(unsaid, {"allowedAaguids": [key, nothing_said]}).reasons == ["denied-authenticator"]
	judged(unsaid, {"allowedAaguids": []}).reasons == []
	judged(unsaid, {"deniedAaguids": [key]}).reasons == []
	judged(unsaid, {"deniedAaguids": [nothing_said]}).reasons == ["denied-authenticator"]
	one := object.union(facts, {"credentials": {"items": [{"aaguid": nothing_said}]}})
	judged(one, {"allowedAaguids": [nothing_said]}).exclude == [0]
}

# At the end of a creation.
made(changes) := object.union(
	facts,
	{"stage": "append-finish", "created": object.union({"aaguid": key, "aal": 2, "status": "ok"}, changes)},
)

test_revoked_authenticator if {
	at_finish({"used": {"status": "revoked"}}) == {"rule": "R1", "action": "deny", "level": "high", "reasons": ["revoked-authenticator"]}
	judged(made({"status": "revoked"}), {}).reasons == ["revoked-authenticator"]
	at_finish({"used": {"status": "unknown"}}).reasons == []
	at_finish({"used": {"status": "retired"}}).reasons == []
	judged(made({}), {}).reasons == []
}

test_compromised_authenticator if {
	weak := {"used": {"status": "compromised"}}
	at_finish(weak) == {"rule": "R2", "action": "challenge", "level": "high", "reasons": ["compromised-authenticator"]}
	judged(finished(weak), {}).stepUp == ["other-passkey", "email-code"]
	judged(made({"status": "compromised"}), {}).reasons == ["compromised-authenticator"]
	at_finish({"used": {"status": "update"}}).reasons == []
}

test_what_is_revoked_is_not_named if {
	both := {"credentials": {"items": [{"aaguid": key, "status": "revoked"}, {"aaguid": key, "status": "compromised"}, {"aaguid": key}]}}
	judged(object.union(facts, both), {}).exclude == [0]
	judged(finished(both), {}).exclude == []
}

test_assurance_low if {
	admin := {"user": {"labels": {"admin": true}}}
	short := judged(finished(admin), {"requireAal": {"admin": 3}}).reasons
	short == ["assurance-low"]
	enough := judged(finished(admin), {"requireAal": {"admin": 2}}).reasons
	enough == []
	staff := judged(finished({"user": {"labels": {"admin": false}}}), {"requireAal": {"admin": 3}}).reasons
	staff == []
	made := object.union(facts, object.union(admin, {"stage": "append-finish", "created": {"aaguid": key, "aal": 1}}))
	new := judged(made, {"requireAal": {"admin": 2}}).reasons
	new == ["assurance-low"]
}

test_backup_changed if {
	reasons({"user": {"alerts": {"backupEligibilityHours": 12}}}) == ["backup-changed"]
	reasons({"user": {"alerts": {"backupEligibilityHours": 24}}}) == []
}

# With the lists of those that are barred, and of those that ask for a look.
listing(blocked, risky, lists) := result if {
	result := brief(judged(object.union(facts, {"request": {"lists": lists}}), {"blockedLists": blocked, "riskyLists": risky}))
}

test_blocked_address if {
	listing(["office", "tor"], [], {"tor": true, "office": false}) == {
		"rule": "R1", "action": "deny", "level": "high", "reasons": ["blocked-address"],
	}
	listing(["tor"], [], {"tor": false, "office": true}).reasons == []
	listing(["tor"], [], {"office": true}).reasons == []
}

test_risky_network if {
	listing([], ["tor"], {"tor": true}) == {"rule": "R4", "action": "review", "level": "medium", "reasons": ["risky-network"]}
	listing([], [], {"tor": true}).reasons == []
}

whole(changes) := judged(object.union(facts, changes), {})

test_step_up_at_a_start if {
	robot := {"request": {"bot": "automation"}}
	whole(robot).stepUp == ["passkey-uv"]
	whole(robot).obligations == {"notifyUser": false, "maxSessionSeconds": 3600, "userVerification": "required"}
	whole(object.union(robot, {"stage": "append-start"})).stepUp == ["passkey-uv", "email-code"]
}

test_step_up_of_nothing if {
	whole({}).stepUp == []
	whole({"request": {"bot": "tool"}}).stepUp == []
	whole({}).obligations == {"notifyUser": false, "maxSessionSeconds": 0, "userVerification": ""}
	whole({}).retrySeconds == 0
}

test_step_up_at_a_finish if {
	unverified := judged(finished({"request": {"bot": "automation"}, "used": {"uv": false}}), {})
	unverified.stepUp == ["passkey-uv", "email-code"]
	unverified.obligations.userVerification == ""
	doubtful := judged(finished({"used": {"counter": "regressed"}}), {})
	doubtful.stepUp == ["other-passkey", "email-code"]
	doubtful.obligations == {"notifyUser": true, "maxSessionSeconds": 3600, "userVerification": ""}
	short_of_it := judged(finished({"user": {"labels": {"admin": true}}}), {"requireAal": {"admin": 3}})
	short_of_it.stepUp == ["security-key"]
}

passkey(aaguid) := {
	"aaguid": aaguid, "class": "security-key", "availability": "security-key", "ageHours": 720, "usedHours": 48, "backup": "device-bound",
	"counter": "ok",
}

test_excluded if {
	both := {"credentials": {"items": [passkey("fbfc3007-154e-4ecc-8c0b-6e020557d7bd"), passkey(key)]}}
	only := judged(object.union(facts, both), {"allowedAaguids": [key]})
	only.exclude == [0]
	only.rule == "R5"
	not_it := judged(object.union(facts, both), {"deniedAaguids": [key]})
	not_it.exclude == [1]
	whole(both).exclude == []
	at_the_end := judged(finished(both), {"allowedAaguids": []})
	at_the_end.exclude == []
}

test_blocked_country if {
	from_brazil := object.union(facts, {"request": {"country": "BR"}})
	from_nowhere := object.union(facts, {"request": {"country": ""}})
	barred := brief(judged(from_brazil, {"blockedCountries": ["BR"]}))
	barred == {"rule": "R1", "action": "deny", "level": "high", "reasons": ["blocked-country"]}
	foreign := judged(from_brazil, {"allowedCountries": ["DE", "AT"]}).reasons
	foreign == ["blocked-country"]
	at_home := judged(from_brazil, {"allowedCountries": ["BR"]}).reasons
	at_home == []
	nowhere := judged(from_nowhere, {"allowedCountries": ["DE"]}).reasons
	nowhere == []
	unlocated := judged(facts, {"allowedCountries": ["DE"]}).reasons
	unlocated == []
}

test_new_country if {
	answer({"familiar": {"country": "new"}}) == {"rule": "R4", "action": "review", "level": "medium", "reasons": ["new-country"]}
	reasons({"familiar": {"country": "unknown"}}) == []
}

test_impossible_travel if {
	fast := {"travel": {"located": true, "distanceKm": 250, "hours": 0, "kmh": 800, "countryChanged": false}}
	elsewhere := {"familiar": {"environment": "unknown"}}
	reasons(object.union(fast, elsewhere)) == ["impossible-travel"]
	reasons(fast) == []
	reasons(object.union_n([fast, elsewhere, {"travel": {"distanceKm": 100}}])) == []
	reasons(object.union_n([fast, elsewhere, {"travel": {"kmh": 500}}])) == []
	reasons(object.union_n([fast, elsewhere, {"travel": {"located": false}}])) == []
}

paying := object.union(facts, {"stage": "evaluate", "action": "payment"})

paid(changes) := brief(judged(object.union(paying, changes), {}))

test_sensitive_action if {
	paid({}) == {"rule": "R5", "action": "allow", "level": "low", "reasons": []}
	elsewhere := paid({"familiar": {"environment": "new"}})
	elsewhere == {"rule": "R4", "action": "review", "level": "medium", "reasons": ["new-environment", "sensitive-action"]}
	paid({"familiar": {"environment": "unknown"}}).reasons == ["sensitive-action"]
	paid({"action": "export-data", "familiar": {"environment": "unknown"}}).reasons == []
}

test_fresh_passkey_at_a_sensitive_action if {
	paid({"user": {"passkeyAddedHours": 0, "passkeys": 2}}).reasons == ["fresh-passkey"]
	paid({"user": {"passkeyAddedHours": 0}}).reasons == []
	paid({"user": {"passkeyAddedHours": 0, "passkeys": 2}, "action": "export-data"}).reasons == []
	reasons({"user": {"passkeyAddedHours": 0, "passkeys": 2}}) == []
}

test_external_score if {
	paid({"context": {"externalScore": 80}}) == {"rule": "R2", "action": "challenge", "level": "high", "reasons": ["external-score"]}
	paid({"context": {"externalScore": 79}}).reasons == []
}

test_fraud_confirmed if {
	paid({"user": {"alerts": {"fraudConfirmedHours": 336}}}).reasons == ["fraud-confirmed"]
	paid({"user": {"alerts": {"fraudConfirmedHours": 720}}}).reasons == []
}

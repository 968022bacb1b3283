# Every row that matches is a candidate; the least number decides.
package keyward.table.candidates

import data.keyward.login

default decision := {"rule": "L14", "allow": false, "tag": "default-deny", "route": "", "isCDACandidate": false, "preferImmediatelyAvailable": false, "credentials": [], "hints": []}

decision := answer(min(candidates)) if count(candidates) > 0

candidates contains 0 if {
	not input.complete
}

candidates contains 0 if {
	input.account in {"pending", "disabled"}
}

candidates contains 1 if {
	input.support.webauthn == false
}

candidates contains 2 if {
	input.support.uvpa == false
	input.cda.route == false
	input.credentials.securityKey == 0
	input.credentials.likely == 0
}

candidates contains 3 if {
	input.credentials.total == 0
}

candidates contains 4 if {
	input.blacklist.login == true
}

candidates contains 5 if {
	input.securityKeyOnly == true
	not login.security_key_failing
	login.security_key_welcome
}

candidates contains 6 if {
	input.securityKeyOnly == true
	not login.security_key_failing
	not login.security_key_welcome
}

candidates contains 7 if {
	input.pair.positive == true
	input.pair.lastRoute == "local"
	not login.local_failing
}

candidates contains 7 if {
	input.pair.positive == true
	input.pair.lastRoute == "cda"
	input.cda.client == true
	input.strategy != "minimize"
	not login.cross_platform_failing
}

candidates contains 7 if {
	input.pair.positive == true
	input.pair.lastRoute == "security-key"
	not login.security_key_failing
}

candidates contains 8 if {
	login.local_failing
	login.local_concerned
	not login.cross_platform_takes_over
}

candidates contains 9 if {
	input.cda.route == true
	input.credentials.likely == 0
	input.credentials.uncertain == 0
	login.cross_platform_failing
}

candidates contains 10 if {
	input.securityKeyOnly == true
	login.security_key_failing
}

candidates contains 11 if {
	input.environment.listed != "none"
}

candidates contains 12 if {
	input.credentials.likely > 0
	not login.local_failing
}

candidates contains 13 if {
	input.cda.route == true
	input.cda.remoteHigh == true
	not login.cross_platform_failing
}

candidates contains 14 if {
	input.credentials.uncertain > 0
	not login.local_failing
}

candidates contains 15 if {
	input.strategy == "maximize"
	input.cda.client == true
	input.cda.remoteLow == true
	not login.cross_platform_failing
}

candidates contains 16 if {
	input.credentials.total > 0
}

answer(0) := login.deny("L0", "default-deny")

answer(1) := login.deny("L1", "env-no-pk-support")

answer(2) := login.deny("L2", "env-no-platform-pk-support")

answer(3) := login.deny("L3", "user-no-pks")

answer(4) := login.deny("L4", "user-login-blacklisted")

answer(5) := login.allow("L5", "user-security-key", "security-key")

answer(6) := login.deny("L5", "user-security-key")

answer(7) := login.allow("L6", "user-positive-env-history", input.pair.lastRoute)

answer(8) := login.deny("L7a", "user-negative-env-history")

answer(9) := login.deny("L7b", "user-negative-env-history")

answer(10) := login.deny("L7c", "user-negative-env-history")

answer(11) := login.deny("L8", "env-blacklisted")

answer(12) := login.allow("L9", "user-platform-pk-high-confidence", "local")

answer(13) := login.allow("L10", "user-cross-platform-pk-high-confidence", "cda")

answer(14) := login.allow("L11", "user-platform-pk-high-confidence", "local")

answer(15) := login.allow("L12", "user-cross-platform-pk-high-confidence", "cda")

answer(16) := login.deny("L13", "user-env-no-pks")

# An else-chain with the conditions in the table itself.
package keyward.table.inline

import data.keyward.login

default decision := {"rule": "L14", "allow": false, "tag": "default-deny", "route": "", "isCDACandidate": false, "preferImmediatelyAvailable": false, "credentials": [], "hints": []}

decision := login.deny("L0", "default-deny") if {
	not input.complete
}

else := login.deny("L0", "default-deny") if {
	input.account in {"pending", "disabled"}
}

else := login.deny("L1", "env-no-pk-support") if {
	input.support.webauthn == false
}

else := login.deny("L2", "env-no-platform-pk-support") if {
	input.support.uvpa == false
	input.cda.route == false
	input.credentials.securityKey == 0
	input.credentials.likely == 0
}

else := login.deny("L3", "user-no-pks") if {
	input.credentials.total == 0
}

else := login.deny("L4", "user-login-blacklisted") if {
	input.blacklist.login == true
}

else := login.allow("L5", "user-security-key", "security-key") if {
	input.securityKeyOnly == true
	not login.security_key_failing
	login.security_key_welcome
}

else := login.deny("L5", "user-security-key") if {
	input.securityKeyOnly == true
	not login.security_key_failing
	not login.security_key_welcome
}

else := login.allow("L6", "user-positive-env-history", input.pair.lastRoute) if {
	input.pair.positive == true
	input.pair.lastRoute == "local"
	not login.local_failing
}

else := login.allow("L6", "user-positive-env-history", input.pair.lastRoute) if {
	input.pair.positive == true
	input.pair.lastRoute == "cda"
	input.cda.client == true
	input.strategy != "minimize"
	not login.cross_platform_failing
}

else := login.allow("L6", "user-positive-env-history", input.pair.lastRoute) if {
	input.pair.positive == true
	input.pair.lastRoute == "security-key"
	not login.security_key_failing
}

else := login.deny("L7a", "user-negative-env-history") if {
	login.local_failing
	login.local_concerned
	not login.cross_platform_takes_over
}

else := login.deny("L7b", "user-negative-env-history") if {
	input.cda.route == true
	input.credentials.likely == 0
	input.credentials.uncertain == 0
	login.cross_platform_failing
}

else := login.deny("L7c", "user-negative-env-history") if {
	input.securityKeyOnly == true
	login.security_key_failing
}

else := login.deny("L8", "env-blacklisted") if {
	input.environment.listed != "none"
}

else := login.allow("L9", "user-platform-pk-high-confidence", "local") if {
	input.credentials.likely > 0
	not login.local_failing
}

else := login.allow("L10", "user-cross-platform-pk-high-confidence", "cda") if {
	input.cda.route == true
	input.cda.remoteHigh == true
	not login.cross_platform_failing
}

else := login.allow("L11", "user-platform-pk-high-confidence", "local") if {
	input.credentials.uncertain > 0
	not login.local_failing
}

else := login.allow("L12", "user-cross-platform-pk-high-confidence", "cda") if {
	input.strategy == "maximize"
	input.cda.client == true
	input.cda.remoteLow == true
	not login.cross_platform_failing
}

else := login.deny("L13", "user-env-no-pks") if {
	input.credentials.total > 0
}

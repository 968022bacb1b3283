# Each row yields its answer; an else-chain takes the first that is defined.
package keyward.table.values

import data.keyward.login

default decision := {"rule": "L14", "allow": false, "tag": "default-deny", "route": "", "isCDACandidate": false, "preferImmediatelyAvailable": false, "credentials": [], "hints": []}

decision := answer if answer := default_deny

else := answer if answer := env_no_pk_support

else := answer if answer := env_no_platform_pk_support

else := answer if answer := user_no_pks

else := answer if answer := user_login_blacklisted

else := answer if answer := user_security_key

else := answer if answer := user_security_key_withheld

else := answer if answer := user_positive_env_history

else := answer if answer := user_negative_env_history

else := answer if answer := user_negative_env_history_cross_platform

else := answer if answer := user_negative_env_history_security_key

else := answer if answer := env_blacklisted

else := answer if answer := user_platform_pk_high_confidence

else := answer if answer := user_cross_platform_pk_high_confidence

else := answer if answer := user_platform_pk_high_confidence_uncertain

else := answer if answer := user_cross_platform_pk_high_confidence_maximize

else := answer if answer := user_env_no_pks

default_deny := login.deny("L0", "default-deny") if {
	not input.complete
}

default_deny := login.deny("L0", "default-deny") if {
	input.account in {"pending", "disabled"}
}

env_no_pk_support := login.deny("L1", "env-no-pk-support") if {
	input.support.webauthn == false
}

env_no_platform_pk_support := login.deny("L2", "env-no-platform-pk-support") if {
	input.support.uvpa == false
	input.cda.route == false
	input.credentials.securityKey == 0
	input.credentials.likely == 0
}

user_no_pks := login.deny("L3", "user-no-pks") if {
	input.credentials.total == 0
}

user_login_blacklisted := login.deny("L4", "user-login-blacklisted") if {
	input.blacklist.login == true
}

user_security_key := login.allow("L5", "user-security-key", "security-key") if {
	input.securityKeyOnly == true
	not login.security_key_failing
	login.security_key_welcome
}

user_security_key_withheld := login.deny("L5", "user-security-key") if {
	input.securityKeyOnly == true
	not login.security_key_failing
	not login.security_key_welcome
}

user_positive_env_history := login.allow("L6", "user-positive-env-history", input.pair.lastRoute) if {
	input.pair.positive == true
	input.pair.lastRoute == "local"
	not login.local_failing
}

user_positive_env_history := login.allow("L6", "user-positive-env-history", input.pair.lastRoute) if {
	input.pair.positive == true
	input.pair.lastRoute == "cda"
	input.cda.client == true
	input.strategy != "minimize"
	not login.cross_platform_failing
}

user_positive_env_history := login.allow("L6", "user-positive-env-history", input.pair.lastRoute) if {
	input.pair.positive == true
	input.pair.lastRoute == "security-key"
	not login.security_key_failing
}

user_negative_env_history := login.deny("L7a", "user-negative-env-history") if {
	login.local_failing
	login.local_concerned
	not login.cross_platform_takes_over
}

user_negative_env_history_cross_platform := login.deny("L7b", "user-negative-env-history") if {
	input.cda.route == true
	input.credentials.likely == 0
	input.credentials.uncertain == 0
	login.cross_platform_failing
}

user_negative_env_history_security_key := login.deny("L7c", "user-negative-env-history") if {
	input.securityKeyOnly == true
	login.security_key_failing
}

env_blacklisted := login.deny("L8", "env-blacklisted") if {
	input.environment.listed != "none"
}

user_platform_pk_high_confidence := login.allow("L9", "user-platform-pk-high-confidence", "local") if {
	input.credentials.likely > 0
	not login.local_failing
}

user_cross_platform_pk_high_confidence := login.allow("L10", "user-cross-platform-pk-high-confidence", "cda") if {
	input.cda.route == true
	input.cda.remoteHigh == true
	not login.cross_platform_failing
}

user_platform_pk_high_confidence_uncertain := login.allow("L11", "user-platform-pk-high-confidence", "local") if {
	input.credentials.uncertain > 0
	not login.local_failing
}

user_cross_platform_pk_high_confidence_maximize := login.allow("L12", "user-cross-platform-pk-high-confidence", "cda") if {
	input.strategy == "maximize"
	input.cda.client == true
	input.cda.remoteLow == true
	not login.cross_platform_failing
}

user_env_no_pks := login.deny("L13", "user-env-no-pks") if {
	input.credentials.total > 0
}

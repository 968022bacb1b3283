# Rules keyed by row, and the first of the order that is defined.
package keyward.table.first

import data.keyward.login

default decision := {"rule": "L14", "allow": false, "tag": "default-deny", "route": "", "isCDACandidate": false, "preferImmediatelyAvailable": false, "credentials": [], "hints": []}

order := ["default_deny", "env_no_pk_support", "env_no_platform_pk_support", "user_no_pks", "user_login_blacklisted", "user_security_key", "user_security_key_withheld", "user_positive_env_history", "user_negative_env_history", "user_negative_env_history_cross_platform", "user_negative_env_history_security_key", "env_blacklisted", "user_platform_pk_high_confidence", "user_cross_platform_pk_high_confidence", "user_platform_pk_high_confidence_uncertain", "user_cross_platform_pk_high_confidence_maximize", "user_env_no_pks"]

decision := answer([name | some name in order; row[name]][0])

row["default_deny"] if {
	not input.complete
}

row["default_deny"] if {
	input.account in {"pending", "disabled"}
}

row["env_no_pk_support"] if {
	input.support.webauthn == false
}

row["env_no_platform_pk_support"] if {
	input.support.uvpa == false
	input.cda.route == false
	input.credentials.securityKey == 0
	input.credentials.likely == 0
}

row["user_no_pks"] if {
	input.credentials.total == 0
}

row["user_login_blacklisted"] if {
	input.blacklist.login == true
}

row["user_security_key"] if {
	input.securityKeyOnly == true
	not login.security_key_failing
	login.security_key_welcome
}

row["user_security_key_withheld"] if {
	input.securityKeyOnly == true
	not login.security_key_failing
	not login.security_key_welcome
}

row["user_positive_env_history"] if {
	input.pair.positive == true
	input.pair.lastRoute == "local"
	not login.local_failing
}

row["user_positive_env_history"] if {
	input.pair.positive == true
	input.pair.lastRoute == "cda"
	input.cda.client == true
	input.strategy != "minimize"
	not login.cross_platform_failing
}

row["user_positive_env_history"] if {
	input.pair.positive == true
	input.pair.lastRoute == "security-key"
	not login.security_key_failing
}

row["user_negative_env_history"] if {
	login.local_failing
	login.local_concerned
	not login.cross_platform_takes_over
}

row["user_negative_env_history_cross_platform"] if {
	input.cda.route == true
	input.credentials.likely == 0
	input.credentials.uncertain == 0
	login.cross_platform_failing
}

row["user_negative_env_history_security_key"] if {
	input.securityKeyOnly == true
	login.security_key_failing
}

row["env_blacklisted"] if {
	input.environment.listed != "none"
}

row["user_platform_pk_high_confidence"] if {
	input.credentials.likely > 0
	not login.local_failing
}

row["user_cross_platform_pk_high_confidence"] if {
	input.cda.route == true
	input.cda.remoteHigh == true
	not login.cross_platform_failing
}

row["user_platform_pk_high_confidence_uncertain"] if {
	input.credentials.uncertain > 0
	not login.local_failing
}

row["user_cross_platform_pk_high_confidence_maximize"] if {
	input.strategy == "maximize"
	input.cda.client == true
	input.cda.remoteLow == true
	not login.cross_platform_failing
}

row["user_env_no_pks"] if {
	input.credentials.total > 0
}

answer("default_deny") := login.deny("L0", "default-deny")

answer("env_no_pk_support") := login.deny("L1", "env-no-pk-support")

answer("env_no_platform_pk_support") := login.deny("L2", "env-no-platform-pk-support")

answer("user_no_pks") := login.deny("L3", "user-no-pks")

answer("user_login_blacklisted") := login.deny("L4", "user-login-blacklisted")

answer("user_security_key") := login.allow("L5", "user-security-key", "security-key")

answer("user_security_key_withheld") := login.deny("L5", "user-security-key")

answer("user_positive_env_history") := login.allow("L6", "user-positive-env-history", input.pair.lastRoute)

answer("user_negative_env_history") := login.deny("L7a", "user-negative-env-history")

answer("user_negative_env_history_cross_platform") := login.deny("L7b", "user-negative-env-history")

answer("user_negative_env_history_security_key") := login.deny("L7c", "user-negative-env-history")

answer("env_blacklisted") := login.deny("L8", "env-blacklisted")

answer("user_platform_pk_high_confidence") := login.allow("L9", "user-platform-pk-high-confidence", "local")

answer("user_cross_platform_pk_high_confidence") := login.allow("L10", "user-cross-platform-pk-high-confidence", "cda")

answer("user_platform_pk_high_confidence_uncertain") := login.allow("L11", "user-platform-pk-high-confidence", "local")

answer("user_cross_platform_pk_high_confidence_maximize") := login.allow("L12", "user-cross-platform-pk-high-confidence", "cda")

answer("user_env_no_pks") := login.deny("L13", "user-env-no-pks")

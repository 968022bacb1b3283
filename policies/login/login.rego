# METADATA
# title: Passkey login
# description: |
#   Whether to offer a passkey login, and over which route. The table `decision` is read from the top: the first row whose condition
#   holds decides. The conditions follow below it in the same order, each named after the tag it yields. What they share, and the options that go with an
#   answer, come last. Titles and row numbers are what an explanation prints.
#
#   Comparisons of facts with constants come first in a condition: by them OPA rules it out without evaluating it. One that few logins meet stands
#   in the table itself, before the rest of its row's condition: then not even the condition is looked up.
# schemas:
#   - input: schema.login
#   - data.keyward.parameters: schema.parameters
package keyward.login

# METADATA
# title: No row answers
# description: The rows together answer everything. This one guards edited bundles.
# scope: document
# entrypoint: true
# custom:
#   row: L14
default decision := {
	"rule": "L14",
	"allow": false,
	"tag": "default-deny",
	"route": "",
	"isCDACandidate": false,
	"preferImmediatelyAvailable": false,
	"credentials": [],
	"hints": [],
}

decision := deny("L0", "default-deny") if default_deny

else := deny("L1", "env-no-pk-support") if env_no_pk_support

else := deny("L1a", "env-blacklisted") if env_blacklisted_hard

else := deny("L2", "env-no-platform-pk-support") if env_no_platform_pk_support

else := deny("L3", "user-no-pks") if user_no_pks

else := deny("L4", "user-login-blacklisted") if user_login_blacklisted

else := allow("L4a", "user-cross-platform-pk-high-confidence", "cda") if {
	input.source == "other-device"
	user_cross_platform_pk_high_confidence_asked_for
}

else := allow("L4a", "user-security-key", "security-key") if {
	input.source == "other-device"
	user_security_key_asked_for
}

else := deny("L4a", "user-env-no-pks") if {
	input.source == "other-device"
	user_env_no_pks_elsewhere
}

else := allow("L5", "user-security-key", "security-key") if {
	input.securityKeyOnly == true
	user_security_key
}

else := deny("L5", "user-security-key") if {
	input.securityKeyOnly == true
	user_security_key_withheld
}

else := allow("L6", "user-positive-env-history", input.pair.firstWin) if user_positive_env_history

else := allow("L6", "user-positive-env-history", input.pair.secondWin) if user_positive_env_history_second

else := allow("L6", "user-positive-env-history", input.pair.thirdWin) if user_positive_env_history_third

else := deny("L7a", "user-negative-env-history") if user_negative_env_history

else := deny("L7b", "user-negative-env-history") if {
	input.cda.route == true
	user_negative_env_history_cross_platform
}

else := deny("L7c", "user-negative-env-history") if {
	input.securityKeyOnly == true
	user_negative_env_history_security_key
}

else := deny("L8", "env-blacklisted") if env_blacklisted

else := allow("L9", "user-platform-pk-high-confidence", "local") if user_platform_pk_high_confidence

else := allow("L10", "user-cross-platform-pk-high-confidence", "cda") if {
	input.cda.remoteHigh == true
	user_cross_platform_pk_high_confidence
}

else := allow("L11", "user-platform-pk-high-confidence", "local") if user_platform_pk_high_confidence_uncertain

else := allow("L12", "user-cross-platform-pk-high-confidence", "cda") if {
	input.strategy == "maximize"
	user_cross_platform_pk_high_confidence_maximize
}

else := allow("L12a", "user-security-key", "security-key") if user_security_key_left

else := allow("L12b", "user-platform-pk-high-confidence", "local") if user_platform_pk_high_confidence_again

else := allow("L12b", "user-cross-platform-pk-high-confidence", "cda") if {
	input.cda.route == true
	user_cross_platform_pk_high_confidence_again
}

else := allow("L12b", "user-security-key", "security-key") if user_security_key_again

else := deny("L13", "user-env-no-pks") if user_env_no_pks

# METADATA
# title: Something could not be looked up
# scope: rule
# custom:
#   row: L0
default_deny if not input.complete

# METADATA
# title: The account is not active
# description: An unknown user is not told apart from one without passkeys, so that nobody learns who has an account.
# scope: rule
# custom:
#   row: L0
default_deny if input.account in {"pending", "disabled"}

# METADATA
# title: The client cannot do WebAuthn at all
# scope: rule
# custom:
#   row: L1
env_no_pk_support if input.support.webauthn == false

# METADATA
# title: The environment is barred by configuration or automation, whatever is known of the account
# scope: rule
# custom:
#   row: L1a
env_blacklisted_hard if {
	input.environment.listed != "none"
	not barred_softly
}

# METADATA
# title: The client has no local authenticator, and there is no other way to a passkey from here
# scope: rule
# custom:
#   row: L2
env_no_platform_pk_support if {
	input.support.uvpa == false
	input.cda.route == false
	input.credentials.securityKey == 0
	input.credentials.likely == 0
	input.credentials.uncertain == 0
}

# METADATA
# title: The account has no passkey
# scope: rule
# custom:
#   row: L3
user_no_pks if input.credentials.total == 0

# METADATA
# title: Passkey login is barred for the user, everywhere or in this environment
# scope: rule
# custom:
#   row: L4
user_login_blacklisted if input.blacklist.login == true

# METADATA
# title: The user asked for another device, and this client can reach one
# description: Failures, soft bars and what is here do not matter. Strategy minimize has no such way.
# scope: rule
# custom:
#   row: L4a
user_cross_platform_pk_high_confidence_asked_for if input.cda.route == true

# METADATA
# title: The user asked for another device, and there is a security key
# scope: rule
# custom:
#   row: L4a
user_security_key_asked_for if {
	input.credentials.securityKey > 0
	security_key_welcome
}

# METADATA
# title: The user asked for another device, none can be reached, and there is no security key
# scope: rule
# custom:
#   row: L4a
user_env_no_pks_elsewhere if {
	input.cda.route == false
	input.credentials.total > 0
	input.credentials.securityKey == 0
}

# METADATA
# title: The user asked for another device, none can be reached, and the security key may not be used
# scope: rule
# custom:
#   row: L4a
user_env_no_pks_elsewhere if {
	input.cda.route == false
	input.credentials.securityKey > 0
	not security_key_welcome
}

# METADATA
# title: Only a security key can be used here, and it is offered
# scope: rule
# custom:
#   row: L5
user_security_key if {
	input.environment.listed == "none"
	not security_key_failing
	security_key_welcome
}

# METADATA
# title: Only a security key can be used here, and it is not offered
# scope: rule
# custom:
#   row: L5
user_security_key_withheld if {
	input.environment.listed == "none"
	not security_key_failing
	not security_key_welcome
}

# METADATA
# title: A passkey worked here, and the newest route that still leads to one is open
# scope: rule
# custom:
#   row: L6
user_positive_env_history if {
	input.pair.firstWin != ""
	open(input.pair.firstWin)
}

# METADATA
# title: A passkey worked here, and the second newest route that still leads to one is open
# scope: rule
# custom:
#   row: L6
user_positive_env_history_second if {
	input.pair.secondWin != ""
	open(input.pair.secondWin)
}

# METADATA
# title: A passkey worked here, and the third newest route that still leads to one is open
# scope: rule
# custom:
#   row: L6
user_positive_env_history_third if {
	input.pair.thirdWin != ""
	open(input.pair.thirdWin)
}

# METADATA
# title: The client said that it has no passkey of the account, and neither a phone nor a security key is left
# description: Its word weighs as much as failing as often as the threshold. Nothing has to have failed.
# scope: rule
# custom:
#   row: L7a
user_negative_env_history if {
	input.pair.noCredentials == true
	local_concerned
	not explicit
	not phone_open
	not key_open
}

# METADATA
# title: Passkeys of this device failed here as often as the threshold, and neither a phone nor a security key is left
# scope: rule
# custom:
#   row: L7a
user_negative_env_history if {
	local_concerned
	local_failing
	not explicit
	not phone_open
	not key_open
}

# METADATA
# title: Only another device is left, and it failed here as often as the threshold
# scope: rule
# custom:
#   row: L7b
user_negative_env_history_cross_platform if {
	input.credentials.likely == 0
	input.credentials.uncertain == 0
	cross_platform_failing
	not explicit
	not key_open
}

# METADATA
# title: Only a security key is left, and it failed here as often as the threshold
# scope: rule
# custom:
#   row: L7c
user_negative_env_history_security_key if {
	security_key_failing
	not explicit
}

# METADATA
# title: The environment is barred softly, and no passkey has worked there lately
# scope: rule
# custom:
#   row: L8
env_blacklisted if {
	input.environment.listed != "none"
	input.pair.positive == false
}

# METADATA
# title: The environment is barred softly, and no route by which a passkey worked there is open
# scope: rule
# custom:
#   row: L8
env_blacklisted if {
	input.environment.listed != "none"
	input.pair.positive == true
}

# METADATA
# title: A passkey is expected on this client
# scope: rule
# custom:
#   row: L9
user_platform_pk_high_confidence if {
	input.credentials.likely > 0
	not local_failing
}

# METADATA
# title: A passkey is expected on a phone that this client can reach
# scope: rule
# custom:
#   row: L10
user_cross_platform_pk_high_confidence if phone_open

# METADATA
# title: A passkey may be on this client
# scope: rule
# custom:
#   row: L11
user_platform_pk_high_confidence_uncertain if {
	input.credentials.uncertain > 0
	not local_failing
}

# METADATA
# title: A passkey may be on another device that this client can reach, and the caller wants every chance
# scope: rule
# custom:
#   row: L12
user_cross_platform_pk_high_confidence_maximize if {
	input.cda.remoteLow == true
	phone_open
}

# METADATA
# title: There is a security key, which can be used anywhere
# scope: rule
# custom:
#   row: L12a
user_security_key_left if key_open

# METADATA
# title: The user asked for a passkey, and one may be on this client, although the client said that it has none
# scope: rule
# custom:
#   row: L12b
user_platform_pk_high_confidence_again if {
	input.pair.noCredentials == true
	explicit
	local_concerned
}

# METADATA
# title: The user asked for a passkey, and one may be on this client, although it failed here
# description: What users press themselves works as often as they press it.
# scope: rule
# custom:
#   row: L12b
user_platform_pk_high_confidence_again if {
	explicit
	local_concerned
}

# METADATA
# title: The user asked for a passkey, and one may be on another device, although that failed here
# scope: rule
# custom:
#   row: L12b
user_cross_platform_pk_high_confidence_again if explicit

# METADATA
# title: The user asked for a passkey, and there is a security key, although it failed here
# scope: rule
# custom:
#   row: L12b
user_security_key_again if {
	input.credentials.securityKey > 0
	explicit
	security_key_welcome
}

# METADATA
# title: There are passkeys, but none can be reached from here
# scope: rule
# custom:
#   row: L13
user_env_no_pks if {
	input.credentials.total > 0
	input.credentials.likely == 0
	input.credentials.uncertain == 0
	input.credentials.securityKey == 0
	input.cda.route == false
}

# METADATA
# title: There are passkeys, and no row above offers a way to one
# scope: rule
# custom:
#   row: L13
user_env_no_pks if input.credentials.total > 0

# METADATA
# title: What bars the environment does so softly, with exceptions
# scope: rule
# custom:
#   otherwise: What bars the environment has no exceptions
barred_softly if input.environment.listed in data.keyward.parameters.softBars

# METADATA
# title: The user asked for it, by what they pressed
# scope: rule
# custom:
#   otherwise: The user did not ask for it by what they pressed
explicit if input.source in data.keyward.parameters.explicitSources

# METADATA
# title: The client said that it has no passkey of the account
# scope: rule
local_failing if input.pair.noCredentials == true

# METADATA
# title: Passkeys of this device failed here as often as the threshold
# scope: rule
# custom:
#   otherwise: Passkeys of this device did not fail here as often as the threshold, and the client did not say that it has none
local_failing if input.pair.localStreak >= data.keyward.parameters.streakThreshold

# METADATA
# title: Another device failed here as often as the threshold
# scope: rule
# custom:
#   otherwise: Another device did not fail here as often as the threshold
cross_platform_failing if input.pair.cdaStreak >= data.keyward.parameters.streakThreshold

# METADATA
# title: A security key failed here as often as the threshold
# scope: rule
# custom:
#   otherwise: A security key did not fail here as often as the threshold
security_key_failing if input.pair.securityKeyStreak >= data.keyward.parameters.streakThreshold

# METADATA
# title: A passkey is expected on this client, so it can fail again
# scope: rule
local_concerned if input.credentials.likely > 0

# METADATA
# title: A passkey may be on this client, so it can fail again
# scope: rule
local_concerned if input.credentials.uncertain > 0

# METADATA
# title: A phone can be reached from here, and has failed fewer times than the threshold
# scope: rule
# custom:
#   otherwise:
#     - No phone can be reached from here
#     - A phone can be reached from here, but another device failed here as often as the threshold
phone_open if {
	input.cda.route == true
	not cross_platform_failing
}

# METADATA
# title: There is a security key that may be used, and it has failed fewer times than the threshold
# scope: rule
# custom:
#   otherwise:
#     - The account has no security key
#     - The security key failed here as often as the threshold
#     - Security keys may not be used
key_open if {
	input.credentials.securityKey > 0
	not security_key_failing
	security_key_welcome
}

# METADATA
# title: Passkeys of this device have failed here fewer times than the threshold
# scope: rule
open("local") if not local_failing

# METADATA
# title: Another device can be reached, and has failed here fewer times than the threshold
# scope: rule
open("cda") if {
	input.cda.client == true
	input.strategy != "minimize"
	not cross_platform_failing
}

# METADATA
# title: Security keys may be used, and have failed here fewer times than the threshold
# scope: rule
open("security-key") if {
	not security_key_failing
	security_key_welcome
}

# METADATA
# title: Security keys are allowed, and other devices are not kept to a minimum
# scope: rule
# custom:
#   otherwise: Security keys are denied, or other devices are kept to a minimum and no security key worked here
security_key_welcome if {
	input.strategy != "minimize"
	data.keyward.parameters.securityKeyLogin == "allow"
}

# METADATA
# title: Security keys are allowed, and one worked here
# scope: rule
security_key_welcome if {
	input.pair.positiveSecurityKey == true
	data.keyward.parameters.securityKeyLogin == "allow"
}

# METADATA
# title: No passkey login is offered
# scope: rule
deny(row, tag) := {
	"rule": row,
	"allow": false,
	"tag": tag,
	"route": "",
	"isCDACandidate": false,
	"preferImmediatelyAvailable": false,
	"credentials": [],
	"hints": [],
}

# METADATA
# title: A login with a passkey of this device is offered
# scope: rule
allow(row, tag, "local") := {
	"rule": row,
	"allow": true,
	"tag": tag,
	"route": "local",
	"isCDACandidate": false,
	"preferImmediatelyAvailable": immediately_available,
	"credentials": local_credentials,
	"hints": local_hints,
}

# METADATA
# title: A login with a passkey of another device is offered
# scope: rule
allow(row, tag, "cda") := {
	"rule": row,
	"allow": true,
	"tag": tag,
	"route": "cda",
	"isCDACandidate": true,
	"preferImmediatelyAvailable": false,
	"credentials": cross_platform_credentials,
	"hints": cross_platform_hints,
}

# METADATA
# title: A login with a security key is offered
# scope: rule
allow(row, tag, "security-key") := {
	"rule": row,
	"allow": true,
	"tag": tag,
	"route": "security-key",
	"isCDACandidate": false,
	"preferImmediatelyAvailable": false,
	"credentials": security_key_credentials,
	"hints": ["security-key"],
}

# METADATA
# title: Whether the client should end quietly if no passkey is at hand
# description: |
#   In apps, and in browsers if that is switched on. Not where a security key was used last, for which the user has to reach, and not where the user
#   asked for it: whoever presses a button wants to see what there is.
# scope: document
default immediately_available := false

immediately_available if {
	input.client.native == true
	input.credentials.likely > 0
	input.pair.lastRoute != "security-key"
	not explicit
}

immediately_available if {
	browser_immediate
	input.credentials.likely > 0
	input.pair.lastRoute != "security-key"
	not explicit
}

# METADATA
# title: The client is a browser that can do immediate mediation, and that is switched on
# scope: rule
browser_immediate if {
	input.client.native == false
	input.client.privateMode == false
	input.support.immediateGet == true
	data.keyward.parameters.webImmediate == true
}

# METADATA
# title: Which passkeys to name, in this order, if one of this device is expected
# description: |
#   Only minimize leaves out passkeys that could be reached, and security keys where they are denied; with `nameAllPasskeys` nothing does.
#   Immediate mediation in browsers takes no list at all. Who pressed one tap picked the account, so that any passkey of it will do.
# scope: document
default local_credentials := ["likely", "uncertain", "remote", "security-key"]

local_credentials := [] if {
	browser_immediate
	immediately_available
} else := ["likely", "uncertain", "remote", "none"] if {
	any_will_do
	data.keyward.parameters.securityKeyLogin == "deny"
} else := ["likely", "uncertain", "remote", "security-key", "none"] if {
	any_will_do
} else := ["likely", "uncertain"] if {
	input.strategy == "minimize"
} else := ["likely", "uncertain", "remote"] if {
	data.keyward.parameters.securityKeyLogin == "deny"
}

# METADATA
# title: Which passkeys to name, in this order, if a passkey of another device is expected
# scope: document
default cross_platform_credentials := ["remote", "likely", "uncertain", "security-key"]

cross_platform_credentials := ["remote", "likely", "uncertain", "none"] if {
	every_passkey
	data.keyward.parameters.securityKeyLogin == "deny"
} else := ["remote", "likely", "uncertain", "security-key", "none"] if {
	every_passkey
} else := ["remote", "likely", "uncertain"] if {
	data.keyward.parameters.securityKeyLogin == "deny"
}

# METADATA
# title: Which passkeys to name, in this order, if a security key is expected
# scope: document
default security_key_credentials := ["security-key", "likely", "uncertain", "remote"]

security_key_credentials := ["security-key", "likely", "uncertain", "remote", "none"] if {
	every_passkey
} else := ["security-key"] if {
	input.strategy == "minimize"
}

# METADATA
# title: The user picked the account by one tap, so that any passkey of it will do
# scope: rule
any_will_do if {
	input.source == "one-tap"
	input.strategy != "minimize"
}

# METADATA
# title: Every passkey of the account is named
# scope: rule
any_will_do if every_passkey

# METADATA
# title: Every passkey of the account is named everywhere
# scope: rule
every_passkey if data.keyward.parameters.nameAllPasskeys == "always"

# METADATA
# title: Every passkey of the account is named in apps
# scope: rule
every_passkey if {
	input.client.native == true
	data.keyward.parameters.nameAllPasskeys == "apps"
}

# METADATA
# title: What to hint at if a passkey of this device is expected
# scope: document
default local_hints := ["client-device"]

local_hints := ["client-device", "hybrid"] if input.strategy == "maximize"

# METADATA
# title: What to hint at if a passkey of another device is expected
# scope: document
default cross_platform_hints := ["hybrid"]

cross_platform_hints := ["hybrid", "security-key"] if {
	input.source == "other-device"
	input.credentials.securityKey > 0
	security_key_welcome
} else := ["hybrid"] if {
	input.source == "other-device"
} else := ["hybrid", "client-device"] if input.credentials.uncertain > 0

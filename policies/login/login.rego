# METADATA
# title: Passkey login
# description: |
#   Whether to offer a passkey login, and over which route. The table `decision` is read from the top: the first row
#   whose condition holds decides. The conditions follow below the table, named after the tag of their row.
# schemas:
#   - input: schema.login
#   - data.keyward.parameters: schema.parameters
package keyward.login

# METADATA
# title: The decision table of login
# scope: document
# entrypoint: true
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

else := deny("L2", "env-no-platform-pk-support") if env_no_platform_pk_support

else := deny("L3", "user-no-pks") if user_no_pks

else := deny("L4", "user-login-blacklisted") if user_login_blacklisted

else := allow("L6", "user-positive-env-history", input.pair.lastRoute) if user_positive_env_history

else := deny("L7a", "user-negative-env-history") if user_negative_env_history

else := allow("L9", "user-platform-pk-high-confidence", "local") if user_platform_pk_high_confidence

else := deny("L13", "user-env-no-pks") if user_env_no_pks

# L0: something could not be looked up, or the account is not active. An unknown user is not told apart from one without passkeys.
default_deny if not input.complete

default_deny if input.account in {"pending", "disabled"}

# L1: no WebAuthn at all.
env_no_pk_support if not input.support.webauthn

# L2: WebAuthn, but neither a local authenticator nor another way to a passkey.
env_no_platform_pk_support if {
	not input.support.uvpa
	input.credentials.securityKey == 0
	input.credentials.likely == 0
	not input.cda.route
}

# L3: the account has no passkey.
user_no_pks if input.credentials.total == 0

# L4: passkey login is barred for the user, everywhere or in this environment.
user_login_blacklisted if input.blacklist.login

# L6: a passkey worked here, and the route it took last has not failed since.
user_positive_env_history if {
	input.pair.positive
	not failing(input.pair.lastRoute)
	route_open(input.pair.lastRoute)
}

# L7a: local ceremonies failed here repeatedly. Under maximize another device may still take over.
user_negative_env_history if {
	local_failed
	not other_device_remains
}

# L9: a passkey is expected on this client.
user_platform_pk_high_confidence if {
	input.credentials.likely > 0
	not local_failed
}

# L13: there are passkeys, but none can be reached from here.
user_env_no_pks if input.credentials.total > 0

# Routes that failed too often in this environment.
failing("local") if input.pair.localStreak >= data.keyward.parameters.streakThreshold

failing("cda") if input.pair.cdaStreak >= data.keyward.parameters.streakThreshold

failing("security-key") if input.pair.securityKeyStreak >= data.keyward.parameters.streakThreshold

# Routes that may be taken again because they worked here before.
route_open("local")

route_open("security-key")

route_open("cda") if {
	input.strategy != "minimize"
	input.cda.client
}

# The local route is over: failures repeat, and there is a local passkey to fail or the last failures were local.
local_failed if {
	failing("local")
	input.credentials.likely + input.credentials.uncertain > 0
}

local_failed if {
	failing("local")
	input.pair.lastFailedRoute == "local"
}

other_device_remains if {
	input.strategy == "maximize"
	input.cda.client
	remote
	not failing("cda")
}

remote if input.cda.remoteHigh

remote if input.cda.remoteLow

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

allow(row, tag, route) := {
	"rule": row,
	"allow": true,
	"tag": tag,
	"route": route,
	"isCDACandidate": route == "cda",
	"preferImmediatelyAvailable": immediately_available(route),
	"credentials": credentials(route),
	"hints": hints(route),
}

# Whether the client should end quietly if no passkey is at hand.
default immediately_available(_) := false

immediately_available("local") if {
	input.pair.lastRoute != "security-key"
	immediate_client
}

immediate_client if input.client.native

immediate_client if {
	data.keyward.parameters.webImmediate
	input.support.immediateGet
	not input.client.privateMode
}

# Which passkeys to name in allowCredentials, in this order. Only minimize leaves out passkeys that could be reached, and immediate mediation in
# browsers takes no list at all.
credentials("local") := [] if {
	immediately_available("local")
	not input.client.native
} else := ["likely", "uncertain"] if {
	input.strategy == "minimize"
} else := ["likely", "uncertain", "remote", "security-key"]

credentials("cda") := ["remote", "likely", "uncertain", "security-key"]

credentials("security-key") := ["security-key"] if {
	input.strategy == "minimize"
} else := ["security-key", "likely", "uncertain", "remote"]

hints("local") := ["client-device", "hybrid"] if {
	input.strategy == "maximize"
} else := ["client-device"]

hints("cda") := ["hybrid", "client-device"] if {
	input.credentials.uncertain > 0
} else := ["hybrid"]

hints("security-key") := ["security-key"]

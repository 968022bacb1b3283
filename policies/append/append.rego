# METADATA
# title: Passkey creation
# description: |
#   Whether to offer to create a passkey, and how. The table `decision` is read from the top: the first row
#   whose condition holds decides. The conditions follow below the table, named after the tag of their row.
# schemas:
#   - input: schema.append
#   - data.keyward.parameters: schema.parameters
package keyward.append

# METADATA
# title: The decision table of append
# scope: document
# entrypoint: true
default decision := {
	"rule": "A14",
	"allow": false,
	"tag": "default-deny",
	"kind": "",
	"variant": "default",
	"auto": false,
	"conditional": false,
	"manualAllowed": false,
	"isRestrictedBrowser": false,
	"reason": "",
	"attachment": "",
	"hints": [],
	"userVerification": "",
}

decision := deny("A0", "default-deny", "data_incomplete") if default_deny

else := deny("A1", "env-no-pk-support", "passkeys_not_supported") if env_no_pk_support

else := on_request("A2", "passkey-list-initiated-process") if passkey_list_initiated_process

else := deny("A3", "env-no-platform-pk-support", "passkeys_not_supported") if env_no_platform_pk_support

else := deny("A9", "process-pk-login-platform-completed", "passkey_already_exists") if process_pk_login_platform_completed

else := deny("A10", "user-positive-env-history", "passkey_already_exists") if user_positive_env_history

else := first_open("A13", "process-pk-login-not-offered") if process_pk_login_not_offered

# A0: something could not be looked up, or the account is not active.
default_deny if not input.complete

default_deny if input.account != "active"

# A1: no WebAuthn at all; asking for a passkey does not help.
env_no_pk_support if not input.support.webauthn

# A2: the user asked for a passkey. Counts, cooldowns and lists do not matter.
passkey_list_initiated_process if input.flags.force

passkey_list_initiated_process if input.situation == "passkey-list"

# A3: no local authenticator.
env_no_platform_pk_support if not input.support.uvpa

# A9: the login of this process used a passkey of this device.
process_pk_login_platform_completed if input.process.outcome == "local"

# A10: a passkey of the account exists here, and nothing in this process speaks against it.
user_positive_env_history if {
	input.pair.existsHere
	not input.process.missingEvidence
}

# A13: no passkey login was offered in this process.
process_pk_login_not_offered if input.process.outcome == "not-offered"

# The kinds of offer of A13, in order. A closed gate never slides to another kind.
first_open(row, tag) := gated(row, tag, "default", in_app_open) if {
	in_app
} else := silent(row, tag, "default") if {
	silent_eligible
} else := unasked(row, tag) if {
	auto_eligible
} else := gated(row, tag, "default", default_open)

# Offered from within the app: only by a configured trigger, at a distance from any other offer, and counted as a manual offer.
in_app if input.flags.inApp != ""

in_app if input.situation == "in-app"

default in_app_open := false

in_app_open if {
	input.flags.inApp in data.keyward.parameters.inAppTriggers
	input.nudges.spaced
	default_open
}

# Created silently after a password login: independent of how often the user declined.
silent_eligible if {
	input.flags.conditionalCreate
	input.support.conditionalCreate
	not input.nudges.conditionalCreate.cooldown
}

# Opened unasked: for the first passkey only.
auto_eligible if {
	input.flags.auto
	input.credentials.total == 0
	auto_client
	not input.nudges.auto.cooldown
	default_open
}

auto_client if input.client.native

auto_client if input.client.mobile

auto_client if data.keyward.parameters.autoDesktop

default default_open := false

default_open if not input.nudges.default.cooldown

deny(row, tag, reason) := {
	"rule": row,
	"allow": false,
	"tag": tag,
	"kind": "",
	"variant": "default",
	"auto": false,
	"conditional": false,
	"manualAllowed": false,
	"isRestrictedBrowser": false,
	"reason": reason,
	"attachment": "",
	"hints": [],
	"userVerification": "",
}

offer(row, tag, kind) := {
	"rule": row,
	"allow": true,
	"tag": tag,
	"kind": kind,
	"variant": "default",
	"auto": false,
	"conditional": false,
	"manualAllowed": false,
	"isRestrictedBrowser": false,
	"reason": "",
	"attachment": "platform",
	"hints": ["client-device"],
	"userVerification": "required",
}

# A key or a phone may be used: neither the attachment nor the hints ask for this device.
on_request(row, tag) := object.union(offer(row, tag, "default"), {"attachment": "", "hints": []})

unasked(row, tag) := object.union(offer(row, tag, "auto"), {"auto": true})

gated(row, tag, kind, open) := offer(row, tag, kind) if {
	open
} else := deny(row, tag, "cooldown")

# The provider may skip user presence and verification, hence preferred. A manual offer may follow if the row's own gate is open.
silent(row, tag, variant) := object.union(offer(row, tag, "conditional-create"), {
	"variant": variant,
	"conditional": true,
	"manualAllowed": default_open,
	"userVerification": "preferred",
})

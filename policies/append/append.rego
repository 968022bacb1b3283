# METADATA
# title: Passkey creation
# description: |
#   Whether to offer to create a passkey, and how. The table `decision` is read from the top: the first row whose condition
#   holds decides. The conditions follow below it in the same order, each named after the tag it yields. What they share, and the options that go with an
#   answer, come last. Titles and row numbers are what an explanation prints.
#
#   A row whose offers pause answers so itself: it never slides to another kind of offer.
# schemas:
#   - input: schema.append
#   - data.keyward.parameters: schema.parameters
package keyward.append

# METADATA
# title: No row answers
# description: The rows together answer everything. This one guards edited bundles.
# scope: document
# entrypoint: true
# custom:
#   row: A14
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

else := deny("A1a", "env-blacklisted", "env_blacklisted") if env_blacklisted_hard

else := offer_anywhere("A2", "passkey-list-initiated-process") if passkey_list_initiated_process

else := deny("A3", "env-no-platform-pk-support", "passkeys_not_supported") if env_no_platform_pk_support

else := deny("A3a", "user-positive-env-history", "passkey_already_exists") if user_positive_env_history_of_current_user

else := offer_anywhere("A3b", "passkey-list-initiated-process") if passkey_list_initiated_process_of_current_user

else := deny_listed("A4", "env-blacklisted", "env_blacklisted") if env_blacklisted

else := deny("A5", "default-deny", "private_mode") if default_deny_private_mode

else := deny("A6a", "user-append-blacklisted", "user_blacklisted") if user_append_blacklisted_after_hybrid

else := deny("A6b", "user-append-blacklisted", "user_blacklisted") if user_append_blacklisted_after_error

else := deny("A7", "process-pk-login-sk-completed", "security_key_login") if process_pk_login_sk_completed

else := deny("A7", "process-pk-login-sk-completed", "cooldown") if process_pk_login_sk_completed_shown

else := deny("A7", "process-pk-login-sk-completed", "budget") if process_pk_login_sk_completed_spent

else := offer("A7", "process-pk-login-sk-completed", "default") if process_pk_login_sk_completed_open

else := deny("A7", "process-pk-login-sk-completed", "cooldown") if process_pk_login_sk_completed_paused

else := deny("A8", "device-local-platform-passkey-experiment", "cooldown") if device_local_platform_passkey_experiment_shown

else := deny("A8", "device-local-platform-passkey-experiment", "budget") if device_local_platform_passkey_experiment_spent

else := offer("A8", "device-local-platform-passkey-experiment", "default") if device_local_platform_passkey_experiment

else := deny("A8", "device-local-platform-passkey-experiment", "cooldown") if device_local_platform_passkey_experiment_paused

else := deny("A9", "process-pk-login-platform-completed", "passkey_already_exists") if process_pk_login_platform_completed

else := deny("A10", "user-positive-env-history", "passkey_already_exists") if user_positive_env_history

else := deny("A11", "process-pk-login-cross-platform-completed", "budget") if process_pk_login_cross_platform_completed_spent

else := offer("A11", "process-pk-login-cross-platform-completed", "after-hybrid") if process_pk_login_cross_platform_completed

else := deny("A11", "process-pk-login-cross-platform-completed", "cooldown") if process_pk_login_cross_platform_completed_paused

else := offer_silently("A12", "process-pk-login-incomplete", "after-error", after_error_open) if process_pk_login_incomplete_silent

else := deny("A12", "process-pk-login-incomplete", "cooldown") if process_pk_login_incomplete_shown

else := deny("A12", "process-pk-login-incomplete", "budget") if process_pk_login_incomplete_spent

else := offer("A12", "process-pk-login-incomplete", "after-error") if process_pk_login_incomplete

else := deny("A12", "process-pk-login-incomplete", "cooldown") if process_pk_login_incomplete_paused

else := offer_silently("A10a", "process-pk-login-not-offered", "after-error", after_error_open) if process_pk_login_not_offered_lost_silent

else := deny("A10a", "process-pk-login-not-offered", "cooldown") if process_pk_login_not_offered_lost_shown

else := deny("A10a", "process-pk-login-not-offered", "budget") if process_pk_login_not_offered_lost_spent

else := offer("A10a", "process-pk-login-not-offered", "after-error") if process_pk_login_not_offered_lost

else := deny("A10a", "process-pk-login-not-offered", "cooldown") if process_pk_login_not_offered_lost_paused

else := deny("A10b", "user-positive-env-history", "passkey_already_exists") if user_positive_env_history_expected

else := deny("A13", "process-pk-login-not-offered", "budget") if process_pk_login_not_offered_in_app_spent

else := offer_here_too("A13", "process-pk-login-not-offered") if process_pk_login_not_offered_in_app

else := deny("A13", "process-pk-login-not-offered", "trigger") if process_pk_login_not_offered_in_app_untaken

else := deny("A13", "process-pk-login-not-offered", "spacing") if process_pk_login_not_offered_in_app_soon

else := deny("A13", "process-pk-login-not-offered", "cooldown") if process_pk_login_not_offered_in_app_paused

else := offer_silently("A13", "process-pk-login-not-offered", here_too, default_open) if process_pk_login_not_offered_silent

else := deny("A13", "process-pk-login-not-offered", "cooldown") if process_pk_login_not_offered_shown

else := deny("A13", "process-pk-login-not-offered", "budget") if process_pk_login_not_offered_spent

else := offer("A13", "process-pk-login-not-offered", "auto") if process_pk_login_not_offered_auto

else := offer_here_too("A13", "process-pk-login-not-offered") if process_pk_login_not_offered

else := deny("A13", "process-pk-login-not-offered", "cooldown") if process_pk_login_not_offered_paused

# METADATA
# title: Something could not be looked up
# scope: rule
# custom:
#   row: A0
default_deny if not input.complete

# METADATA
# title: The account is not active
# scope: rule
# custom:
#   row: A0
default_deny if input.account != "active"

# METADATA
# title: The client cannot do WebAuthn at all, and asking for a passkey does not help
# scope: rule
# custom:
#   row: A1
env_no_pk_support if input.support.webauthn == false

# METADATA
# title: The environment is barred by configuration or automation, and asking for a passkey does not help
# scope: rule
# custom:
#   row: A1a
env_blacklisted_hard if {
	input.environment.listed != "none"
	not barred_softly
}

# METADATA
# title: The user asked for a passkey
# description: Blacklists, counts, cooldowns, soft bars and private windows do not matter.
# scope: rule
# custom:
#   row: A2
passkey_list_initiated_process if input.flags.force == true

# METADATA
# title: The user comes from the list of passkeys
# scope: rule
# custom:
#   row: A2
passkey_list_initiated_process if input.situation == "passkey-list"

# METADATA
# title: The client has no local authenticator
# scope: rule
# custom:
#   row: A3
env_no_platform_pk_support if input.support.uvpa == false

# METADATA
# title: The current user asks for another passkey, and one exists here that nothing in this process speaks against
# scope: rule
# custom:
#   row: A3a
user_positive_env_history_of_current_user if {
	input.situation == "current-user"
	user_positive_env_history
}

# METADATA
# title: The current user asks for a passkey
# description: Somebody with a session asked by themselves. Blacklists, counts, cooldowns, soft bars and private windows do not matter.
# scope: rule
# custom:
#   row: A3b
passkey_list_initiated_process_of_current_user if input.situation == "current-user"

# METADATA
# title: The environment is barred softly
# scope: rule
# custom:
#   row: A4
env_blacklisted if input.environment.listed != "none"

# METADATA
# title: A private window forgets passkeys
# scope: rule
# custom:
#   row: A5
default_deny_private_mode if input.client.privateMode == true

# METADATA
# title: The user does not want to be asked after a login over another device
# scope: rule
# custom:
#   row: A6a
user_append_blacklisted_after_hybrid if {
	input.process.outcome == "cda"
	input.blacklist.appendAfterHybrid == true
}

# METADATA
# title: The client says that the user does not want to be asked after a login over another device
# scope: rule
# custom:
#   row: A6a
user_append_blacklisted_after_hybrid if {
	input.process.outcome == "cda"
	input.flags.optOutAfterHybrid == true
}

# METADATA
# title: The user does not want to be asked after a failed passkey login
# scope: rule
# custom:
#   row: A6b
user_append_blacklisted_after_error if {
	input.process.outcome == "incomplete"
	input.blacklist.appendAfterError == true
}

# METADATA
# title: The login used a security key, after which nothing is offered
# scope: rule
# custom:
#   row: A7
process_pk_login_sk_completed if {
	input.process.outcome == "sk"
	data.keyward.parameters.appendAfterSecurityKey == false
}

# METADATA
# title: The login used a security key, and this client has shown an offer lately
# scope: rule
# custom:
#   row: A7
process_pk_login_sk_completed_shown if {
	input.process.outcome == "sk"
	shown_lately
	data.keyward.parameters.appendAfterSecurityKey == true
	not user_positive_env_history
}

# METADATA
# title: The login used a security key, and the account has been shown enough offers
# scope: rule
# custom:
#   row: A7
process_pk_login_sk_completed_spent if {
	input.process.outcome == "sk"
	budget_spent
	data.keyward.parameters.appendAfterSecurityKey == true
	not user_positive_env_history
}

# METADATA
# title: The login used a security key, and a passkey of this device is offered beside it
# scope: rule
# custom:
#   row: A7
process_pk_login_sk_completed_open if {
	input.process.outcome == "sk"
	input.nudges.default.cooldown == false
	data.keyward.parameters.appendAfterSecurityKey == true
	not user_positive_env_history
}

# METADATA
# title: The login used a security key, and manual offers pause
# scope: rule
# custom:
#   row: A7
process_pk_login_sk_completed_paused if {
	input.process.outcome == "sk"
	input.nudges.default.cooldown == true
	data.keyward.parameters.appendAfterSecurityKey == true
	not user_positive_env_history
}

# METADATA
# title: The experiment would offer a passkey of this device, and this client has shown an offer lately
# scope: rule
# custom:
#   row: A8
device_local_platform_passkey_experiment_shown if {
	device_local_treatment
	shown_lately
}

# METADATA
# title: The experiment would offer a passkey of this device, and the account has been shown enough offers
# scope: rule
# custom:
#   row: A8
device_local_platform_passkey_experiment_spent if {
	device_local_treatment
	budget_spent
}

# METADATA
# title: The login used a passkey of another provider, and the experiment offers one of this device
# scope: rule
# custom:
#   row: A8
device_local_platform_passkey_experiment if {
	device_local_treatment
	input.nudges.default.cooldown == false
}

# METADATA
# title: The login used a passkey of another provider, the experiment offers one of this device, and manual offers pause
# scope: rule
# custom:
#   row: A8
device_local_platform_passkey_experiment_paused if {
	device_local_treatment
	input.nudges.default.cooldown == true
}

# METADATA
# title: The login used a passkey of this device
# scope: rule
# custom:
#   row: A9
process_pk_login_platform_completed if input.process.outcome == "local"

# METADATA
# title: A passkey of the account exists here, and nothing in this process speaks against it
# scope: rule
# custom:
#   row: A10
#   otherwise:
#     - No passkey of the account is known to be here
#     - The passkey of the account that was here is lost
#     - Something in this process speaks against a passkey here
user_positive_env_history if {
	input.pair.existsHere == true
	input.pair.lost == false
	input.process.missingEvidence == false
}

# METADATA
# title: The login used another device, and the account has been shown enough offers
# scope: rule
# custom:
#   row: A11
process_pk_login_cross_platform_completed_spent if {
	input.process.outcome == "cda"
	budget_spent
}

# METADATA
# title: The login used another device
# scope: rule
# custom:
#   row: A11
process_pk_login_cross_platform_completed if {
	input.process.outcome == "cda"
	input.nudges.afterHybrid.cooldown == false
}

# METADATA
# title: The login used another device, and offers after such logins pause
# scope: rule
# custom:
#   row: A11
process_pk_login_cross_platform_completed_paused if {
	input.process.outcome == "cda"
	input.nudges.afterHybrid.cooldown == true
}

# METADATA
# title: A passkey login was offered but not finished, and a passkey can be created silently
# scope: rule
# custom:
#   row: A12
process_pk_login_incomplete_silent if {
	input.process.outcome == "incomplete"
	silent_eligible
}

# METADATA
# title: A passkey login was offered but not finished, and this client has shown an offer lately
# scope: rule
# custom:
#   row: A12
process_pk_login_incomplete_shown if {
	input.process.outcome == "incomplete"
	shown_lately
}

# METADATA
# title: A passkey login was offered but not finished, and the account has been shown enough offers
# scope: rule
# custom:
#   row: A12
process_pk_login_incomplete_spent if {
	input.process.outcome == "incomplete"
	budget_spent
}

# METADATA
# title: A passkey login was offered but not finished
# scope: rule
# custom:
#   row: A12
process_pk_login_incomplete if {
	input.process.outcome == "incomplete"
	input.nudges.afterError.cooldown == false
}

# METADATA
# title: A passkey login was offered but not finished, and offers after such logins pause
# scope: rule
# custom:
#   row: A12
process_pk_login_incomplete_paused if {
	input.process.outcome == "incomplete"
	input.nudges.afterError.cooldown == true
}

# METADATA
# title: No passkey login was offered since the passkey of this client is lost, and one can be created silently
# scope: rule
# custom:
#   row: A10a
process_pk_login_not_offered_lost_silent if {
	lost_passkey
	silent_eligible
}

# METADATA
# title: No passkey login was offered since the passkey of this client is lost, and this client has shown an offer lately
# scope: rule
# custom:
#   row: A10a
process_pk_login_not_offered_lost_shown if {
	lost_passkey
	shown_lately
}

# METADATA
# title: No passkey login was offered since the passkey of this client is lost, and the account has been shown enough offers
# scope: rule
# custom:
#   row: A10a
process_pk_login_not_offered_lost_spent if {
	lost_passkey
	budget_spent
}

# METADATA
# title: No passkey login was offered since the passkey of this client is lost
# description: Login is refused for the same reason. Who lost a passkey must be able to have another.
# scope: rule
# custom:
#   row: A10a
process_pk_login_not_offered_lost if {
	lost_passkey
	input.nudges.afterError.cooldown == false
}

# METADATA
# title: No passkey login was offered since the passkey of this client is lost, and offers after failed logins pause
# scope: rule
# custom:
#   row: A10a
process_pk_login_not_offered_lost_paused if {
	lost_passkey
	input.nudges.afterError.cooldown == true
}

# METADATA
# title: No passkey login was offered, and a passkey is expected on this client
# scope: rule
# custom:
#   row: A10b
user_positive_env_history_expected if {
	input.process.outcome == "not-offered"
	input.credentials.likely > 0
	input.process.missingEvidence == false
	data.keyward.parameters.offerWhereLikely == false
}

# METADATA
# title: No passkey login was offered, the app asks at one of its moments, and the account has been shown enough offers
# scope: rule
# custom:
#   row: A13
process_pk_login_not_offered_in_app_spent if {
	input.process.outcome == "not-offered"
	input.nudges.spaced == true
	input.nudges.default.cooldown == false
	budget_spent
	input.flags.inApp in data.keyward.parameters.inAppTriggers
}

# METADATA
# title: No passkey login was offered, and the app asks at one of its moments
# description: Only by a configured trigger, at a distance from any other offer, and counted as a manual offer.
# scope: rule
# custom:
#   row: A13
process_pk_login_not_offered_in_app if {
	input.process.outcome == "not-offered"
	input.nudges.spaced == true
	input.nudges.default.cooldown == false
	input.flags.inApp in data.keyward.parameters.inAppTriggers
}

# METADATA
# title: No passkey login was offered, and the app asks by a trigger that is not configured
# scope: rule
# custom:
#   row: A13
process_pk_login_not_offered_in_app_untaken if {
	input.process.outcome == "not-offered"
	in_app
	not input.flags.inApp in data.keyward.parameters.inAppTriggers
}

# METADATA
# title: No passkey login was offered, and the app asks too soon after another offer
# scope: rule
# custom:
#   row: A13
process_pk_login_not_offered_in_app_soon if {
	input.process.outcome == "not-offered"
	in_app
	input.nudges.spaced == false
}

# METADATA
# title: No passkey login was offered, and the app asks while manual offers pause
# scope: rule
# custom:
#   row: A13
process_pk_login_not_offered_in_app_paused if {
	input.process.outcome == "not-offered"
	in_app
}

# METADATA
# title: No passkey login was offered, and a passkey can be created silently
# scope: rule
# custom:
#   row: A13
process_pk_login_not_offered_silent if {
	input.process.outcome == "not-offered"
	silent_eligible
}

# METADATA
# title: No passkey login was offered, and this client has shown an offer lately
# scope: rule
# custom:
#   row: A13
process_pk_login_not_offered_shown if {
	input.process.outcome == "not-offered"
	shown_lately
}

# METADATA
# title: No passkey login was offered, and the account has been shown enough offers
# scope: rule
# custom:
#   row: A13
process_pk_login_not_offered_spent if {
	input.process.outcome == "not-offered"
	budget_spent
}

# METADATA
# title: No passkey login was offered, and the first passkey may be asked for without a click
# description: Phones and apps convert better so, desktops do not.
# scope: rule
# custom:
#   row: A13
process_pk_login_not_offered_auto if {
	input.process.outcome == "not-offered"
	input.flags.auto == true
	input.credentials.total == 0
	input.nudges.auto.cooldown == false
	input.nudges.default.cooldown == false
	auto_client
}

# METADATA
# title: No passkey login was offered, and nothing speaks against a passkey of this device
# scope: rule
# custom:
#   row: A13
process_pk_login_not_offered if {
	input.process.outcome == "not-offered"
	input.nudges.default.cooldown == false
}

# METADATA
# title: No passkey login was offered, and manual offers pause
# scope: rule
# custom:
#   row: A13
process_pk_login_not_offered_paused if {
	input.process.outcome == "not-offered"
	input.nudges.default.cooldown == true
}

# METADATA
# title: No passkey login was offered, and the passkey that is known to be on this client failed as often as the threshold
# scope: rule
lost_passkey if {
	input.process.outcome == "not-offered"
	input.pair.lost == true
	input.pair.noCredentials == false
	input.pair.existsHere == true
}

# METADATA
# title: No passkey login was offered, and the client said that it has no passkey, although one is known to be there
# scope: rule
lost_passkey if {
	input.process.outcome == "not-offered"
	input.pair.lost == true
	input.pair.noCredentials == true
	input.pair.existsHere == true
}

# METADATA
# title: No passkey login was offered, and the passkey that is expected on this client failed as often as the threshold
# scope: rule
lost_passkey if {
	input.process.outcome == "not-offered"
	input.pair.lost == true
	input.pair.noCredentials == false
	input.credentials.likely > 0
}

# METADATA
# title: No passkey login was offered, and the client said that it has no passkey, although one is expected there
# scope: rule
lost_passkey if {
	input.process.outcome == "not-offered"
	input.pair.lost == true
	input.pair.noCredentials == true
	input.credentials.likely > 0
}

# METADATA
# title: No passkey login was offered, and the passkey that was on this client failed as often as the threshold
# scope: rule
lost_passkey if {
	input.process.outcome == "not-offered"
	input.pair.lost == true
	input.pair.noCredentials == false
	input.pair.evidenceHere == true
}

# METADATA
# title: No passkey login was offered, and the client said that it has no passkey, although one was there
# scope: rule
lost_passkey if {
	input.process.outcome == "not-offered"
	input.pair.lost == true
	input.pair.noCredentials == true
	input.pair.evidenceHere == true
}

# METADATA
# title: What bars the environment does so softly, with exceptions
# scope: rule
# custom:
#   otherwise: What bars the environment has no exceptions
barred_softly if input.environment.listed in data.keyward.parameters.softBars

# METADATA
# title: The client has shown an offer lately, whoever it was shown to
# description: Only the parameter shownSpacingSeconds makes it count. Who signs up is always one to ask, whoever used the client before.
# scope: rule
shown_lately if {
	input.flags.shownLately == true
	input.situation != "sign-up"
}

# METADATA
# title: The account has been shown as many offers lately, of any kind, as it may be
# description: Only the parameter nudgeBudget makes it count.
# scope: rule
# custom:
#   otherwise: The account has been shown fewer offers lately than it may be, or there is no budget of them
budget_spent if input.nudges.spent == true

# METADATA
# title: The login used a passkey of another provider, none was created here, and the user is in the treatment arm
# scope: rule
device_local_treatment if {
	input.process.outcome == "local"
	input.pair.createdHere == false
	input.experiments["device-local-platform-passkey"] == "treatment"
	input.process.credentialClass in {"password-manager", "unknown-provider"}
}

# METADATA
# title: The app named a trigger
# scope: rule
in_app if input.flags.inApp != ""

# METADATA
# title: The caller comes from within the app
# scope: rule
in_app if input.situation == "in-app"

# METADATA
# title: The caller and the client can create silently, and that was not asked for lately
# description: |
#   Independent of how often the user declined, who notices nothing if it fails. Not where a passkey replaces the second factor: a silent creation
#   verifies nobody.
# scope: rule
silent_eligible if {
	input.flags.conditionalCreate == true
	input.support.conditionalCreate == true
	input.nudges.conditionalCreate.cooldown == false
	login_suits_silence
	not data.keyward.parameters.passkeyReplacesSecondFactor == true
}

# METADATA
# title: The caller asks for a silent creation where the login suits it
# scope: rule
login_suits_silence if count(data.keyward.parameters.conditionalCreate.after) == 0

# METADATA
# title: The login was done in a way after which a passkey may be created silently
# scope: rule
login_suits_silence if input.flags.loginMethod in data.keyward.parameters.conditionalCreate.after

# METADATA
# title: The client is an app
# scope: rule
auto_client if input.client.native == true

# METADATA
# title: The client is a phone or tablet
# scope: rule
auto_client if input.client.mobile == true

# METADATA
# title: Unasked ceremonies are switched on for desktops
# scope: rule
auto_client if data.keyward.parameters.autoDesktop == true

# METADATA
# title: Whether a manual offer may follow
# scope: document
default default_open := false

default_open if {
	input.nudges.default.cooldown == false
	not budget_spent
}

# METADATA
# title: Whether an offer after a failed login may follow
# scope: document
default after_error_open := false

after_error_open if {
	input.nudges.afterError.cooldown == false
	not budget_spent
}

# METADATA
# title: Whether the client is a restricted browser, and nothing else bars it
# scope: document
default restricted_browser := false

restricted_browser if input.environment.listed == "restricted-browser"

# METADATA
# title: Nothing is offered
# scope: rule
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

# METADATA
# title: Nothing is offered in an environment that is barred
# scope: rule
deny_listed(row, tag, reason) := {
	"rule": row,
	"allow": false,
	"tag": tag,
	"kind": "",
	"variant": "default",
	"auto": false,
	"conditional": false,
	"manualAllowed": false,
	"isRestrictedBrowser": restricted_browser,
	"reason": reason,
	"attachment": "",
	"hints": [],
	"userVerification": "",
}

# METADATA
# title: A passkey of this device is offered
# scope: rule
offer(row, tag, kind) := {
	"rule": row,
	"allow": true,
	"tag": tag,
	"kind": kind,
	"variant": variants[kind],
	"auto": kind == "auto",
	"conditional": false,
	"manualAllowed": false,
	"isRestrictedBrowser": false,
	"reason": "",
	"attachment": "platform",
	"hints": ["client-device"],
	"userVerification": "required",
}

# METADATA
# title: A passkey of this device is offered, beside those elsewhere if there are any
# scope: rule
offer_here_too(row, tag) := {
	"rule": row,
	"allow": true,
	"tag": tag,
	"kind": "default",
	"variant": here_too,
	"auto": false,
	"conditional": false,
	"manualAllowed": false,
	"isRestrictedBrowser": false,
	"reason": "",
	"attachment": "platform",
	"hints": ["client-device"],
	"userVerification": "required",
}

# METADATA
# title: A passkey of any device is offered
# description: A key or a phone may be used, so neither the attachment nor the hints ask for this device.
# scope: rule
offer_anywhere(row, tag) := {
	"rule": row,
	"allow": true,
	"tag": tag,
	"kind": "default",
	"variant": "default",
	"auto": false,
	"conditional": false,
	"manualAllowed": false,
	"isRestrictedBrowser": false,
	"reason": "",
	"attachment": "",
	"hints": [],
	"userVerification": "required",
}

# METADATA
# title: A passkey of this device is created silently
# description: The provider may skip user presence and verification, hence preferred. If nothing was created, a manual offer of the variant may follow.
# scope: rule
offer_silently(row, tag, variant, manual) := {
	"rule": row,
	"allow": true,
	"tag": tag,
	"kind": "conditional-create",
	"variant": variant,
	"auto": false,
	"conditional": true,
	"manualAllowed": manual,
	"isRestrictedBrowser": false,
	"reason": "",
	"attachment": "platform",
	"hints": ["client-device"],
	"userVerification": "preferred",
}

# METADATA
# title: What clients show for each kind of offer
# scope: document
variants := {"default": "default", "auto": "default", "after-hybrid": "after-hybrid", "after-error": "after-error"}

# METADATA
# title: What clients show where no passkey login was offered
# description: An account whose passkeys are all on other devices gets a further one.
# scope: document
default here_too := "default"

here_too := "after-no-credential" if {
	input.credentials.total > 0
	input.credentials.likely == 0
}

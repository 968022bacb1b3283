# METADATA
# title: Risk
# description: |
#   How much is wrong with a start beside what it asks for, with a finish before anything is made of it, or with what a caller asks about,
#   and what to do about it. Every reason that holds is told. The row follows from their severities, which are data (data.keyward.reasons):
#   to make a reason a bar, or a note, change its figure. What is answered is told and recorded; it changes what the other tables answer
#   only where the parameter risk.mode is enforce.
# schemas:
#   - input: schema.risk
package keyward.risk

# METADATA
# title: No row answers
# description: The rows together answer everything. This one guards edited bundles.
# scope: document
# entrypoint: true
# custom:
#   row: R6
default decision := {
	"rule": "R6", "action": "allow", "level": "low", "reasons": [], "stepUp": [], "exclude": [], "retrySeconds": 0,
	"obligations": {"notifyUser": false, "maxSessionSeconds": 0, "userVerification": ""},
}

decision := answer("R1", "deny", "high") if barred

else := answer("R2", "challenge", "high") if grave

else := answer("R3", "challenge", "medium") if doubtful_twice

else := answer("R4", "review", "medium") if doubtful

else := answer("R5", "allow", "low") if nothing_grave

# METADATA
# title: A reason is a bar
# scope: rule
# custom:
#   row: R1
barred if 4 in severities

# METADATA
# title: A reason asks for a further proof
# scope: rule
# custom:
#   row: R2
grave if 3 in severities

# METADATA
# title: Two reasons each ask for a look
# scope: rule
# custom:
#   row: R3
doubtful_twice if count(doubts) >= 2

# METADATA
# title: A reason asks for a look
# scope: rule
# custom:
#   row: R4
doubtful if 2 in severities

# METADATA
# title: What there is, is noted
# scope: rule
# custom:
#   row: R5
nothing_grave if input.stage in {"mediation-start", "login-start", "append-start", "login-finish", "append-finish", "evaluate"}

# METADATA
# title: The answer of a row
# scope: rule
answer(row, action, level) := {
	"rule": row, "action": action, "level": level,
	"reasons": sort(reasons), "stepUp": step_up(action), "exclude": excluded, "retrySeconds": retry(action),
	"obligations": {"notifyUser": notify, "maxSessionSeconds": session(level), "userVerification": verification(action)},
}

# METADATA
# title: How a further proof may be given
# description: A passkey that is in doubt is not proven by itself. At a start the passkey is yet to come.
# scope: document
step_up("challenge") := ["security-key"] if "assurance-low" in reasons

else := ["other-passkey", "email-code"] if {
	count(reasons & {"backup-changed", "compromised-authenticator", "counter-regressed", "fresh-passkey"}) > 0
}

else := ["passkey-uv"] if input.stage in {"login-start", "mediation-start"}

else := ["passkey-uv", "email-code"]

step_up(action) := [] if action != "challenge"

# METADATA
# title: The passkeys that a login start must not name
# description: Those whose use would be refused.
# scope: rule
excluded := [i |
	input.stage == "login-start"
	some i in refused
]

# METADATA
# title: The passkeys whose use would be refused
# description: Each value is named, so that no other tells one account from another where answers are remembered.
# scope: rule
refused contains i if {
	some i
	denied(input.credentials.items[i].aaguid)
}

refused contains i if {
	some i
	input.credentials.items[i].status == "revoked"
}

# METADATA
# title: After how long it is worth trying again
# description: Of what is counted, when it is forgotten.
# scope: document
default retry(_) := 0

retry(action) := data.keyward.parameters.risk.retrySeconds if {
	action in {"challenge", "review"}
	count(reasons & {"user-velocity", "address-velocity", "address-spray"}) > 0
}

# METADATA
# title: The user should be told
# description: Of what somebody else may have done.
# scope: document
default notify := false

notify if {
	telling := {"new-country", "impossible-travel", "counter-regressed", "fresh-passkey", "backup-changed", "revoked-authenticator"}
	count(reasons & telling) > 0
}

# METADATA
# title: How long a session may live
# scope: document
default session(_) := 0

session("high") := data.keyward.parameters.risk.maxSessionSeconds

# METADATA
# title: How a login has to verify its user
# scope: document
default verification(_) := ""

verification("challenge") := "required" if input.stage in {"login-start", "append-start", "mediation-start"}

# METADATA
# title: How grave the reasons are that hold
# scope: rule
severities contains weight(reason) if some reason in reasons

# METADATA
# title: What a reason counts for
# description: A login that verified its user, which nobody can phish, answers what speaks against the request alone.
# scope: rule
weight(reason) := max([1, severity(reason) - 1]) if answered(reason)

else := severity(reason)

# METADATA
# title: The finished login answers the reason
# scope: rule
answered(reason) if {
	input.used.uv == true
	data.keyward.reasons[reason].about == "request"
	severity(reason) < 4
}

# METADATA
# title: How grave a reason is
# scope: rule
severity(reason) := object.get(data.keyward.parameters.risk.severities, reason, data.keyward.reasons[reason].severity)

# METADATA
# title: The reasons that ask for a look
# scope: rule
doubts contains reason if {
	some reason in reasons
	weight(reason) == 2
}

# METADATA
# title: The client is driven by a program
# scope: rule
reasons contains "automation" if input.request.bot in {"headless", "automation"}

# METADATA
# title: The request is in a list of those that are barred
# scope: rule
reasons contains "blocked-address" if listed(data.keyward.parameters.risk.blockedLists)

# METADATA
# title: The address is in a country that is barred
# scope: rule
reasons contains "blocked-country" if input.request.country in data.keyward.parameters.risk.blockedCountries

# METADATA
# title: The address is in none of the only countries that are not barred
# scope: rule
reasons contains "blocked-country" if {
	count(data.keyward.parameters.risk.allowedCountries) > 0
	input.request.country != ""
	not input.request.country in data.keyward.parameters.risk.allowedCountries
}

# METADATA
# title: The account has succeeded elsewhere, and never in this country
# scope: rule
reasons contains "new-country" if input.familiar.country == "new"

# METADATA
# title: Nobody travels as fast as from where the user was last, unless this browser or app is known
# scope: rule
reasons contains "impossible-travel" if {
	input.travel.located == true
	input.travel.distanceKm >= data.keyward.parameters.risk.travelMinKm
	input.travel.kmh >= data.keyward.parameters.risk.travelKmh
	input.familiar.environment != "seen"
}

# METADATA
# title: The request is in a list of those that ask for a look
# scope: rule
reasons contains "risky-network" if listed(data.keyward.parameters.risk.riskyLists)

# METADATA
# title: The request is in one of the lists
# scope: rule
listed(names) if {
	some name in names
	input.request.lists[name] == true
}

# METADATA
# title: The client says that it is a program
# scope: rule
reasons contains "bot" if input.request.bot in {"declared", "tool"}

# METADATA
# title: What the client says of itself contradicts itself
# scope: rule
reasons contains "deceptive-agent" if input.request.agent == "contradicting"

# METADATA
# title: The account has succeeded elsewhere, and never in this browser or app
# scope: rule
reasons contains "new-environment" if input.familiar.environment == "new"

# METADATA
# title: The account has succeeded elsewhere, and never from this network
# scope: rule
reasons contains "new-network" if input.familiar.network == "new"

# METADATA
# title: The account is young
# scope: rule
reasons contains "fresh-account" if input.user.ageHours < data.keyward.parameters.risk.freshAccountHours

# METADATA
# title: The window is private
# scope: rule
reasons contains "private-window" if input.client.privateMode == true

# METADATA
# title: Something could not be looked up
# scope: rule
reasons contains "incomplete" if input.complete == false

reasons contains "incomplete" if input.velocity.complete == false

# METADATA
# title: The user has failed often just now
# scope: rule
reasons contains "user-velocity" if input.velocity.userFailures >= data.keyward.parameters.risk.userFailures

# METADATA
# title: Failures come often from the address
# scope: rule
reasons contains "address-velocity" if input.velocity.addressFailures >= data.keyward.parameters.risk.addressFailures

# METADATA
# title: Failures of many users come from the address
# scope: rule
reasons contains "address-spray" if input.velocity.addressUsers >= data.keyward.parameters.risk.addressUsers

# METADATA
# title: Failures of many users come from the network
# scope: rule
reasons contains "network-spray" if input.velocity.networkUsers >= data.keyward.parameters.risk.networkUsers

# METADATA
# title: Logins of the whole project fail often
# scope: rule
reasons contains "project-attack" if input.velocity.projectFailures >= data.keyward.parameters.risk.projectFailures

# METADATA
# title: The account was used in many browsers or apps
# scope: rule
reasons contains "many-environments" if input.velocity.userEnvironments >= data.keyward.parameters.risk.userEnvironments

# METADATA
# title: Many accounts use the browser or app
# scope: rule
reasons contains "shared-computer" if input.environment.users >= data.keyward.parameters.risk.environmentUsers

# METADATA
# title: The user has working hours, and it is outside of them
# scope: rule
reasons contains "outside-hours" if {
	some label in data.keyward.parameters.risk.officeHours.labels
	input.user.labels[label] == true
	outside_hours
}

# METADATA
# title: It is no working day
# scope: rule
outside_hours if {
	not of_the_day_before
	not input.request.weekday in data.keyward.parameters.risk.officeHours.days
}

# METADATA
# title: The working day that goes on after midnight is none
# scope: rule
outside_hours if {
	of_the_day_before
	not (((input.request.weekday + 5) % 7) + 1) in data.keyward.parameters.risk.officeHours.days
}

# METADATA
# title: It is before the working hours
# scope: rule
outside_hours if {
	not overnight
	input.request.hour < data.keyward.parameters.risk.officeHours.from
}

# METADATA
# title: It is after the working hours
# scope: rule
outside_hours if {
	not overnight
	input.request.hour >= data.keyward.parameters.risk.officeHours.to
}

# METADATA
# title: It is between the working hours of one night and those of the next
# scope: rule
outside_hours if {
	overnight
	input.request.hour >= data.keyward.parameters.risk.officeHours.to
	input.request.hour < data.keyward.parameters.risk.officeHours.from
}

# METADATA
# title: The working hours go on after midnight
# scope: rule
# custom:
#   otherwise: The working hours end on the day on which they begin
overnight if data.keyward.parameters.risk.officeHours.to <= data.keyward.parameters.risk.officeHours.from

# METADATA
# title: It is after midnight, in working hours that began before
# scope: rule
# custom:
#   otherwise: It is not after midnight in working hours that began before
of_the_day_before if {
	overnight
	input.request.hour < data.keyward.parameters.risk.officeHours.to
}

# METADATA
# title: The authenticator is none of those that may be used
# scope: rule
reasons contains "denied-authenticator" if denied(input.used.aaguid)

reasons contains "denied-authenticator" if denied(input.created.aaguid)

# METADATA
# title: The authenticator is one of those that may not be used
# scope: rule
denied(aaguid) if aaguid in data.keyward.parameters.risk.deniedAaguids

# METADATA
# title: The authenticator is none of the only ones that may be used
# scope: rule
denied(aaguid) if {
	count(data.keyward.parameters.risk.allowedAaguids) > 0
	not aaguid in data.keyward.parameters.risk.allowedAaguids
}

# METADATA
# title: The authenticator does not say what it is, and only some may be used
# description: Many do not, so that to list what they say instead would allow them all.
# scope: rule
denied("00000000-0000-0000-0000-000000000000") if count(data.keyward.parameters.risk.allowedAaguids) > 0

# METADATA
# title: FIDO's metadata says that the authenticator's model must not be trusted
# scope: rule
reasons contains "revoked-authenticator" if input.used.status == "revoked"

reasons contains "revoked-authenticator" if input.created.status == "revoked"

# METADATA
# title: FIDO's metadata says that keys of the authenticator's model, or its verification of users, do not hold
# scope: rule
reasons contains "compromised-authenticator" if input.used.status == "compromised"

reasons contains "compromised-authenticator" if input.created.status == "compromised"

# METADATA
# title: The passkey's signature counter did not go up
# scope: rule
reasons contains "counter-regressed" if input.used.counter == "regressed"

# METADATA
# title: A passkey of the account turned out to be of another kind within a day
# scope: rule
reasons contains "backup-changed" if input.user.alerts.backupEligibilityHours < 24

# METADATA
# title: The passkey's signature counter fell to 0
# scope: rule
reasons contains "counter-reset" if input.used.counter == "reset"

# METADATA
# title: The passkey was added just now, to an account that had others
# scope: rule
reasons contains "fresh-passkey" if {
	input.used.ageHours < data.keyward.parameters.risk.freshPasskeyHours
	input.user.ageHours >= data.keyward.parameters.risk.freshAccountHours
	input.user.passkeys > 1
}

reasons contains "fresh-passkey" if {
	sensitive
	input.user.passkeyAddedHours < data.keyward.parameters.risk.freshPasskeyHours
	input.user.ageHours >= data.keyward.parameters.risk.freshAccountHours
	input.user.passkeys > 1
}

# METADATA
# title: What is to be done does harm that is hard to undo
# scope: rule
sensitive if {
	input.stage == "evaluate"
	input.action in data.keyward.parameters.risk.sensitiveActions
}

# METADATA
# title: It does harm that is hard to undo, and the account has not succeeded in this browser or app
# scope: rule
reasons contains "sensitive-action" if {
	sensitive
	input.familiar.environment != "seen"
}

# METADATA
# title: Another system finds it risky
# scope: rule
reasons contains "external-score" if input.context.externalScore >= data.keyward.parameters.risk.externalScore

# METADATA
# title: Fraud with the account was confirmed lately
# scope: rule
reasons contains "fraud-confirmed" if input.user.alerts.fraudConfirmedHours < data.keyward.parameters.risk.fraudHours

# METADATA
# title: The passkey falls short of what the user's label asks for
# scope: rule
reasons contains "assurance-low" if short(input.used.aal)

reasons contains "assurance-low" if short(input.created.aal)

# METADATA
# title: A label of the user asks for more
# scope: rule
short(aal) if {
	some label, least in data.keyward.parameters.risk.requireAal
	input.user.labels[label] == true
	aal < least
}

# METADATA
# title: Rollout
# description: |
#   Whether passkeys are switched on: for a client before anybody is named, and for an identifier when a login or the creation of a passkey starts. The table
#   `decision` is read from the top: the first row whose condition holds decides. The conditions follow below it in the same order, each named after the tag
#   it yields, and what they share comes last. Titles and row numbers are what an explanation prints.
#
#   The rules of the rollout themselves are parameters (`rollout.rules`): of those whose conditions hold, the one of highest salience decides. An answer names it
#   as its reason.
# schemas:
#   - input: schema.rollout
#   - data.keyward.parameters: schema.parameters
package keyward.rollout

# METADATA
# title: No row answers
# description: The rows together answer everything. This one guards edited bundles.
# scope: document
# entrypoint: true
# custom:
#   row: R6
default decision := {"rule": "R6", "allow": false, "tag": "default-deny", "reason": ""}

decision := deny("R0", "default-deny", "") if default_deny

else := deny("R1", "rollout-kill-switch", "") if rollout_kill_switch

else := deny("R2", "rollout-rule-blocked", deciding) if rollout_rule_blocked

else := deny("R3", "rollout-sampled-out", deciding) if rollout_sampled_out

else := deny("R4", "rollout-identifier-not-listed", deciding) if rollout_identifier_not_listed

else := allow("R5", "rollout-allowed", deciding) if rollout_allowed

# METADATA
# title: Something could not be looked up
# scope: rule
# custom:
#   row: R0
default_deny if not input.complete

# METADATA
# title: Something that the rows read is not told
# scope: rule
# custom:
#   row: R0
default_deny if not told

# METADATA
# title: Passkeys are switched off for this action
# scope: rule
# custom:
#   row: R1
rollout_kill_switch if data.keyward.parameters.rollout.killSwitch[input.rollout.action] == true

# METADATA
# title: A rule of the rollout bars the client
# scope: rule
# custom:
#   row: R2
rollout_rule_blocked if verdict == "block"

# METADATA
# title: A rule of the rollout lets in a share, and the client is not in it
# scope: rule
# custom:
#   row: R3
rollout_sampled_out if {
	verdict == "sample"
	not sampled
}

# METADATA
# title: Only listed identifiers are let in, and the one that was named is not
# scope: rule
# custom:
#   row: R4
rollout_identifier_not_listed if {
	input.rollout.identifier == "unlisted"
	data.keyward.parameters.rollout.requireAllowlistedIdentifier == true
}

# METADATA
# title: Nothing bars passkeys
# scope: rule
# custom:
#   row: R5
rollout_allowed if {
	data.keyward.parameters.rollout.killSwitch[input.rollout.action] == false
	verdict != "block"
}

# METADATA
# title: No row above bars passkeys
# scope: rule
# custom:
#   row: R5
rollout_allowed if told

# METADATA
# title: Everything that the rows read is told
# scope: rule
# custom:
#   otherwise: Something that the rows read is not told
told if {
	input.rollout.action in {"login", "append", "manage"}
	input.rollout.identifier in {"none", "listed", "unlisted"}
	is_string(input.rollout.invitation)
	is_number(input.rollout.browserVersion)
	is_object(input.rollout.samples)
	is_object(input.rollout.flags)
	is_string(input.client.os)
	is_number(input.client.osVersion)
	is_string(input.client.browser)
	is_boolean(input.client.webdriver)
}

# METADATA
# title: The client is in the share that the deciding rule lets in
# scope: rule
# custom:
#   otherwise: The client is not in the share that the deciding rule lets in
sampled if input.rollout.samples[deciding] == "treatment"

# METADATA
# title: What the deciding rule of the rollout says
# description: It is none if no rule holds.
# scope: rule
verdict := object.get(data.keyward.parameters.rollout.rules, [deciding, "verdict"], "none")

# METADATA
# title: The rule of the rollout that decides
# description: |
#   Highest salience first; of equal ones the first by name. Empty if none holds. That it holds is asked once more so that an explanation tells why.
# scope: document
default deciding := ""

deciding := name if {
	name := min(ranked)[1]
	holds(data.keyward.parameters.rollout.rules[name])
}

# METADATA
# title: The rules of the rollout that hold, as rank and name
# scope: rule
ranked := {[0 - rule.salience, name] |
	some name, rule in data.keyward.parameters.rollout.rules
	holds(rule)
}

# METADATA
# title: Every condition of the rule holds for the client
# scope: rule
holds(rule) if {
	input.rollout.action in object.get(rule, "actions", [input.rollout.action])
	input.client.os in object.get(rule, "os", [input.client.os])
	input.client.browser in object.get(rule, "browsers", [input.client.browser])
	input.rollout.invitation in object.get(rule, "invitations", [input.rollout.invitation])
	input.client.webdriver == object.get(rule, "webdriver", input.client.webdriver)
	object.subset(input.rollout.flags, object.get(rule, "flags", {}))
	within(object.get(rule, "osVersion", {}), input.client.osVersion)
	within(object.get(rule, "browserVersion", {}), input.rollout.browserVersion)
}

# METADATA
# title: No version is asked for
# scope: rule
within(range, _) if range == {}

# METADATA
# title: The version is known and neither too old nor too new
# scope: rule
within(range, version) if {
	version > 0
	version >= object.get(range, "atLeast", version)
	version <= object.get(range, "atMost", version)
}

# METADATA
# title: Passkeys are switched off
# scope: rule
deny(row, tag, reason) := {"rule": row, "allow": false, "tag": tag, "reason": reason}

# METADATA
# title: Passkeys are switched on
# scope: rule
allow(row, tag, reason) := {"rule": row, "allow": true, "tag": tag, "reason": reason}

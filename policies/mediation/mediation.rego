# METADATA
# title: Conditional mediation
# description: |
#   Whether to offer passkeys in autofill before the user is known. The table `decision` is read from the top: the first row
#   whose condition holds decides. The conditions follow below it in the same order, each named after the tag it yields. Titles and row numbers are what
#   an explanation prints.
# schemas:
#   - input: schema.mediation
package keyward.mediation

# METADATA
# title: No row answers
# description: The rows together answer everything. This one guards edited bundles.
# scope: document
# entrypoint: true
# custom:
#   row: M5
default decision := {"rule": "M5", "allow": false, "tag": "default-deny"}

decision := deny("M0", "default-deny") if default_deny

else := deny("M1", "env-no-pk-support") if env_no_pk_support

else := deny("M2", "env-no-platform-pk-support") if env_no_platform_pk_support

else := deny("M3", "env-blacklisted") if env_blacklisted

else := allow("M4", "user-platform-pk-high-confidence") if user_platform_pk_high_confidence

# METADATA
# title: Something could not be looked up
# scope: rule
# custom:
#   row: M0
default_deny if not input.complete

# METADATA
# title: The client cannot do WebAuthn at all
# scope: rule
# custom:
#   row: M1
env_no_pk_support if input.support.webauthn == false

# METADATA
# title: The client cannot offer passkeys in autofill
# scope: rule
# custom:
#   row: M2
env_no_platform_pk_support if input.support.conditionalGet == false

# METADATA
# title: The environment is barred by configuration, automation or a restricted browser
# scope: rule
# custom:
#   row: M3
env_blacklisted if input.environment.listed != "none"

# METADATA
# title: The client shows the passkeys that it holds
# description: The wire has no tag for an offer to nobody in particular; this is the nearest.
# scope: rule
# custom:
#   row: M4
user_platform_pk_high_confidence if {
	input.support.conditionalGet == true
	input.environment.listed == "none"
}

# METADATA
# title: Passkeys are not offered in autofill
# scope: rule
deny(row, tag) := {"rule": row, "allow": false, "tag": tag}

# METADATA
# title: Passkeys are offered in autofill
# scope: rule
allow(row, tag) := {"rule": row, "allow": true, "tag": tag}
